//! A Redis that is gone: reads miss and say why, what may be lost is not stored, and what may not is refused with the
//! time to come back.

use std::time::Duration;

use dataflow_proto::cache::v1 as pb;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use tokio::time::{Instant, timeout};
use tonic::Code;

use super::caller::{Caller, Refusal, entry, lease, millis, owned, set};
use super::place::{BY_DEFAULT, Place, Replica};

fn key() -> String {
    "user/k".to_owned()
}

/// Every method's answer while the store is out of reach.
async fn check_every_method(caller: &Caller, token: &str) {
    for refusal in [
        caller.get_entry(pb::GetEntryRequest { key: key() }).await.unwrap_err(),
        caller.get_entry_ttl(pb::GetEntryTtlRequest { key: key() }).await.unwrap_err(),
    ] {
        let Refusal { code, reason, metadata, .. } = refusal;
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
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody waits for a store that is gone");
    }
    let request = pb::ReleaseLeaseRequest { key: key(), token: token.to_owned() };
    assert!(!caller.release_lease(request).await.unwrap().released);

    for refusal in [
        caller.delete_entry(pb::DeleteEntryRequest { key: key(), ..Default::default() }).await.err(),
        caller.delete_prefix(pb::DeletePrefixRequest { prefix: "user/".to_owned() }).await.err(),
        // Without them, what is computed now would be stored later as if nothing had been invalidated.
        caller
            .get_generations(pb::GetGenerationsRequest { tags: owned(&["t"]), ..Default::default() })
            .await
            .err(),
        caller
            .invalidate_tags(pb::InvalidateTagsRequest { tags: owned(&["t"]), ..Default::default() })
            .await
            .err(),
    ] {
        let Refusal { code, reason, retry_after, .. } = refusal.expect("it must not be lost");
        assert_eq!((code, reason.as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
        let retry_after = retry_after.expect("it says when to come back");
        assert!(retry_after <= Duration::from_secs(1), "{retry_after:?}");
    }
    let told = caller.stats().await;
    assert!(told.degraded_reads > 0 && !told.first_level_trusted, "{told:?}");
    // Mistakes are told all the same.
    let refusal = caller.get_entry(pb::GetEntryRequest { key: "x".to_owned() }).await.unwrap_err();
    assert_eq!(refusal.reason, "KEY_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_fails_only_what_must_not_be_lost() {
    if !redis::available() {
        return;
    }
    let mut place = Place::over(Server::start(), BY_DEFAULT, &[]).await;
    let (a, b) = place.callers();
    a.put("user/k", "v", &["t"]).await;
    assert!(b.get("user/k").await.is_some());
    let pb::Lease { token, .. } = a.take("user/computing", &[]).await;
    assert_eq!((place.a.circuit(), place.b.circuit()), (0, 0));

    place.redis.as_mut().unwrap().kill();
    for caller in [&a, &b] {
        // By itself the entry would live for half an hour.
        eventually(TIMEOUT, "the first level is used up", async || caller.get("user/k").await.is_none())
            .await;
    }
    let begun = Instant::now();
    eventually(TIMEOUT, "the breakers open", async || place.a.circuit() == 1 && place.b.circuit() == 1).await;
    println!("the breakers opened {:?} after the first degraded read", begun.elapsed());
    for caller in [&a, &b] {
        check_every_method(caller, &token).await;
    }

    place.redis.as_mut().unwrap().restart();
    let begun = Instant::now();
    let a_stores = async || a.set_entry(set(entry("user/k", "new", &["t"]))).await.unwrap().stored;
    eventually(TIMEOUT, "it is stored again", a_stores).await;
    println!("stored again {:?} after the restart", begun.elapsed());
    eventually(TIMEOUT, "the breakers close", async || place.a.circuit() == 0 && place.b.circuit() == 0)
        .await;
    for replica in [&place.a, &place.b] {
        replica.until_trusted().await;
        let caller = replica.caller();
        eventually(TIMEOUT, "all read it", async || caller.get("user/k").await.as_deref() == Some("new"))
            .await;
    }
    b.invalidate(&["t"]).await;
    eventually(TIMEOUT, "it is stale", async || a.get("user/k").await.is_none()).await;
    assert!(b.delete("user/k").await);
    b.take("user/computing", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_starts_without_its_store_serves_and_finds_it_later() {
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
    eventually(TIMEOUT, "it is stored", stores).await;
    replica.until_trusted().await;
    assert_eq!(caller.get("user/k").await.as_deref(), Some("v"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_an_answer_is_said_to_be_in_doubt() {
    if !redis::available() {
        return;
    }
    let place = Place::over(Server::start(), BY_DEFAULT, &[]).await;
    let (a, _) = place.callers();
    a.put("user/k", "v", &["t"]).await;
    let server = place.redis.as_ref().unwrap();
    server.pause();
    // The breaker is closed: it is sent, and no answer comes.
    let delete = pb::DeleteEntryRequest { key: key(), ..Default::default() };
    let Refusal { code, reason, retry_after, .. } = a.delete_entry(delete).await.unwrap_err();
    assert_eq!((code, reason.as_str()), (Code::Unavailable, "WRITE_OUTCOME_UNKNOWN"));
    assert!(retry_after.is_some());
    server.resume();
    // It was done after all, which nobody could know; repeated, it is safe.
    eventually(TIMEOUT, "it is done", async || {
        let delete = pb::DeleteEntryRequest { key: key(), ..Default::default() };
        a.delete_entry(delete).await.is_ok()
    })
    .await;
    assert_eq!(a.get("user/k").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_a_failover_may_lose_is_said_to_be_such() {
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
        let Refusal { code, reason, retry_after, .. } = refusal.expect("there is no replica");
        assert_eq!((code, reason.as_str()), (Code::Unavailable, "WRITE_NOT_REPLICATED"));
        assert!(retry_after.is_some());
        assert_eq!(caller.get("user/k").await, None, "it was done nevertheless");
    }
    // What a cache may lose needs no replica.
    caller.put("user/k", "v", &["t"]).await;
    assert_eq!(caller.get("user/k").await.as_deref(), Some("v"));
}
