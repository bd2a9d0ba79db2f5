//! When to fetch again: rarely, but soon after a key was rotated or a server is back. Separate from the fetches, so
//! that it can be tested with a paused clock.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::Timing;

/// The pace of the fetches of one source.
pub(super) struct Pace {
    timing: Timing,
    /// The wait after the next failure, before jitter.
    retry: Duration,
}

// === impl Pace ===

impl Pace {
    pub(super) fn of(timing: &Timing) -> Self {
        Self { timing: *timing, retry: timing.retry.0 }
    }

    /// Waits after a fetch until the next one is due, or is asked for by `refresh`. Anybody can ask, by a token with an
    /// invented key, so that this wait has a lower bound too.
    pub(super) async fn wait(&mut self, succeeded: bool, refresh: &Notify) {
        let Timing { interval, refresh: at_least, retry: (first, longest), .. } = self.timing;
        let due = if succeeded {
            self.retry = first;
            interval
        } else {
            let wait = self.retry;
            self.retry = (wait * 2).min(longest);
            // +/- 50 %, so that the replicas of a gateway do not retry in step.
            wait.mul_f64(0.5 + fastrand::f64())
        };
        let at_least = at_least.min(due);
        sleep(at_least).await;
        tokio::select! {
            // The fetch that is due is also the one that was asked for.
            biased;
            () = refresh.notified() => {}
            () = sleep(due - at_least) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use tokio::time::{Instant, timeout};

    use super::*;

    /// Seconds, and a millisecond more: the resolution of the clock.
    async fn check(pace: &mut Pace, succeeded: bool, refresh: &Notify, expected: RangeInclusive<f64>) {
        let start = Instant::now();
        pace.wait(succeeded, refresh).await;
        let waited = start.elapsed().as_secs_f64();
        assert!(waited >= *expected.start() && waited <= expected.end() + 0.002, "{waited} {expected:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_set_is_fetched_every_five_minutes_and_on_request_at_most_every_two_seconds() {
        let (mut pace, refresh) = (Pace::of(&Timing::default()), Notify::new());
        check(&mut pace, true, &refresh, 300.0..=300.0).await;
        // Before the wait: as if during the fetch, whose response may be older than the new key.
        refresh.notify_one();
        refresh.notify_one();
        check(&mut pace, true, &refresh, 2.0..=2.0).await;
        check(&mut pace, true, &refresh, 300.0..=300.0).await;
        for (asked, expected) in [(1, 2.0), (2, 2.0), (77, 77.0), (299, 299.0)] {
            let ask = async {
                sleep(Duration::from_secs(asked)).await;
                refresh.notify_one();
            };
            tokio::join!(check(&mut pace, true, &refresh, expected..=expected), ask);
        }
        check(&mut pace, true, &refresh, 300.0..=300.0).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_fetch_is_retried_with_backoff() {
        let (mut pace, refresh) = (Pace::of(&Timing::default()), Notify::new());
        for middle in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0] {
            check(&mut pace, false, &refresh, middle * 0.5..=middle * 1.5).await;
        }
        // A server may be back before the backoff ends.
        refresh.notify_one();
        check(&mut pace, false, &refresh, 2.0..=2.0).await;
        check(&mut pace, true, &refresh, 300.0..=300.0).await;
        // A retry that is due earlier is the fetch that was asked for.
        refresh.notify_one();
        check(&mut pace, false, &refresh, 0.5..=1.5).await;
        assert!(timeout(Duration::from_secs(1), refresh.notified()).await.is_err());
    }
}
