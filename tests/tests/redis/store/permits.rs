//! Permits of a rate limit: a burst, then as many as the time earns, for all callers together.

use std::time::{Duration, Instant};

use dataflow_mesh::rate::RateLimit;
use dataflow_store::key::Space;
use dataflow_store::permits::Taken;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use futures_util::future::join_all;

use super::backend::Stores;

const SPACE: Space = Space::volatile("rate");

/// Nothing is earned during a test.
const HOUR: Duration = Duration::from_secs(3600);

pub(crate) async fn a_burst_is_shared_by_all_handles(Stores { ours, theirs, .. }: Stores) {
    let (key, limit) = (SPACE.key("tenant:a"), RateLimit { interval: HOUR, burst: 5 });
    let first = ours.take(&key, limit, 3).await.unwrap();
    assert_eq!(first, Taken { permits: 3, total: 3, wait: Duration::ZERO });
    let rest = theirs.take(&key, limit, 3).await.unwrap();
    assert_eq!((rest.permits, rest.total), (2, 5));
    let none = ours.take(&key, limit, 1).await.unwrap();
    assert_eq!((none.permits, none.total), (0, 5));
    assert!(none.wait <= HOUR && none.wait > HOUR - TIMEOUT, "{none:?}");
    // Another key has a separate state.
    assert_eq!(theirs.take(&SPACE.key("tenant:b"), limit, 9).await.unwrap().permits, 5);
}

pub(crate) async fn concurrent_takers_get_no_more_than_the_burst(Stores { ours, theirs, .. }: Stores) {
    let (key, limit) = (SPACE.key("a"), RateLimit { interval: HOUR, burst: 50 });
    let take = async |index: usize| {
        let store = if index.is_multiple_of(2) { &ours } else { &theirs };
        store.take(&key, limit, 3).await.unwrap().permits
    };
    let taken = join_all((0..40).map(take)).await;
    assert_eq!(taken.iter().sum::<u32>(), 50, "{taken:?}");
}

pub(crate) async fn a_higher_limit_applies_at_once(Stores { ours, theirs, .. }: Stores) {
    let key = SPACE.key("a");
    let (low, high) =
        (RateLimit { interval: HOUR, burst: 5 }, RateLimit { interval: Duration::from_millis(1), burst: 5 });
    assert_eq!(ours.take(&key, low, 9).await.unwrap().permits, 5);
    let first = theirs.take(&key, high, 9).await.unwrap();
    assert!(first.wait <= high.interval * 5, "{first:?}");
    eventually(TIMEOUT, "the higher limit has permits", async || {
        ours.take(&key, high, 9).await.unwrap().permits > 0
    })
    .await;
}

pub(crate) async fn time_earns_permits(Stores { ours, theirs, .. }: Stores) {
    let limit = RateLimit { interval: Duration::from_millis(10), burst: 2 };
    let (key, start, mut sum) = (SPACE.key("a"), Instant::now(), 0);
    eventually(TIMEOUT, "ten permits are taken", async || {
        sum += ours.take(&key, limit, 9).await.unwrap().permits;
        sum += theirs.take(&key, limit, 1).await.unwrap().permits;
        sum >= 10
    })
    .await;
    // One more, since the clock of the store began a moment before ours.
    let most = limit.burst + limit.earned_in(start.elapsed()) + 1;
    assert!(sum <= most, "{sum} of {most}");
    let limit = RateLimit { interval: Duration::from_micros(1), burst: 1_000_000 };
    let key = SPACE.key("fast");
    let first = ours.take(&key, limit, 1_000_000).await.unwrap();
    assert_eq!((first.permits, first.total), (1_000_000, 1_000_000));
    eventually(TIMEOUT, "a burst is earned", async || {
        theirs.take(&key, limit, 1_000_000).await.unwrap().total >= 2_000_000
    })
    .await;
}
