//! Redis is down: reads are degraded misses, volatile writes are not stored, and writes that must not be lost are
//! rejected with a retry delay.

use std::time::Duration;

use dataflow_proto::cache::v1 as pb;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use tokio::time::{Instant, timeout};
use tonic::Code;

use super::caller::{Caller, Failure, entry, lease, millis, owned, set};
use super::permits;
use super::replicas::{DEFAULT_TIMEOUT, Replica, Replicas};

fn key() -> String {
    "user/k".to_owned()
}

/// Checks the response of every method while the store is unavailable.
async fn check_every_method(caller: &Caller, token: &str) {
    for refusal in [
        caller.get_entry(pb::GetEntryRequest { key: key() }).await.unwrap_err(),
        caller.get_entry_ttl(pb::GetEntryTtlRequest { key: key() }).await.unwrap_err(),
    ] {
        let Failure { code, reason, metadata, .. } = refusal;
        assert_eq!(
            (code, reason.as_str(), &metadata["degraded"][..]),
            (Code::NotFound, "ENTRY_NOT_FOUND", "true")
        );
    }
    let exists = caller.entry_exists(pb::EntryExistsRequest { key: key() }).await.unwrap();
    assert_eq!(exists, pb::EntryExistsResponse { exists: false, degraded: true });
    let request = pb::BatchGetEntriesRequest { keys: owned(&["user/k", "user/l"]) };
    let batch = caller.batch_get_entries(request).await.unwrap();
    let missing = owned(&["user/k", "user/l"]);
    assert_eq!(batch, pb::BatchGetEntriesResponse { entries: Vec::new(), missing, degraded: true });

    let unstored = pb::SetEntryResponse { degraded: true, ..Default::default() };
    for tags in [&[][..], &["t"]] {
        assert_eq!(caller.set_entry(set(entry("user/k", "w", tags))).await.unwrap(), unstored);
    }
    let request = pb::SetEntryRequest { token: token.to_owned(), ..set(entry("user/k", "w", &[])) };
    assert_eq!(caller.set_entry(request).await.unwrap(), unstored);
    let neither = pb::LeaseEntryResponse { degraded: true, ..Default::default() };
    for wait in [0, 30_000] {
        let request = pb::LeaseEntryRequest { wait: millis(wait), ..lease("user/k", &["t"]) };
        let begun = Instant::now();
        assert_eq!(caller.lease_entry(request).await.unwrap(), neither);
        assert!(begun.elapsed() < Duration::from_secs(20), "no call waits for an unavailable store");
    }
    let request = pb::ReleaseLeaseRequest { key: key(), token: token.to_owned() };
    assert!(!caller.release_lease(request).await.unwrap().released);

    for refusal in [
        caller.delete_entry(pb::DeleteEntryRequest { key: key(), ..Default::default() }).await.err(),
        caller.delete_prefix(pb::DeletePrefixRequest { prefix: "user/".to_owned() }).await.err(),
        // Without generations, a value computed now could be stored later although it was invalidated.
        caller
            .get_generations(pb::GetGenerationsRequest { tags: owned(&["t"]), ..Default::default() })
            .await
            .err(),
        caller
            .invalidate_tags(pb::InvalidateTagsRequest { tags: owned(&["t"]), ..Default::default() })
            .await
            .err(),
        caller.take_permits(permits::request("k", Duration::from_secs(1), 1, 1)).await.err(),
    ] {
        let Failure { code, reason, retry_after, .. } = refusal.expect("the invalidation must not be lost");
        assert_eq!((code, reason.as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
        let retry_after = retry_after.expect("there is a retry delay");
        assert!(retry_after <= Duration::from_secs(1), "{retry_after:?}");
    }
    let stats = caller.stats().await;
    assert!(stats.degraded_reads > 0 && !stats.first_level_trusted, "{stats:?}");
    // Invalid requests are still rejected as such.
    let refusal = caller.get_entry(pb::GetEntryRequest { key: "x".to_owned() }).await.unwrap_err();
    assert_eq!(refusal.reason, "KEY_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_store_fails_only_calls_that_must_not_be_lost() {
    if !redis::available() {
        return;
    }
    let mut replicas = Replicas::over(Server::start(), DEFAULT_TIMEOUT, &[]).await;
    let (a, b) = replicas.callers();
    a.put("user/k", "v", &["t"]).await;
    assert!(b.get("user/k").await.is_some());
    let pb::Lease { token, .. } = a.take("user/computing", &[]).await;
    assert_eq!((replicas.a.circuit(), replicas.b.circuit()), (0, 0));

    replicas.redis.as_mut().unwrap().kill();
    for caller in [&a, &b] {
        // The default TTL is half an hour.
        eventually(TIMEOUT, "the copies in L1 are dropped", async || caller.get("user/k").await.is_none())
            .await;
    }
    let begun = Instant::now();
    eventually(TIMEOUT, "the circuit breakers open", async || {
        replicas.a.circuit() == 1 && replicas.b.circuit() == 1
    })
    .await;
    println!("the circuit breakers opened {:?} after the first degraded read", begun.elapsed());
    for caller in [&a, &b] {
        check_every_method(caller, &token).await;
    }

    replicas.redis.as_mut().unwrap().restart();
    let begun = Instant::now();
    let a_stores = async || a.set_entry(set(entry("user/k", "new", &["t"]))).await.unwrap().stored;
    eventually(TIMEOUT, "entries are stored again", a_stores).await;
    println!("stored again {:?} after the restart", begun.elapsed());
    eventually(TIMEOUT, "the circuit breakers close", async || {
        replicas.a.circuit() == 0 && replicas.b.circuit() == 0
    })
    .await;
    for replica in [&replicas.a, &replicas.b] {
        replica.until_coherent().await;
        let caller = replica.caller();
        eventually(TIMEOUT, "all read it", async || caller.get("user/k").await.as_deref() == Some("new"))
            .await;
    }
    b.invalidate(&["t"]).await;
    eventually(TIMEOUT, "the entry is stale", async || a.get("user/k").await.is_none()).await;
    assert!(b.delete("user/k").await);
    b.take("user/computing", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_starts_without_its_store_serves_and_connects_later() {
    if !redis::available() {
        return;
    }
    let mut server = Server::start();
    server.kill();
    let replica = timeout(TIMEOUT, Replica::of(server.url(), &[])).await.expect("it starts");
    let caller = replica.caller();
    check_every_method(&caller, "0123456789abcdef").await;

    server.restart();
    let stores = async || caller.set_entry(set(entry("user/k", "v", &["t"]))).await.unwrap().stored;
    eventually(TIMEOUT, "entries are stored", stores).await;
    replica.until_coherent().await;
    assert_eq!(caller.get("user/k").await.as_deref(), Some("v"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_a_reply_is_reported_as_in_doubt() {
    if !redis::available() {
        return;
    }
    let replicas = Replicas::over(Server::start(), DEFAULT_TIMEOUT, &[]).await;
    let (a, _) = replicas.callers();
    a.put("user/k", "v", &["t"]).await;
    let server = replicas.redis.as_ref().unwrap();
    server.pause();
    // The circuit breaker is closed: the write is sent, and no reply arrives.
    let delete = pb::DeleteEntryRequest { key: key(), ..Default::default() };
    let Failure { code, reason, retry_after, .. } = a.delete_entry(delete).await.unwrap_err();
    assert_eq!((code, reason.as_str()), (Code::Unavailable, "WRITE_OUTCOME_UNKNOWN"));
    assert!(retry_after.is_some());
    server.resume();
    // It was applied; the caller could not know, but the call is safe to retry.
    eventually(TIMEOUT, "the write is applied", async || {
        let delete = pb::DeleteEntryRequest { key: key(), ..Default::default() };
        a.delete_entry(delete).await.is_ok()
    })
    .await;
    assert_eq!(a.get("user/k").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_enough_replicas_is_reported_as_such() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let replica = Replica::confirmed_by(1, server.url(), &[]).await;
    let caller = replica.caller();
    caller.put("user/k", "v", &["t"]).await;
    let invalidate = pb::InvalidateTagsRequest { tags: owned(&["t"]), ..Default::default() };
    for refusal in [
        caller.invalidate_tags(invalidate).await.err(),
        caller.delete_entry(pb::DeleteEntryRequest { key: key(), ..Default::default() }).await.err(),
    ] {
        let Failure { code, reason, retry_after, .. } = refusal.expect("there is no replica");
        assert_eq!((code, reason.as_str()), (Code::Unavailable, "WRITE_NOT_REPLICATED"));
        assert!(retry_after.is_some());
        assert_eq!(caller.get("user/k").await, None, "it was applied nevertheless");
    }
    // Volatile writes need no replica.
    caller.put("user/k", "v", &["t"]).await;
    assert_eq!(caller.get("user/k").await.as_deref(), Some("v"));
}
