//! The first level: what is read twice costs no way to Redis, and what changes at one replica is gone from the other,
//! whether or not its signal arrives.

use std::time::Duration;

use dataflow_proto::cache::v1 as pb;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use tokio::time::Instant;

use super::caller::{Caller, entry, lease, millis, set};
use super::place::{Place, Replica};
use super::wire::Wire;

/// Reads an entry until that is answered from the first level.
async fn until_copied(caller: &Caller, key: &str, value: &str) {
    eventually(TIMEOUT, "a copy is read", async || {
        let before = caller.stats().await.first_level_hits;
        assert_eq!(caller.get(key).await.as_deref(), Some(value), "{key}");
        caller.stats().await.first_level_hits > before
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_again_is_read_from_memory() {
    if !redis::available() {
        return;
    }
    let place = Place::redis(&[]).await;
    let (a, b) = place.callers();
    a.put("user/k", "v", &["t"]).await;
    until_copied(&b, "user/k", "v").await;
    // On a busy machine the store may be silent for so long that copies are not to be trusted meanwhile.
    eventually(TIMEOUT, "all are answered from memory", async || {
        let before = b.stats().await;
        for _ in 0..10 {
            assert_eq!(b.get("user/k").await.as_deref(), Some("v"));
        }
        let after = b.stats().await;
        // A lease is asked for of what is there, an answer from memory too.
        let answer = b.lease_entry(lease("user/k", &[])).await.unwrap();
        assert!(answer.entry.is_some());
        after.first_level_hits - before.first_level_hits == 10
            && b.stats().await.store_hits == before.store_hits
    })
    .await;
    let sample = format!("result=\"first_level\"}} {}\n", b.stats().await.first_level_hits);
    assert!(place.b.service.metrics.encode().contains(&sample), "{sample}");

    // A copy lives no longer than its original.
    let short = pb::Entry { ttl: millis(3_000), ..entry("user/short", "v", &[]) };
    assert!(a.set_entry(set(short)).await.unwrap().stored);
    until_copied(&b, "user/short", "v").await;
    // Unless it is told otherwise an entry lives for half an hour.
    eventually(TIMEOUT, "its time is up", async || b.get("user/short").await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_level_stays_within_its_capacity() {
    if !redis::available() {
        return;
    }
    let place = Place::redis(&["--cache-capacity", "100KB"]).await;
    let (a, b) = place.callers();
    let value = "x".repeat(10_000);
    for index in 0..50 {
        let key = format!("user/{index}");
        a.put(&key, &value, &[]).await;
        assert!(b.get(&key).await.is_some());
    }
    let told = b.stats().await;
    assert!(told.first_level_bytes <= 100_000 && told.first_level_entries <= 9, "{told:?}");
    for index in 0..50 {
        assert!(b.get(&format!("user/{index}")).await.is_some(), "what gave way is still in the store");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_seen_by_every_replica_at_once() {
    if !redis::available() {
        return;
    }
    let place = Place::redis(&[]).await;
    let (a, b) = place.callers();
    let mut times = Vec::new();
    for index in 0..200 {
        let key = format!("user/{index}");
        a.put(&key, "v", &[]).await;
        until_copied(&b, &key, "v").await;
        assert!(a.delete(&key).await);
        let begun = Instant::now();
        eventually(TIMEOUT, "it is gone", async || b.get(&key).await.is_none()).await;
        times.push(begun.elapsed());
    }
    times.sort();
    println!("200 deletes seen elsewhere: p50 {:?}, p99 {:?}, all {:?}", times[99], times[197], times[199]);
    // Those that a busy machine holds up are few.
    assert!(times[179] < Duration::from_secs(1), "{times:?}");

    // So are new values, the replica's own and others'.
    for (index, writer) in [&a, &b].into_iter().cycle().take(20).enumerate() {
        let value = index.to_string();
        writer.put("user/k", &value, &[]).await;
        assert_eq!(writer.get("user/k").await.as_deref(), Some(value.as_str()), "whoever writes reads it");
        for reader in [&a, &b] {
            let seen = async || reader.get("user/k").await.as_deref() == Some(value.as_str());
            eventually(TIMEOUT, "it is there", seen).await;
            until_copied(reader, "user/k", &value).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_reads_it_however_many_read_the_old_one_meanwhile() {
    if !redis::available() {
        return;
    }
    let place = Place::redis(&[]).await;
    let (a, b) = place.callers();
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
async fn a_change_whose_signal_is_lost_is_seen_within_a_second() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let wire = Wire::before(server.port()).await;
    let (a, b) = (Replica::of(server.url(), &[]).await, Replica::of(&wire.url, &[]).await);
    b.until_trusted().await;
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
        let lost = wire.lost();
        wire.lose_signals(true);
        assert!(a.delete(&deleted).await);
        a.invalidate(&["t"]).await;
        let begun = Instant::now();
        eventually(TIMEOUT, "both are gone", async || {
            b.get(&deleted).await.is_none() && b.get(&tagged).await.is_none()
        })
        .await;
        times.push(begun.elapsed());
        wire.lose_signals(false);
        assert!(wire.lost() > lost, "the signals did not come");
        assert!(b.get(&kept).await.is_some());
    }
    times.sort();
    println!("10 changes without a signal seen elsewhere: p50 {:?}, all {:?}", times[4], times[9]);
    // Those that a busy machine holds up are few.
    assert!(times[7] < Duration::from_secs(1), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_is_cut_off_trusts_nothing_until_it_listens_again() {
    if !redis::available() {
        return;
    }
    let place = Place::redis(&[]).await;
    let server = place.redis.as_ref().unwrap();
    let (a, b) = place.callers();
    for index in 0..5 {
        let key = format!("user/{index}");
        a.put(&key, "v", &[]).await;
        until_copied(&b, &key, "v").await;
        let killed = server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        assert!(!killed.is_error(), "{killed:?}");
        assert!(a.delete(&key).await);
        eventually(TIMEOUT, "it is gone", async || b.get(&key).await.is_none()).await;
    }
    place.b.until_trusted().await;
    a.put("user/k", "v", &[]).await;
    until_copied(&b, "user/k", "v").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_before_a_change_is_not_kept_after_it() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let wire = Wire::before(server.port()).await;
    let (writer, reader) = (Replica::of(server.url(), &[]).await, Replica::of(&wire.url, &[]).await);
    reader.until_trusted().await;
    let (a, b) = (writer.caller(), reader.caller());
    a.put("user/k", "late-value", &[]).await;
    wire.hold_back("late-value");
    let reading = tokio::spawn({
        let b = b.clone();
        async move { b.get("user/k").await }
    });
    wire.until_held().await;
    let heard = wire.heard();
    assert!(a.delete("user/k").await);
    eventually(TIMEOUT, "the signal overtakes the answer", async || wire.heard() > heard).await;
    wire.let_go();
    assert_eq!(reading.await.unwrap().as_deref(), Some("late-value"), "it was there when it was asked for");
    eventually(TIMEOUT, "the copy of a deleted entry is gone", async || b.get("user/k").await.is_none())
        .await;
}
