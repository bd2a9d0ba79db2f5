//! The memory of the process: its limit, which the cgroup sets, and how close to it the process is. Beyond two marks it
//! does less, instead of being killed with all calls in progress.

use std::fs;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;

use crate::cgroup::Cgroups;
use crate::metrics::Metrics;

/// The marks, in percent of the limit.
const SOFT: u64 = 75;
const HARD: u64 = 90;

/// Interval at which the memory is measured. Reading it takes some microseconds.
const INTERVAL: Duration = Duration::from_millis(100);

/// How close the process is to its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// Below both marks, or without a limit.
    #[default]
    Normal,
    /// Above 75 %: caches are emptied, and bulk calls are rejected while others are in progress.
    Soft,
    /// Above 90 %: calls are rejected while others are in progress; health checks and reflection are not.
    Hard,
}

/// The memory of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Memory {
    limit: Option<u64>,
    level: watch::Receiver<Level>,
    gauges: Gauges,
}

/// Zero without a limit.
#[derive(Debug, Clone, Default)]
struct Gauges {
    limit: Gauge,
    level: Gauge,
}

// === impl Memory ===

impl Memory {
    /// Without a limit, and not shown by metrics.
    pub(crate) fn unlimited() -> Self {
        Self { limit: None, level: watch::channel(Level::Normal).1, gauges: Gauges::default() }
    }

    /// As if the process were so close to a limit.
    #[cfg(test)]
    pub(crate) fn at(level: Level) -> Self {
        Self { level: watch::channel(level).1, ..Self::unlimited() }
    }

    /// Without a limit so far.
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let this = Self::unlimited();
        let Gauges { limit, level } = this.gauges.clone();
        metrics.register("process_memory_limit_bytes", "Limit of memory, 0 without one", limit);
        metrics.register("process_memory_level", "Closeness to the limit of memory", level);
        this
    }

    /// Sets the limit in bytes, or that of the cgroup. Returns the task that measures, if there is one.
    pub(crate) fn limit_to(&mut self, limit: Option<u64>) -> Option<impl Future<Output = ()> + use<>> {
        self.limit = limit.or_else(|| Cgroups::own().memory_limit());
        let limit = self.limit?;
        let (sender, level) = watch::channel(Level::Normal);
        self.level = level;
        self.gauges.limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
        Some(measure(limit, sender, self.gauges.level.clone()))
    }

    /// The limit in bytes, if there is one.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// How close the process is to its limit.
    pub fn level(&self) -> Level {
        *self.level.borrow()
    }

    /// Resolves when the level has changed; never without a limit.
    pub async fn changed(&mut self) -> Level {
        if self.level.changed().await.is_err() {
            return std::future::pending().await;
        }
        *self.level.borrow_and_update()
    }
}

async fn measure(limit: u64, level: watch::Sender<Level>, gauge: Gauge) {
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        interval.tick().await;
        let Some(used) = resident() else { continue };
        let now = level_at(used, limit);
        let before = *level.borrow();
        if now == before {
            continue;
        }
        gauge.set(i64::from(now as u8));
        level.send_replace(now);
        if now > before {
            tracing::warn!(used, limit, level = ?now, "memory: above a mark");
        } else {
            tracing::info!(used, limit, level = ?now, "memory: below a mark");
        }
    }
}

fn level_at(used: u64, limit: u64) -> Level {
    match used.saturating_mul(100).checked_div(limit) {
        Some(percent) if percent >= HARD => Level::Hard,
        Some(percent) if percent >= SOFT => Level::Soft,
        _ => Level::Normal,
    }
}

/// The resident memory of this process in bytes.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_follows_the_marks() {
        assert_eq!(level_at(74, 100), Level::Normal);
        assert_eq!(level_at(75, 100), Level::Soft);
        assert_eq!(level_at(90, 100), Level::Hard);
        assert_eq!(level_at(500, 0), Level::Normal);
        assert!(resident().is_some_and(|bytes| bytes > 1 << 20));
    }
}
