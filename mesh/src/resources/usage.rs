//! Reads what the process uses, and how much it may use.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{Resource as Limit, UsageWho, getrlimit, getrusage};
use nix::sys::statvfs::statvfs;
use nix::sys::time::TimeValLike;

use crate::cgroup::{Cgroups, Throttling};

/// A resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Processors, on average over a minute, against the quota of the cgroup or the number of processors.
    Cpu,
    /// Periods of the last minute in which the process was throttled, against all in which it ran.
    CpuThrottling,
    /// Resident bytes against the limit of memory.
    Memory,
    /// File descriptors against the limit of the process.
    Descriptors,
    /// Threads against the limit of the cgroup.
    Threads,
    /// Bytes in use of the disk of `--data-dir`, against all that the process may use.
    Disk,
}

/// The use of a resource that has a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// The resource.
    pub resource: Resource,
    /// What is in use.
    pub used: f64,
    /// What may be used, more than 0.
    pub limit: f64,
}

/// The time of processors that the process has had.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct CpuTime {
    seconds: f64,
    throttling: Option<Throttling>,
}

/// What the process may use and uses at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Limits {
    processors: f64,
    memory: Option<u64>,
    threads: Option<u64>,
    process: ProcessUsage,
}

/// What the process itself uses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct ProcessUsage {
    pub(super) resident: u64,
    pub(super) virtual_memory: u64,
    pub(super) threads: u64,
    pub(super) descriptors: u64,
    pub(super) max_descriptors: u64,
}

// === impl Resource ===

impl Resource {
    /// All resources.
    pub const ALL: [Self; 6] =
        [Self::Cpu, Self::CpuThrottling, Self::Memory, Self::Descriptors, Self::Threads, Self::Disk];

    /// Its name in labels and in the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::CpuThrottling => "cpu_throttling",
            Self::Memory => "memory",
            Self::Descriptors => "descriptors",
            Self::Threads => "threads",
            Self::Disk => "disk",
        }
    }
}

// === impl Usage ===

impl Usage {
    /// The share of the limit that is in use.
    pub fn ratio(&self) -> f64 {
        self.used / self.limit
    }

    fn of(resource: Resource, used: u64, limit: Option<u64>) -> Option<Self> {
        let limit = limit.filter(|limit| *limit > 0)?;
        Some(Self { resource, used: used as f64, limit: limit as f64 })
    }
}

// === impl CpuTime ===

impl CpuTime {
    pub(super) fn read(cgroups: &Cgroups) -> Self {
        Self { seconds: cpu_seconds(), throttling: cgroups.throttling() }
    }

    /// What was used since an earlier moment; nothing if no time has passed.
    pub(super) fn since(self, before: Self, elapsed: Duration, limits: &Limits) -> Vec<Usage> {
        if elapsed.is_zero() {
            return Vec::new();
        }
        let used = (self.seconds - before.seconds).max(0.0) / elapsed.as_secs_f64();
        let cpu = Usage { resource: Resource::Cpu, used, limit: limits.processors };
        let throttling = self.throttling.zip(before.throttling).and_then(|(now, before)| {
            let throttled = now.throttled.saturating_sub(before.throttled);
            Usage::of(Resource::CpuThrottling, throttled, now.periods.checked_sub(before.periods))
        });
        [cpu].into_iter().chain(throttling).collect()
    }
}

// === impl Limits ===

impl Limits {
    pub(super) fn read(cgroups: &Cgroups, memory: Option<u64>) -> Self {
        let processors = || std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
        Self {
            processors: cgroups.cpu_limit().unwrap_or_else(processors),
            memory,
            threads: cgroups.threads_limit(),
            process: ProcessUsage::read(),
        }
    }

    /// What is used of those that exist.
    pub(super) fn used(&self) -> impl Iterator<Item = Usage> + use<> {
        let ProcessUsage { resident, threads, descriptors, max_descriptors, .. } = self.process;
        let all = [
            Usage::of(Resource::Memory, resident, self.memory),
            Usage::of(Resource::Descriptors, descriptors, Some(max_descriptors)),
            Usage::of(Resource::Threads, threads, self.threads),
        ];
        all.into_iter().flatten()
    }
}

// === impl ProcessUsage ===

impl ProcessUsage {
    pub(super) fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let number = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name))?.trim();
            value.strip_suffix(" kB").unwrap_or(value).parse::<u64>().ok()
        };
        let bytes = |name: &str| number(name).unwrap_or_default() * 1024;
        Self {
            resident: bytes("VmRSS:"),
            virtual_memory: bytes("VmSize:"),
            threads: number("Threads:").unwrap_or_default(),
            descriptors: open_descriptors(),
            max_descriptors: getrlimit(Limit::RLIMIT_NOFILE).map_or(0, |(limit, _)| limit),
        }
    }
}

/// The time of processors that the process has had, in seconds.
pub(super) fn cpu_seconds() -> f64 {
    getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |used| {
        let micros = used.user_time().num_microseconds() + used.system_time().num_microseconds();
        micros as f64 / 1e6
    })
}

/// The open file descriptors. Linux 6.2 and later count them without listing them.
fn open_descriptors() -> u64 {
    let folder = Path::new("/proc/self/fd");
    match fs::metadata(folder).map(|folder| folder.len()) {
        Ok(count) if count > 0 => count,
        // One of those listed reads the list.
        _ => fs::read_dir(folder).map_or(0, |all| all.count().saturating_sub(1) as u64),
    }
}

/// The disk of a directory; `None` if it cannot be read, which the store reports itself.
pub(super) fn disk(directory: &Path) -> Option<Usage> {
    let disk = statvfs(directory).ok()?;
    let free = disk.blocks_available();
    let used = disk.blocks().saturating_sub(disk.blocks_free());
    // Without what is reserved for root.
    Usage::of(Resource::Disk, used, Some(used + free)).map(|usage| {
        let size = disk.fragment_size() as f64;
        Usage { used: usage.used * size, limit: usage.limit * size, ..usage }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_use_of_processors_is_a_rate() {
        let limits = Limits { processors: 2.0, ..Limits::default() };
        let throttling = |periods, throttled| Some(Throttling { periods, throttled, seconds: 0.0 });
        let before = CpuTime { seconds: 10.0, throttling: throttling(100, 5) };
        let now = CpuTime { seconds: 40.0, throttling: throttling(300, 105) };
        let used = now.since(before, Duration::from_secs(20), &limits);
        let ratios: Vec<_> = used.iter().map(|usage| (usage.resource.name(), usage.ratio())).collect();
        assert_eq!(ratios, [("cpu", 0.75), ("cpu_throttling", 0.5)]);
        assert!(now.since(before, Duration::ZERO, &limits).is_empty());
        let idle = before.since(before, Duration::from_secs(20), &limits);
        assert_eq!(idle.len(), 1, "in no period there is no share that was throttled");
    }

    #[test]
    fn the_process_has_threads_descriptors_and_memory() {
        let usage = ProcessUsage::read();
        assert!(usage.threads > 0 && usage.descriptors > 2, "{usage:?}");
        assert!(usage.resident > 1 << 20 && usage.virtual_memory >= usage.resident, "{usage:?}");
        assert!(usage.max_descriptors >= usage.descriptors, "{usage:?}");
        assert!(disk(Path::new("/nowhere")).is_none());
    }
}
