//! The cgroups of this process: the limits that a container sets, and what has been used of them. Version 2 has one
//! hierarchy, version 1 one for each controller (cgroups(7)). In a container the path may be that outside of it: then
//! only the root exists.

use std::fs;
use std::path::{Path, PathBuf};

/// Limits above this are none: cgroup v1 writes a number near 2^63 for no limit.
const UNLIMITED: u64 = 1 << 60;

/// The cgroups of a process, for each controller innermost first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cgroups {
    memory: Vec<Folder>,
    cpu: Vec<Folder>,
    pids: Vec<Folder>,
}

/// A folder of the file system of cgroups.
#[derive(Debug, Clone)]
struct Folder {
    path: PathBuf,
    is_v2: bool,
}

/// How often the process was throttled, because it had used its share of a period.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Throttling {
    /// Periods in which the process ran.
    pub(crate) periods: u64,
    /// Those of them in which it was throttled.
    pub(crate) throttled: u64,
    /// For how long.
    pub(crate) seconds: f64,
}

// === impl Cgroups ===

impl Cgroups {
    /// The cgroups of this process.
    pub(crate) fn own() -> Self {
        let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::of(Path::new("/sys/fs/cgroup"), &membership)
    }

    /// The cgroups in `/proc/self/cgroup`, below the mount point `root`.
    pub(crate) fn of(root: &Path, membership: &str) -> Self {
        let folders = |controller| folders(root, membership, controller);
        Self { memory: folders("memory"), cpu: folders("cpu"), pids: folders("pids") }
    }

    /// The lowest limit of memory in bytes.
    pub(crate) fn memory_limit(&self) -> Option<u64> {
        lowest(&self.memory, "memory.max", "memory.limit_in_bytes")
    }

    /// The memory in use in bytes, by all processes of the innermost cgroup, with the files that they have read.
    pub(crate) fn memory_used(&self) -> Option<u64> {
        self.memory.iter().find_map(|folder| folder.number("memory.current", "memory.usage_in_bytes"))
    }

    /// The lowest limit of threads.
    pub(crate) fn threads_limit(&self) -> Option<u64> {
        lowest(&self.pids, "pids.max", "pids.max")
    }

    /// The lowest limit of processors, which may be a fraction.
    pub(crate) fn cpu_limit(&self) -> Option<f64> {
        let limits = self.cpu.iter().filter_map(|folder| {
            let (quota, period) = if folder.is_v2 {
                let text = folder.read("cpu.max")?;
                let (quota, period) = text.trim().split_once(' ')?;
                (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?)
            } else {
                let number = |file| folder.read(file)?.trim().parse::<f64>().ok();
                (number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?)
            };
            // Version 1 writes -1 for no limit.
            (quota > 0.0 && period > 0.0).then(|| quota / period)
        });
        limits.min_by(f64::total_cmp)
    }

    /// How often the processes of the innermost cgroup were throttled.
    pub(crate) fn throttling(&self) -> Option<Throttling> {
        let (folder, text) = self.cpu.iter().find_map(|folder| Some((folder, folder.read("cpu.stat")?)))?;
        let number = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            found.and_then(|value| value.trim().parse::<u64>().ok())
        };
        let seconds = if folder.is_v2 {
            number("throttled_usec").map(|micros| micros as f64 / 1e6)
        } else {
            number("throttled_time").map(|nanos| nanos as f64 / 1e9)
        };
        Some(Throttling {
            periods: number("nr_periods")?,
            throttled: number("nr_throttled")?,
            seconds: seconds.unwrap_or_default(),
        })
    }
}

// === impl Folder ===

impl Folder {
    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.path.join(file)).ok()
    }

    fn number(&self, v2: &str, v1: &str) -> Option<u64> {
        self.read(if self.is_v2 { v2 } else { v1 })?.trim().parse().ok()
    }
}

