//! The load of the process: how late the runtime runs what is due. When it is late for a while, there is more work than
//! the processors do, and the limit of concurrent calls shrinks: with fewer calls in progress, each of them is done
//! sooner, and the rest is rejected at once.
//!
//! A measure of the runtime and not of calls, because their durations say little: a call may wait for an upload, a
//! lease or another service. The least of several delays counts, as in CoDel (RFC 8289), because a delay now and then
//! is no overload.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{Instant, sleep_until};

use crate::metrics::Metrics;

/// How often the delay is measured, and how many measurements are judged together.
const INTERVAL: Duration = Duration::from_millis(20);
const WINDOW: usize = 5;

/// The delay from which on the process counts as overloaded. Other processes on the machine cause shorter ones.
const TARGET: Duration = Duration::from_millis(50);

/// The share of the limit in force, in thousandths: the whole, the least, and what a good window adds. A bad one takes
/// a fifth.
const WHOLE: u32 = 1000;
const LEAST: u32 = 250;
const STEP: u32 = 100;

/// A limit up to this is never made smaller.
const SMALL: u32 = 64;

/// The load of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// The share of the limit in force, in thousandths.
    share: Arc<AtomicU32>,
    gauge: Gauge<f64, AtomicU64>,
}

// === impl Load ===

impl Load {
    /// Not measured yet: the whole limit is in force.
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let this = Self::default();
        this.gauge.set(1.0);
        let help = "Share of the limit of concurrent calls that is in force";
        metrics.register("process_concurrency_share", help, this.gauge.clone());
        this
    }

    /// What is in force of a limit; of a small one, the whole.
    pub(crate) fn limited(&self, limit: u32) -> u32 {
        let share = self.share.load(Ordering::Relaxed);
        if share == WHOLE {
            return limit;
        }
        let scaled = u64::from(limit) * u64::from(share) / u64::from(WHOLE);
        u32::try_from(scaled).unwrap_or(limit).max(limit.min(SMALL))
    }

    /// Measures forever.
    pub(crate) async fn measure(self) {
        loop {
            let mut least = Duration::MAX;
            for _ in 0..WINDOW {
                let due = Instant::now() + INTERVAL;
                sleep_until(due).await;
                least = least.min(due.elapsed());
            }
            self.adapt(least);
        }
    }

    /// Adapts to the least delay of a window.
    fn adapt(&self, delay: Duration) {
        let before = self.share.load(Ordering::Relaxed);
        let now = if delay > TARGET { before - before / 5 } else { before + STEP }.clamp(LEAST, WHOLE);
        if now == before {
            return;
        }
        self.share.store(now, Ordering::Relaxed);
        self.gauge.set(f64::from(now) / f64::from(WHOLE));
        if before == WHOLE {
            tracing::info!(
                delay_ms = delay.as_millis(),
                "load: tasks run late, fewer concurrent calls are allowed"
            );
        } else if now == WHOLE {
            tracing::info!("load: the whole limit of concurrent calls is in force again");
        }
    }
}

/// The whole limit is in force.
impl Default for Load {
    fn default() -> Self {
        Self { share: Arc::new(AtomicU32::new(WHOLE)), gauge: Gauge::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_shrinks_while_tasks_run_late_and_grows_again() {
        let load = Load::default();
        assert_eq!(load.limited(1000), 1000);
        load.adapt(TARGET);
        assert_eq!(load.limited(1000), 1000, "not late");
        load.adapt(TARGET + Duration::from_millis(1));
        assert_eq!(load.limited(1000), 800);
        (0..20).for_each(|_| load.adapt(Duration::MAX));
        assert_eq!([1000, 100, 64, 3].map(|limit| load.limited(limit)), [250, 64, 64, 3]);
        let mut windows = 0;
        while load.limited(1000) < 1000 {
            load.adapt(Duration::ZERO);
            windows += 1;
        }
        assert!(windows < 10, "within a second");
        assert_eq!(load.limited(u32::MAX), u32::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_runtime_in_time_keeps_the_whole_limit() {
        let load = Load::default();
        let measuring = tokio::spawn(load.clone().measure());
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(load.limited(1000), 1000);
        measuring.abort();
    }
}
