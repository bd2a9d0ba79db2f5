//! How long to wait before calling a peer again that did not answer.

use std::time::Duration;

/// First and longest wait, give or take a half, so that the replicas of a service do not all come at once.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The waits of one watch, each twice as long as the one before.
#[derive(Debug)]
pub struct Retry {
    wait: Duration,
}

// === impl Retry ===

impl Retry {
    /// Begins anew, since the peer was heard.
    pub fn heard(&mut self) {
        self.wait = WAITS.0;
    }

    /// Waits.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.wait.mul_f64(0.5 + fastrand::f64())).await;
        self.wait = (self.wait * 2).min(WAITS.1);
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { wait: WAITS.0 }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_a_bound_until_the_peer_is_heard() {
        let mut retry = Retry::default();
        let mut waited = Vec::new();
        for _ in 0..8 {
            let start = Instant::now();
            retry.pause().await;
            waited.push(start.elapsed());
        }
        let within = |wait: Duration, middle: Duration| {
            (middle.mul_f64(0.5)..=middle.mul_f64(1.5) + Duration::from_millis(1)).contains(&wait)
        };
        assert!(within(waited[0], WAITS.0) && within(waited[3], WAITS.0 * 8), "{waited:?}");
        assert!(within(waited[6], WAITS.1) && within(waited[7], WAITS.1), "{waited:?}");
        retry.heard();
        let start = Instant::now();
        retry.pause().await;
        assert!(within(start.elapsed(), WAITS.0));
    }
}