/// The folders of one controller, of both versions.
fn folders(root: &Path, membership: &str, controller: &str) -> Vec<Folder> {
    let hierarchies = membership.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (mount, is_v2) = match (number, controllers) {
            ("0", "") => (root.to_owned(), true),
            (_, controllers) if controllers.split(',').any(|name| name == controller) => {
                (root.join(controller), false)
            }
            _ => return None,
        };
        let innermost = mount.join(path.trim_start_matches('/'));
        let around = innermost.ancestors().take_while(|folder| folder.starts_with(&mount));
        Some(around.map(|path| Folder { path: path.to_owned(), is_v2 }).collect::<Vec<_>>())
    });
    hierarchies.flatten().collect()
}

fn lowest(folders: &[Folder], v2: &str, v1: &str) -> Option<u64> {
    folders.iter().filter_map(|folder| folder.number(v2, v1)).filter(|limit| *limit < UNLIMITED).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(files: &[(&str, &str)]) -> Self {
            let root = tempfile::tempdir().unwrap();
            for (path, value) in files {
                let path = root.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, value).unwrap();
            }
            Self(root)
        }

        fn of(&self, membership: &str) -> Cgroups {
            Cgroups::of(self.0.path(), membership)
        }
    }

    #[test]
    fn the_limit_of_memory_is_the_lowest_of_the_cgroups_around_the_process() {
        let tree = Tree::new(&[
            ("memory.max", "max\n"),
            ("pod/memory.max", "1000\n"),
            ("pod/container/memory.max", "2000\n"),
            ("pod/container/memory.current", "700\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/old/memory.limit_in_bytes", "500\n"),
            ("memory/old/memory.usage_in_bytes", "400\n"),
        ]);
        let check = |membership: &str, limit: Option<u64>, used: Option<u64>| {
            let cgroups = tree.of(membership);
            assert_eq!((cgroups.memory_limit(), cgroups.memory_used()), (limit, used), "{membership:?}");
        };
        check("0::/pod/container\n", Some(1000), Some(700));
        check("0::/\n", None, None);
        check("0::/elsewhere\n", None, None);
        check("4:memory:/old\n0::/\n", Some(500), Some(400));
        check("4:cpu,memory:/\n0::/pod\n", Some(1000), None);
        check("4:cpu:/pod\n", None, None);
        check("", None, None);
    }

    #[test]
    fn the_limits_of_processors_and_threads_are_read_in_both_versions() {
        let tree = Tree::new(&[
            ("pod/cpu.max", "150000 100000\n"),
            ("pod/pids.max", "64\n"),
            ("pod/container/cpu.max", "max 100000\n"),
            ("pod/container/pids.max", "max\n"),
            (
                "pod/container/cpu.stat",
                "usage_usec 9\nnr_periods 10\nnr_throttled 4\nthrottled_usec 2500000\n",
            ),
            ("cpu/old/cpu.cfs_quota_us", "50000\n"),
            ("cpu/old/cpu.cfs_period_us", "100000\n"),
            ("cpu/old/cpu.stat", "nr_periods 8\nnr_throttled 2\nthrottled_time 1500000000\n"),
            ("cpu/free/cpu.cfs_quota_us", "-1\n"),
            ("cpu/free/cpu.cfs_period_us", "100000\n"),
        ]);
        let v2 = tree.of("0::/pod/container\n");
        assert_eq!((v2.cpu_limit(), v2.threads_limit()), (Some(1.5), Some(64)));
        assert_eq!(v2.throttling(), Some(Throttling { periods: 10, throttled: 4, seconds: 2.5 }));
        let v1 = tree.of("3:cpu,cpuacct:/old\n");
        assert_eq!((v1.cpu_limit(), v1.threads_limit()), (Some(0.5), None));
        assert_eq!(v1.throttling(), Some(Throttling { periods: 8, throttled: 2, seconds: 1.5 }));
        let free = tree.of("3:cpu:/free\n");
        assert_eq!((free.cpu_limit(), free.throttling()), (None, None));
    }
}
