//! The memory of the process: its limit, which the cgroup sets, and how close to it the process is. Beyond two marks it
//! does less, instead of being killed with all calls in progress.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;

use crate::metrics::Metrics;

/// The marks, in percent of the limit.
const SOFT: u64 = 75;
const HARD: u64 = 90;

/// Interval at which the memory is measured. Reading it takes some microseconds.
const INTERVAL: Duration = Duration::from_millis(100);

/// Limits above this are none: cgroup v1 writes a number near 2^63 for no limit.
const UNLIMITED: u64 = 1 << 60;

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
        self.limit = limit.or_else(cgroup_limit);
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

/// The limit of the cgroup of this process, and of those around it.
fn cgroup_limit() -> Option<u64> {
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    limit_in(Path::new("/sys/fs/cgroup"), &membership)
}

/// The lowest limit of the cgroups in `/proc/self/cgroup`, below the mount point `root`: version 2 has one hierarchy,
/// version 1 one for memory (cgroups(7)). In a container the path may be that outside of it: then only the root exists.
fn limit_in(root: &Path, membership: &str) -> Option<u64> {
    let limits = membership.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (mount, file) = match (number, controllers) {
            ("0", "") => (root.to_owned(), "memory.max"),
            (_, controllers) if controllers.split(',').any(|name| name == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let innermost = mount.join(path.trim_start_matches('/'));
        let around: Vec<PathBuf> = innermost
            .ancestors()
            .take_while(|folder| folder.starts_with(&mount))
            .map(Path::to_owned)
            .collect();
        let limit = |folder: PathBuf| fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
        around.into_iter().filter_map(limit).filter(|limit| *limit < UNLIMITED).min()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_lowest_of_the_cgroups_around_the_process() {
        let root = std::env::temp_dir().join(format!("cgroup-{}-{}", std::process::id(), fastrand::u64(..)));
        let write = |path: &str, value: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, value).unwrap();
        };
        write("memory.max", "max\n");
        write("pod/memory.max", "1000\n");
        write("pod/container/memory.max", "2000\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/old/memory.limit_in_bytes", "500\n");
        let check = |membership: &str, expected: Option<u64>| {
            assert_eq!(limit_in(&root, membership), expected, "{membership:?}");
        };
        check("0::/pod/container\n", Some(1000));
        check("0::/\n", None);
        check("0::/elsewhere\n", None);
        check("4:memory:/old\n0::/\n", Some(500));
        check("4:cpu,memory:/\n0::/pod\n", Some(1000));
        check("4:cpu:/pod\n", None);
        check("", None);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_level_follows_the_marks() {
        assert_eq!(level_at(74, 100), Level::Normal);
        assert_eq!(level_at(75, 100), Level::Soft);
        assert_eq!(level_at(90, 100), Level::Hard);
        assert_eq!(level_at(500, 0), Level::Normal);
        assert!(resident().is_some_and(|bytes| bytes > 1 << 20));
    }
}
