//! Exponential backoff with jitter, between attempts at an operation that failed.

use std::time::Duration;

/// The first and the longest wait, +/- 50 %, so that the replicas of a service do not retry in step.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The waits between attempts, each twice as long as the one before.
#[derive(Debug)]
pub struct Backoff {
    wait: Duration,
}

// === impl Backoff ===

impl Backoff {
    /// Restarts with the first wait, after an attempt succeeded.
    pub fn reset(&mut self) {
        self.wait = WAITS.0;
    }

    /// Waits before the next attempt.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.wait.mul_f64(0.5 + fastrand::f64())).await;
        self.wait = (self.wait * 2).min(WAITS.1);
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { wait: WAITS.0 }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_a_bound_until_an_attempt_succeeds() {
        let mut backoff = Backoff::default();
        let mut waited = Vec::new();
        for _ in 0..8 {
            let start = Instant::now();
            backoff.wait().await;
            waited.push(start.elapsed());
        }
        let within = |wait: Duration, middle: Duration| {
            (middle.mul_f64(0.5)..=middle.mul_f64(1.5) + Duration::from_millis(1)).contains(&wait)
        };
        assert!(within(waited[0], WAITS.0) && within(waited[3], WAITS.0 * 8), "{waited:?}");
        assert!(within(waited[6], WAITS.1) && within(waited[7], WAITS.1), "{waited:?}");
        backoff.reset();
        let start = Instant::now();
        backoff.wait().await;
        assert!(within(start.elapsed(), WAITS.0));
    }
}
