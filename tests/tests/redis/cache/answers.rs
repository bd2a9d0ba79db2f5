//! The responses of every method over a healthy store, the same over both backends.

use std::time::Duration;

use bytes::Bytes;
use dataflow_proto::cache::v1 as pb;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use futures_util::{StreamExt, stream};
use tonic::Code;

use super::caller::{Caller, entry, lease, millis, owned, set};
use super::replicas::{Replicas, everywhere};

fn get(key: &str) -> pb::GetEntryRequest {
    pb::GetEntryRequest { key: key.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_set_read_and_deleted_at_all_replicas() {
    everywhere(&[], async |replicas: &Replicas| {
        let (a, b) = replicas.callers();
        let missing = a.get_entry(get("user/k")).await.unwrap_err();
        assert_eq!((missing.code, missing.reason.as_str()), (Code::NotFound, "ENTRY_NOT_FOUND"));
        assert_eq!(
            (missing.domain.as_str(), &missing.metadata["degraded"][..]),
            ("dataflow.cache.v1", "false")
        );
        assert_eq!(missing.retry_after, None);

        let etag = a.put("user/k", "v", &["t", "s"]).await;
        assert!(etag.len() == 16 && etag.bytes().all(|digit| digit.is_ascii_hexdigit()), "{etag}");
        for caller in [&a, &b, &a, &b] {
            let pb::GetEntryResponse { entry, degraded } = caller.get_entry(get("user/k")).await.unwrap();
            let found = entry.unwrap();
            let left = Duration::try_from(found.ttl.unwrap()).unwrap();
            assert!(left <= Duration::from_secs(1800) && left > Duration::from_secs(1700), "{left:?}");
            let expected = pb::Entry {
                key: "user/k".to_owned(),
                value: Bytes::from_static(b"v"),
                content_type: "application/octet-stream".to_owned(),
                ttl: found.ttl,
                tags: owned(&["t", "s"]),
                etag: etag.clone(),
                ..Default::default()
            };
            assert_eq!((found, degraded), (expected, false));
            let request = pb::EntryExistsRequest { key: "user/k".to_owned() };
            let exists = caller.entry_exists(request).await.unwrap();
            assert_eq!(exists, pb::EntryExistsResponse { exists: true, degraded: false });
            let request = pb::GetEntryTtlRequest { key: "user/k".to_owned() };
            let left = Duration::try_from(caller.get_entry_ttl(request).await.unwrap().ttl.unwrap()).unwrap();
            assert!(left <= Duration::from_secs(1800) && left > Duration::from_secs(1700), "{left:?}");
        }

        assert!(b.delete("user/k").await && !b.delete("user/k").await);
        eventually(TIMEOUT, "the other replica has dropped its copy", async || {
            a.get("user/k").await.is_none()
        })
        .await;
        for caller in [&a, &b] {
            assert_eq!(caller.get_entry(get("user/k")).await.unwrap_err(), missing);
            let request = pb::EntryExistsRequest { key: "user/k".to_owned() };
            assert_eq!(caller.entry_exists(request).await.unwrap(), pb::EntryExistsResponse::default());
            let request = pb::GetEntryTtlRequest { key: "user/k".to_owned() };
            assert_eq!(caller.get_entry_ttl(request).await.unwrap_err(), missing);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_arbitrary_bytes_up_to_the_limit() {
    everywhere(&["--max-entry-bytes", "100KB"], async |replicas: &Replicas| {
        let (a, b) = replicas.callers();
        let all: Vec<u8> = (0..=255).collect();
        for value in [Vec::new(), all, vec![7; 100_000]] {
            let content_type = "text/plain; charset=utf-8".to_owned();
            let wanted = pb::Entry { value: value.into(), content_type, ..entry("user/v", "", &[]) };
            assert!(a.set_entry(set(wanted.clone())).await.unwrap().stored);
            for caller in [&a, &a, &b, &b] {
                let read = async || caller.get_entry(get("user/v")).await.unwrap().entry.unwrap();
                eventually(TIMEOUT, "the replica has the new value", async || {
                    read().await.value == wanted.value
                })
                .await;
                assert_eq!(read().await.content_type, wanted.content_type);
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_response_has_the_order_of_the_request() {
    everywhere(&[], async |replicas: &Replicas| {
        let (a, b) = replicas.callers();
        for key in ["user/3", "user/1", "user/5"] {
            a.put(key, key, &[]).await;
        }
        let keys = ["user/1", "user/2", "user/3", "user/4", "user/5", "user/1"];
        let request = pb::BatchGetEntriesRequest { keys: owned(&keys) };
        for caller in [&a, &b, &b] {
            let answer = caller.batch_get_entries(request.clone()).await.unwrap();
            let found: Vec<_> = answer.entries.iter().map(|entry| entry.key.as_str()).collect();
            assert_eq!(found, ["user/1", "user/3", "user/5", "user/1"]);
            assert_eq!((answer.missing, answer.degraded), (owned(&["user/2", "user/4"]), false));
        }
        let nothing = a.batch_get_entries(pb::BatchGetEntriesRequest::default()).await.unwrap();
        assert_eq!(nothing, pb::BatchGetEntriesResponse::default());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etag_identifies_one_version() {
    everywhere(&[], async |replicas: &Replicas| {
        let (a, b) = replicas.callers();
        let over = async |caller: &Caller, etag: &str, value: &str| {
            let wanted = pb::Entry { etag: etag.to_owned(), ..entry("user/k", value, &[]) };
            caller.set_entry(set(wanted)).await
        };
        let first = a.put("user/k", "1", &[]).await;
        let second = over(&b, &first, "2").await.unwrap().etag;
        assert_ne!(first, second);

        let mismatch = over(&a, &first, "3").await.unwrap_err();
        assert_eq!((mismatch.code, mismatch.reason.as_str()), (Code::Aborted, "ETAG_MISMATCH"));
        assert_eq!(mismatch.metadata["etag"], second, "the error has the current etag");
        let request = pb::DeleteEntryRequest { key: "user/k".to_owned(), etag: first };
        assert_eq!(a.delete_entry(request).await.unwrap_err(), mismatch);
        eventually(TIMEOUT, "both have the second", async || {
            a.get("user/k").await.unwrap() == "2" && b.get("user/k").await.unwrap() == "2"
        })
        .await;

        let request = pb::DeleteEntryRequest { key: "user/k".to_owned(), etag: second.clone() };
        assert!(b.delete_entry(request.clone()).await.unwrap().deleted);
        for gone in [over(&a, &second, "4").await.unwrap_err(), b.delete_entry(request).await.unwrap_err()] {
            assert_eq!((gone.code, gone.reason.as_str()), (Code::Aborted, "ETAG_MISMATCH"));
            assert_eq!(gone.metadata.get("etag"), None, "there is no entry");
        }
        let anew = a.put("user/k", "2", &[]).await;
        assert_ne!(anew, second, "the same value set again is another version");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_expires_and_stale_values_need_a_request() {
    everywhere(&[], async |replicas: &Replicas| {
        let (a, b) = replicas.callers();
        let short = pb::Entry { ttl: millis(150), ..entry("user/short", "v", &[]) };
        let graced = pb::Entry { ttl: millis(150), grace: millis(60_000), ..entry("user/graced", "v", &[]) };
        assert!(a.set_entry(set(short)).await.unwrap().stored);
        assert!(a.set_entry(set(graced)).await.unwrap().stored);
        for (key, caller) in
            [("user/short", &a), ("user/short", &b), ("user/graced", &a), ("user/graced", &b)]
        {
            // The default TTL is half an hour.
            eventually(TIMEOUT, "the entry has expired", async || caller.get(key).await.is_none()).await;
        }
        let ask = async |key: &str, accept_stale| {
            b.lease_entry(pb::LeaseEntryRequest { accept_stale, ..lease(key, &[]) }).await.unwrap()
        };
        // Stale or not, the first caller gets the lease.
        for key in ["user/short", "user/graced"] {
            let first = ask(key, true).await;
            assert!(first.lease.is_some() && first.entry.is_none(), "{key}: {first:?}");
        }
        assert_eq!(ask("user/short", true).await, pb::LeaseEntryResponse::default());
        assert_eq!(ask("user/graced", false).await, pb::LeaseEntryResponse::default());
        let stale = ask("user/graced", true).await.entry.unwrap();
        assert!(stale.stale && stale.value == "v", "{stale:?}");
        assert_eq!(stale.ttl, millis(0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_deleted_and_nothing_else() {
    // More than one page of a listing in Redis.
    const MANY: usize = 1200;
    everywhere(&[], async |replicas: &Replicas| {
        let (a, b) = replicas.callers();
        let puts = stream::iter(0..MANY).map(|index| {
            let a = a.clone();
            async move { a.put(&format!("user/p-{index}"), "v", &[]).await }
        });
        puts.buffer_unordered(64).collect::<Vec<_>>().await;
        for key in ["user/p", "user/q-1", "user/P-1", "user/x/p-1"] {
            b.put(key, "v", &[]).await;
        }
        let delete = async |prefix: &str| {
            let request = pb::DeletePrefixRequest { prefix: prefix.to_owned() };
            b.delete_prefix(request).await.unwrap().deleted
        };
        assert_eq!(delete("user/p-").await, i32::try_from(MANY).unwrap());
        assert_eq!(delete("user/p-").await, 0);
        eventually(TIMEOUT, "the other replica has dropped its copy", async || {
            a.get("user/p-7").await.is_none()
        })
        .await;
        for key in ["user/p", "user/q-1", "user/P-1", "user/x/p-1"] {
            assert_eq!(a.get(key).await.as_deref(), Some("v"), "{key}");
        }
        assert_eq!(delete("user/").await, 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_and_misses_are_counted() {
    everywhere(&[], async |replicas: &Replicas| {
        let (a, _) = replicas.callers();
        let fresh = a.stats().await;
        assert_eq!((fresh.hit_rate, fresh.first_level_entries, fresh.first_level_bytes), (0.0, 0, 0));
        a.get("user/k").await;
        a.put("user/k", "v", &[]).await;
        let has_first_level = replicas.redis.is_some();
        // A read that overlaps the invalidation message of the write is not copied to L1, so the number of reads from
        // the store is not fixed.
        let mut reads = 0;
        eventually(TIMEOUT, "a copy is read, if there is an L1 cache", async || {
            a.get("user/k").await.unwrap();
            reads += 1;
            !has_first_level || a.stats().await.first_level_hits > 0
        })
        .await;
        let stats = a.stats().await;
        assert_eq!((stats.misses, stats.stale_hits, stats.degraded_reads), (1, 0, 0));
        assert_eq!(stats.first_level_hits + stats.store_hits, reads);
        assert_eq!(stats.hit_rate, reads as f64 / (reads + 1) as f64);
        assert_eq!(stats.first_level_trusted, has_first_level);
        assert_eq!(stats.first_level_entries, i64::from(has_first_level));
        assert_eq!(stats.first_level_hits > 0, has_first_level);
        assert_eq!(stats.first_level_bytes > 0, has_first_level);
        let metrics = replicas.a.service.metrics.encode();
        for (operation, result, count) in [
            ("get", "first_level", stats.first_level_hits),
            ("get", "store", stats.store_hits),
            ("get", "miss", 1),
            ("get", "degraded", 0),
            ("set", "stored", 1),
            ("set", "not_stored", 0),
        ] {
            let sample =
                format!("namespace=\"user\",operation=\"{operation}\",result=\"{result}\"}} {count}\n");
            assert!(metrics.contains(&sample), "{sample}{metrics}");
        }
    })
    .await;
}
