//! Leases (single flight): of all callers that miss the same entry one computes it, and none waits for a dead holder.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dataflow_proto::cache::v1 as pb;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::caller::{Caller, entry, lease, millis, set, text};
use super::replicas::{Replicas, everywhere};

/// Long before the awaited lease expires, after ten seconds, even on a busy machine.
const SOON: Duration = Duration::from_secs(5);

/// Requests an entry or its lease, and waits up to half a minute.
async fn wait_for(caller: Caller, key: &'static str) -> (pb::LeaseEntryResponse, Duration) {
    let begun = Instant::now();
    let request = pb::LeaseEntryRequest { wait: millis(30_000), hold: millis(30_000), ..lease(key, &[]) };
    (caller.lease_entry(request).await.unwrap(), begun.elapsed())
}

/// Waits until the two replicas serve this many LeaseEntry calls.
async fn until_waiting(replicas: &Replicas, count: u64) {
    let serving = || replicas.a.in_flight("LeaseEntry") + replicas.b.in_flight("LeaseEntry");
    eventually(TIMEOUT, "they wait", async || serving() == count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_misses_one_computes_for_all() {
    const CALLERS: usize = 100;
    everywhere(&[], async |replicas: &Replicas| {
        let (a, b) = replicas.callers();
        let computed = Arc::new(AtomicUsize::new(0));
        let (all_wait, waiting) = tokio::sync::watch::channel(false);
        let calls = (0..CALLERS).map(|index| {
            let caller = if index % 2 == 0 { a.clone() } else { b.clone() };
            let (computed, mut waiting) = (Arc::clone(&computed), waiting.clone());
            tokio::spawn(async move {
                let (answer, _) = wait_for(caller.clone(), "user/k").await;
                if let Some(pb::Lease { token, generations, .. }) = answer.lease {
                    computed.fetch_add(1, Ordering::Relaxed);
                    // The computation lasts until all others wait.
                    waiting.wait_for(|all| *all).await.unwrap();
                    let wanted = set(entry("user/k", "computed", &[]));
                    let stored = caller.set_entry(pb::SetEntryRequest { token, generations, ..wanted }).await;
                    assert!(stored.unwrap().stored);
                    return "computed".to_owned();
                }
                text(&answer.entry.expect("an entry or a lease"))
            })
        });
        let calls: Vec<_> = calls.collect();
        until_waiting(replicas, 99).await;
        let begun = Instant::now();
        all_wait.send(true).unwrap();
        let values = join_all(calls).await;
        println!("99 waiters had the value {:?} after the start of its write", begun.elapsed());
        assert!(values.into_iter().all(|value| value.unwrap() == "computed"));
        assert_eq!(computed.load(Ordering::Relaxed), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_of_a_dead_holder_goes_to_the_next_when_it_expires() {
    everywhere(&[], async |replicas: &Replicas| {
        let (a, b) = replicas.callers();
        let short = pb::LeaseEntryRequest { hold: millis(400), ..lease("user/k", &[]) };
        let begun = Instant::now();
        let lost = a.lease_entry(short).await.unwrap().lease.unwrap();
        let (answer, _) = wait_for(b.clone(), "user/k").await;
        let took = begun.elapsed();
        assert!(answer.lease.is_some(), "{answer:?}");
        // The next caller would wait for half a minute.
        assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(20), "{took:?}");
        // The holder was not dead, but is too late.
        let request = pb::SetEntryRequest { token: lost.token, ..set(entry("user/k", "late", &[])) };
        assert_eq!(a.set_entry(request).await.unwrap(), pb::SetEntryResponse::default());
        assert_eq!(a.get("user/k").await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_lease_goes_to_the_next_waiter() {
    everywhere(&[], async |replicas: &Replicas| {
        let (a, b) = replicas.callers();
        for (holder, waiter) in [(&a, &b), (&b, &a), (&a, &a)] {
            let pb::Lease { token, .. } = holder.take("user/k", &[]).await;
            let waiting = tokio::spawn(wait_for(waiter.clone(), "user/k"));
            until_waiting(replicas, 1).await;
            let begun = Instant::now();
            let request = pb::ReleaseLeaseRequest { key: "user/k".to_owned(), token };
            assert!(holder.release_lease(request.clone()).await.unwrap().released);
            let (answer, _) = waiting.await.unwrap();
            let took = begun.elapsed();
            assert!(took < SOON, "{took:?}");
            assert!(!holder.release_lease(request).await.unwrap().released, "only once");
            let token = answer.lease.expect("the lease").token;
            let request = pb::ReleaseLeaseRequest { key: "user/k".to_owned(), token };
            assert!(waiter.release_lease(request).await.unwrap().released);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiters_have_their_own_timeouts() {
    everywhere(&[], async |replicas: &Replicas| {
        let (a, b) = replicas.callers();
        let pb::Lease { token, .. } = a.take("user/k", &[]).await;
        for (caller, wait) in [(&a, 0), (&b, 0), (&a, 300), (&b, 300)] {
            let begun = Instant::now();
            let request = pb::LeaseEntryRequest { wait: millis(wait), ..lease("user/k", &[]) };
            let answer = caller.lease_entry(request).await.unwrap();
            let took = begun.elapsed();
            assert_eq!(answer, pb::LeaseEntryResponse::default(), "neither entry nor lease");
            assert!(took >= Duration::from_millis(wait), "{took:?}");
            assert!(took < Duration::from_millis(wait) + SOON, "{took:?}");
        }
        // The value wakes the waiters, as a released lease does.
        let waiting = [&a, &b].map(|caller| tokio::spawn(wait_for(caller.clone(), "user/k")));
        until_waiting(replicas, 2).await;
        let request = pb::SetEntryRequest { token, ..set(entry("user/k", "v", &[])) };
        assert!(b.set_entry(request).await.unwrap().stored);
        let begun = Instant::now();
        for waiting in waiting {
            let (answer, _) = waiting.await.unwrap();
            assert_eq!(text(&answer.entry.unwrap()), "v");
        }
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        // An existing entry is returned without a lease.
        let answer = b.lease_entry(lease("user/k", &[])).await.unwrap();
        assert!(answer.lease.is_none() && answer.entry.is_some_and(|entry| !entry.stale));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_value_is_returned_to_callers_that_accept_it() {
    everywhere(&[], async |replicas: &Replicas| {
        let (a, b) = replicas.callers();
        a.put("user/k", "old", &["t"]).await;
        a.invalidate(&["t"]).await;
        let request = |accept_stale| pb::LeaseEntryRequest { accept_stale, ..lease("user/k", &["t"]) };
        // The first caller gets the lease, even if it accepts stale values.
        let pb::LeaseEntryResponse { entry: none, lease, .. } = a.lease_entry(request(true)).await.unwrap();
        let pb::Lease { token, generations, .. } = lease.unwrap();
        assert_eq!(none, None);
        for caller in [&a, &b] {
            let answer = caller.lease_entry(request(true)).await.unwrap();
            let stale = answer.entry.expect("a stale entry");
            assert!(stale.stale && answer.lease.is_none() && text(&stale) == "old", "{stale:?}");
            assert_eq!(stale.ttl, millis(0));
            assert_eq!(caller.lease_entry(request(false)).await.unwrap(), pb::LeaseEntryResponse::default());
            assert_eq!(caller.get("user/k").await, None, "plain reads never return stale values");
        }
        assert!(a.stats().await.stale_hits > 0);
        let wanted = set(entry("user/k", "new", &["t"]));
        assert!(a.set_entry(pb::SetEntryRequest { token, generations, ..wanted }).await.unwrap().stored);
        for caller in [&a, &b] {
            let answer = caller.lease_entry(request(true)).await.unwrap();
            assert!(answer.entry.is_some_and(|entry| !entry.stale && text(&entry) == "new"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_during_the_computation_revokes_the_lease() {
    everywhere(&[], async |replicas: &Replicas| {
        let (a, b) = replicas.callers();
        let late = |token| pb::SetEntryRequest { token, ..set(entry("user/k", "late", &[])) };

        let pb::Lease { token, .. } = a.take("user/k", &[]).await;
        assert!(!b.delete("user/k").await, "there is no entry yet");
        assert_eq!(a.set_entry(late(token)).await.unwrap(), pb::SetEntryResponse::default());
        assert_eq!(a.get("user/k").await, None);

        let pb::Lease { token, .. } = a.take("user/k", &[]).await;
        let request = pb::DeletePrefixRequest { prefix: "user/".to_owned() };
        assert_eq!(b.delete_prefix(request).await.unwrap().deleted, 0);
        // An entry that is being computed does not exist yet, so its lease stays.
        assert!(a.set_entry(late(token)).await.unwrap().stored);
        assert!(b.delete("user/k").await);
        eventually(TIMEOUT, "the other replica has dropped its copy", async || {
            a.get("user/k").await.is_none()
        })
        .await;

        let pb::Lease { token, .. } = a.take("user/k", &[]).await;
        b.put("user/k", "newer", &[]).await;
        assert_eq!(a.set_entry(late(token.clone())).await.unwrap(), pb::SetEntryResponse::default());
        eventually(TIMEOUT, "both read the newer value", async || {
            a.get("user/k").await.as_deref() == Some("newer")
                && b.get("user/k").await.as_deref() == Some("newer")
        })
        .await;
        let request = pb::ReleaseLeaseRequest { key: "user/k".to_owned(), token };
        assert!(!a.release_lease(request).await.unwrap().released);
    })
    .await;
}
