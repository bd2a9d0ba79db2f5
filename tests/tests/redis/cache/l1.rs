//! The L1 cache: repeated reads need no round trip to Redis, and a change at one replica is visible at the other even
//! if its invalidation message is lost.

use std::time::Duration;

use dataflow_proto::cache::v1 as pb;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use tokio::time::Instant;

use super::caller::{Caller, entry, lease, millis, set};
use super::replicas::{Replica, Replicas};
use super::wire::Wire;

/// Reads an entry until the read is an L1 hit.
async fn until_copied(caller: &Caller, key: &str, value: &str) {
    eventually(TIMEOUT, "a copy is read", async || {
        let before = caller.stats().await.first_level_hits;
        assert_eq!(caller.get(key).await.as_deref(), Some(value), "{key}");
        caller.stats().await.first_level_hits > before
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_reads_are_l1_hits() {
    if !redis::available() {
        return;
    }
    let replicas = Replicas::redis(&[]).await;
    let (a, b) = replicas.callers();
    a.put("user/k", "v", &["t"]).await;
    until_copied(&b, "user/k", "v").await;
    // On a busy machine the store may be unresponsive for so long that copies are not coherent meanwhile.
    eventually(TIMEOUT, "all reads are L1 hits", async || {
        let before = b.stats().await;
        for _ in 0..10 {
            assert_eq!(b.get("user/k").await.as_deref(), Some("v"));
        }
        let after = b.stats().await;
        // A lease request for an existing entry is an L1 hit too.
        let answer = b.lease_entry(lease("user/k", &[])).await.unwrap();
        assert!(answer.entry.is_some());
        after.first_level_hits - before.first_level_hits == 10
            && b.stats().await.store_hits == before.store_hits
    })
    .await;
    let sample = format!("result=\"first_level\"}} {}\n", b.stats().await.first_level_hits);
    assert!(replicas.b.service.metrics.encode().contains(&sample), "{sample}");

    // A copy expires with its original.
    let short = pb::Entry { ttl: millis(3_000), ..entry("user/short", "v", &[]) };
    assert!(a.set_entry(set(short)).await.unwrap().stored);
    until_copied(&b, "user/short", "v").await;
    // The default TTL is half an hour.
    eventually(TIMEOUT, "the copy has expired", async || b.get("user/short").await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_l1_cache_stays_within_its_capacity() {
    if !redis::available() {
        return;
    }
    let replicas = Replicas::redis(&["--cache-capacity", "100KB"]).await;
    let (a, b) = replicas.callers();
    let value = "x".repeat(10_000);
    for index in 0..50 {
        let key = format!("user/{index}");
        a.put(&key, &value, &[]).await;
        assert!(b.get(&key).await.is_some());
    }
    let stats = b.stats().await;
    assert!(stats.first_level_bytes <= 100_000 && stats.first_level_entries <= 9, "{stats:?}");
    for index in 0..50 {
        assert!(b.get(&format!("user/{index}")).await.is_some(), "an evicted entry is still in the store");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_visible_at_every_replica_soon() {
    if !redis::available() {
        return;
    }
    let replicas = Replicas::redis(&[]).await;
    let (a, b) = replicas.callers();
    let mut times = Vec::new();
    for index in 0..200 {
        let key = format!("user/{index}");
        a.put(&key, "v", &[]).await;
        until_copied(&b, &key, "v").await;
        assert!(a.delete(&key).await);
        let begun = Instant::now();
        eventually(TIMEOUT, "the copy is dropped", async || b.get(&key).await.is_none()).await;
        times.push(begun.elapsed());
    }
    times.sort();
    println!(
        "200 deletes visible elsewhere: p50 {:?}, p99 {:?}, all {:?}",
        times[99], times[197], times[199]
    );
    // A busy machine delays only a few.
    assert!(times[179] < Duration::from_secs(1), "{times:?}");

    // New values too, at the writing replica and at others.
    for (index, writer) in [&a, &b].into_iter().cycle().take(20).enumerate() {
        let value = index.to_string();
        writer.put("user/k", &value, &[]).await;
        assert_eq!(
            writer.get("user/k").await.as_deref(),
            Some(value.as_str()),
            "a writer reads its own write"
        );
        for reader in [&a, &b] {
            let seen = async || reader.get("user/k").await.as_deref() == Some(value.as_str());
            eventually(TIMEOUT, "the new value is read", seen).await;
            until_copied(reader, "user/k", &value).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_reads_its_own_write_despite_concurrent_reads_of_the_old_value() {
    if !redis::available() {
        return;
    }
    let replicas = Replicas::redis(&[]).await;
    let (a, b) = replicas.callers();
    let (done, is_done) = tokio::sync::watch::channel(false);
    a.put("user/k", "", &["t"]).await;
    let readers: Vec<_> = [&a, &a, &a, &b]
        .into_iter()
        .map(|caller| {
            let (caller, is_done) = (caller.clone(), is_done.clone());
            tokio::spawn(async move {
                while !*is_done.borrow() {
                    caller.get("user/k").await;
                }
            })
        })
        .collect();
    for index in 0..50 {
        let value = index.to_string();
        a.put("user/k", &value, &["t"]).await;
        for _ in 0..3 {
            assert_eq!(a.get("user/k").await, Some(value.clone()));
        }
        if index % 2 == 0 {
            a.invalidate(&["t"]).await;
        } else {
            assert!(a.delete("user/k").await);
        }
        for _ in 0..3 {
            assert_eq!(a.get("user/k").await, None, "{value}");
        }
    }
    done.send(true).unwrap();
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(a.stats().await.first_level_hits > 0, "copies were read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_invalidation_message_is_lost_is_visible_within_a_second() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let wire = Wire::before(server.port()).await;
    let (a, b) = (Replica::of(server.url(), &[]).await, Replica::of(&wire.url, &[]).await);
    b.until_coherent().await;
    let (a, b) = (a.caller(), b.caller());
    let mut times = Vec::new();
    for index in 0..10 {
        let [deleted, tagged, kept] =
            ["deleted", "tagged", "kept"].map(|name| format!("user/{name}/{index}"));
        a.put(&kept, "v", &[]).await;
        a.put(&deleted, "v", &[]).await;
        a.put(&tagged, "v", &["t"]).await;
        for key in [&kept, &deleted, &tagged] {
            until_copied(&b, key, "v").await;
        }
        let lost = wire.dropped();
        wire.drop_messages(true);
        assert!(a.delete(&deleted).await);
        a.invalidate(&["t"]).await;
        let begun = Instant::now();
        eventually(TIMEOUT, "both copies are dropped", async || {
            b.get(&deleted).await.is_none() && b.get(&tagged).await.is_none()
        })
        .await;
        times.push(begun.elapsed());
        wire.drop_messages(false);
        assert!(wire.dropped() > lost, "the messages were lost");
        assert!(b.get(&kept).await.is_some());
    }
    times.sort();
    println!("10 changes without a message visible elsewhere: p50 {:?}, all {:?}", times[4], times[9]);
    // A busy machine delays only a few.
    assert!(times[7] < Duration::from_secs(1), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_without_its_subscription_uses_no_copies_until_it_has_resubscribed() {
    if !redis::available() {
        return;
    }
    let replicas = Replicas::redis(&[]).await;
    let server = replicas.redis.as_ref().unwrap();
    let (a, b) = replicas.callers();
    for index in 0..5 {
        let key = format!("user/{index}");
        a.put(&key, "v", &[]).await;
        until_copied(&b, &key, "v").await;
        let killed = server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        assert!(!killed.is_error(), "{killed:?}");
        assert!(a.delete(&key).await);
        eventually(TIMEOUT, "the copy is dropped", async || b.get(&key).await.is_none()).await;
    }
    replicas.b.until_coherent().await;
    a.put("user/k", "v", &[]).await;
    until_copied(&b, "user/k", "v").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_a_change_overtakes_is_not_copied() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let wire = Wire::before(server.port()).await;
    let (writer, reader) = (Replica::of(server.url(), &[]).await, Replica::of(&wire.url, &[]).await);
    reader.until_coherent().await;
    let (a, b) = (writer.caller(), reader.caller());
    a.put("user/k", "late-value", &[]).await;
    wire.delay("late-value");
    let reading = tokio::spawn({
        let b = b.clone();
        async move { b.get("user/k").await }
    });
    wire.until_delayed().await;
    let heard = wire.forwarded();
    assert!(a.delete("user/k").await);
    eventually(TIMEOUT, "the invalidation message overtakes the reply", async || wire.forwarded() > heard)
        .await;
    wire.release();
    assert_eq!(
        reading.await.unwrap().as_deref(),
        Some("late-value"),
        "the entry existed when it was requested"
    );
    eventually(TIMEOUT, "the copy of a deleted entry is dropped", async || b.get("user/k").await.is_none())
        .await;
}
