//! Polls until a condition is true: checks it repeatedly with a pause between checks, and fails after a timeout with
//! the name of the condition. Only this module sleeps in tests.
//!
//! The timeout only makes sure that a test ends; it is far longer than anything takes on the busiest machine. Without
//! the pause the polling would take CPU time from the code under test.

use std::thread;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

/// The timeout of every step of a test: far longer than it takes on the busiest machine.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// The pause between two checks.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `condition` is true and returns how long it took.
///
/// # Panics
///
/// If it is not true within `limit`, also if the condition itself does not return.
pub async fn eventually(limit: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) -> Duration {
    let start = Instant::now();
    let polling = async {
        while !condition().await {
            sleep(PAUSE).await;
        }
    };
    let result = timeout(limit, polling).await;
    assert!(result.is_ok(), "not within {limit:?}: {what}");
    start.elapsed()
}

/// The same for blocking code.
///
/// # Panics
///
/// If it is not true within `limit`.
pub fn eventually_blocking(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(PAUSE);
    }
    start.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_polls_until_the_condition_is_true() {
        let mut checks = 0;
        eventually(TIMEOUT, "three checks", async || {
            checks += 1;
            checks == 3
        })
        .await;
        assert_eq!(checks, 3);
        assert!(
            eventually_blocking(TIMEOUT, "two more", || {
                checks += 1;
                checks == 5
            }) >= PAUSE
        );
    }

    #[tokio::test(start_paused = true)]
    #[should_panic = "not within 60s: it never happens"]
    async fn it_times_out_if_the_condition_does_not_return() {
        eventually(TIMEOUT, "it never happens", async || std::future::pending().await).await;
    }

    #[test]
    #[should_panic = "not within 10ms: it never happens"]
    fn the_blocking_variant_times_out_too() {
        eventually_blocking(Duration::from_millis(10), "it never happens", || false);
    }
}
