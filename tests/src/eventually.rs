//! Waiting for what takes some moments: looks again and again, leaves a pause between two looks, and fails after a limit,
//! naming what it waited for. The one place in tests that sleeps.
//!
//! The limit is there so that a test ends, not to measure: far more than it takes on the busiest machine. Without a pause
//! those who are waited for would have to share the processor with whoever waits.

use std::thread;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

/// Longest that anything of a test may take: far more than it needs on the busiest machine.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// How long those who are waited for are left alone between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `condition` holds; how long it took.
///
/// # Panics
///
/// When it does not hold within `limit`, be it because the condition itself does not answer.
pub async fn eventually(limit: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) -> Duration {
    let begun = Instant::now();
    let looking = async {
        while !condition().await {
            sleep(PAUSE).await;
        }
    };
    let held = timeout(limit, looking).await;
    assert!(held.is_ok(), "not within {limit:?}: {what}");
    begun.elapsed()
}

/// The same on a thread of its own, which it holds up.
///
/// # Panics
///
/// When it does not hold within `limit`.
pub fn eventually_blocking(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(PAUSE);
    }
    begun.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_looks_until_the_condition_holds() {
        let mut looks = 0;
        eventually(TIMEOUT, "three looks", async || {
            looks += 1;
            looks == 3
        })
        .await;
        assert_eq!(looks, 3);
        assert!(
            eventually_blocking(TIMEOUT, "two more", || {
                looks += 1;
                looks == 5
            }) >= PAUSE
        );
    }

    #[tokio::test(start_paused = true)]
    #[should_panic = "not within 60s: pigs fly"]
    async fn it_ends_when_the_condition_does_not_answer() {
        eventually(TIMEOUT, "pigs fly", async || std::future::pending().await).await;
    }

    #[test]
    #[should_panic = "not within 10ms: pigs fly"]
    fn it_ends_on_a_thread_too() {
        eventually_blocking(Duration::from_millis(10), "pigs fly", || false);
    }
}
