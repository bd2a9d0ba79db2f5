//! Tags: invalidation makes entries stale atomically, and a value computed before it is stale however late it is
//! written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dataflow_cache::entries::{Entries, Over, Written};
use dataflow_cache::entry::New;
use dataflow_cache::key;
use dataflow_mesh::args::LimitArgs;
use dataflow_mesh::metrics::Metrics;
use dataflow_proto::cache::v1 as pb;
use dataflow_settings::Live;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis;
use dataflow_tests::services;
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout};

use super::caller::{Caller, entry, owned, set};
use super::replicas::{Replica, Replicas, everywhere};

/// Entries with one tag.
const MANY: usize = 10_000;

/// Keys of one batch read.
const BATCH: usize = 250;

async fn generations(caller: &Caller, tags: &[&str]) -> Vec<pb::TagGeneration> {
    let request = pb::GetGenerationsRequest { tags: owned(tags), ..Default::default() };
    caller.get_generations(request).await.unwrap().generations
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalidated_tag_makes_its_entries_stale_and_no_others() {
    everywhere(&[], async |replicas: &Replicas| {
        let (a, b) = replicas.callers();
        a.put("user/1", "v", &["x", "y"]).await;
        a.put("user/2", "v", &["y"]).await;
        a.put("user/3", "v", &["z"]).await;
        a.put("user/4", "v", &[]).await;
        for key in ["user/1", "user/2", "user/3", "user/4"] {
            for caller in [&a, &b, &a, &b] {
                assert!(caller.get(key).await.is_some(), "{key}");
            }
        }
        a.invalidate(&["x", "never-used"]).await;
        assert_eq!(a.get("user/1").await, None, "the invalidating replica drops its copies immediately");
        eventually(TIMEOUT, "the other replica drops its copies", async || b.get("user/1").await.is_none())
            .await;
        for key in ["user/2", "user/3", "user/4"] {
            assert!(a.get(key).await.is_some() && b.get(key).await.is_some(), "{key}");
        }
        a.invalidate(&["y", "z"]).await;
        for key in ["user/2", "user/3"] {
            assert_eq!(a.get(key).await, None, "{key}");
        }
        assert!(a.get("user/4").await.is_some());
        // Values computed from now on are fresh.
        b.put("user/1", "w", &["x", "y"]).await;
        eventually(TIMEOUT, "both read it", async || {
            a.get("user/1").await.as_deref() == Some("w") && b.get("user/1").await.as_deref() == Some("w")
        })
        .await;
        a.invalidate(&[]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_computed_before_an_invalidation_never_becomes_fresh() {
    everywhere(&[], async |replicas: &Replicas| {
        let (a, b) = replicas.callers();
        // Under a lease, with the generations that came with it.
        let pb::Lease { token, generations: taken, .. } = a.take("user/1", &["t", "s"]).await;
        assert_eq!(taken.iter().map(|taken| taken.tag.as_str()).collect::<Vec<_>>(), ["t", "s"]);
        b.invalidate(&["t"]).await;
        let late = set(entry("user/1", "old", &["t", "s"]));
        let late = pb::SetEntryRequest { token, generations: taken, ..late };
        assert!(a.set_entry(late).await.unwrap().stored, "the lease is still valid");
        assert_eq!((a.get("user/1").await, b.get("user/1").await), (None, None));

        // Without a lease, with generations read earlier, in another order, and with an additional one.
        let mut earlier = generations(&b, &["t", "s", "u"]).await;
        earlier.reverse();
        let with =
            |generations| pb::SetEntryRequest { generations, ..set(entry("user/2", "v", &["t", "s"])) };
        assert!(b.set_entry(with(earlier.clone())).await.unwrap().stored);
        assert_eq!(a.get("user/2").await.as_deref(), Some("v"), "nothing was invalidated meanwhile");
        a.invalidate(&["s"]).await;
        assert!(b.set_entry(with(earlier)).await.unwrap().stored);
        assert_eq!((a.get("user/2").await, b.get("user/2").await), (None, None));

        // With the current generations it is not detected, as documented.
        assert!(b.set_entry(with(Vec::new())).await.unwrap().stored);
        assert_eq!(a.get("user/2").await.as_deref(), Some("v"));

        let [before, after] = [generations(&a, &["t"]).await, {
            b.invalidate(&["t"]).await;
            generations(&a, &["t"]).await
        }];
        assert_ne!(before, after);
        assert_eq!(generations(&b, &["t"]).await, after, "all replicas return the same");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_entries_are_invalidated_atomically() {
    check_many("embedded", &Replicas::embedded(&[]).await).await;
    if redis::available() {
        check_many("redis", &Replicas::redis(&[]).await).await;
    }
}

async fn check_many(what: &str, replicas: &Replicas) {
    let (a, b) = replicas.callers();
    fill(&replicas.a).await;

    let done = Arc::new(AtomicBool::new(false));
    let readers = [&a, &b].map(|caller| tokio::spawn(sweep(caller.clone(), Arc::clone(&done))));
    // Both replicas have read some complete batches.
    for caller in [&a, &b] {
        eventually(TIMEOUT, "they read", async || {
            let stats = caller.stats().await;
            stats.first_level_hits + stats.store_hits >= 2 * i64::try_from(BATCH).unwrap()
        })
        .await;
    }
    let begun = Instant::now();
    a.invalidate(&["many"]).await;
    let took = begun.elapsed();
    eventually(TIMEOUT, "the other replica has dropped its copy", async || b.get(&key(0)).await.is_none())
        .await;
    done.store(true, Ordering::Release);
    for reader in readers {
        let (fresh, stale) = timeout(TIMEOUT, reader).await.expect("the reader sees stale entries").unwrap();
        assert!(fresh > 0 && stale > 0, "it read before and after the invalidation: {fresh}, {stale}");
    }

    // The duration without concurrent reads: about as long as for a tag without entries.
    let (mut times, mut without) = (Vec::new(), Vec::new());
    for _ in 0..21 {
        for (tag, times) in [("many", &mut times), ("none", &mut without)] {
            let begun = Instant::now();
            a.invalidate(&[tag]).await;
            times.push(begun.elapsed());
        }
    }
    times.sort();
    without.sort();
    let [median, other] = [times[10], without[10]];
    println!(
        "{what}: {MANY} entries invalidated in {took:?} under load, at the median {median:?}, none {other:?}"
    );
    assert!(median < 4 * other + Duration::from_millis(5), "{times:?} {without:?}");
}

/// Stores all entries directly in the store, since calls would take most of the time.
async fn fill(replica: &Replica) {
    let limits = services::args::<LimitArgs>(&[]);
    let entries = Entries::new(Arc::clone(&replica.store), 0, Live::fixed(limits), &Metrics::default());
    let outside = key::Caller::default();
    let tags = vec![outside.namespace("").unwrap().tag("many").unwrap()];
    let taken = entries.generations(&tags).await.unwrap();
    let put = async |index| {
        let new = New {
            value: Bytes::from_static(b"v"),
            content_type: String::new(),
            ttl: Duration::from_secs(600),
            grace: Duration::ZERO,
            tags: tags.clone(),
        };
        let at = outside.key(&key(index)).unwrap();
        let written = entries.set(&at, new, Some(taken.clone()), Over::Anything).await.unwrap();
        assert!(matches!(written, Written::Stored(_)), "{written:?}");
    };
    stream::iter(0..MANY).map(put).buffer_unordered(64).collect::<()>().await;
}

fn key(index: usize) -> String {
    format!("user/many/{index}")
}

/// Reads all entries repeatedly: after a stale one none is fresh. Returns the number of fresh and of stale batches.
async fn sweep(caller: Caller, done: Arc<AtomicBool>) -> (usize, usize) {
    let (mut fresh, mut stale) = (0, 0);
    while !done.load(Ordering::Acquire) || stale == 0 {
        for first in (0..MANY).step_by(BATCH) {
            let keys = (first..first + BATCH).map(key).collect();
            let answer = caller.batch_get_entries(pb::BatchGetEntriesRequest { keys }).await.unwrap();
            // Within a batch there is no order; between batches there is.
            assert!(
                stale == 0 || answer.entries.is_empty(),
                "{} entries became fresh again",
                answer.entries.len()
            );
            if answer.missing.is_empty() { fresh += 1 } else { stale += 1 }
        }
    }
    (fresh, stale)
}
