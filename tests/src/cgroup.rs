//! A real cgroup with a memory limit, as a container has one: version 2 or 1, where the machine lets the tests make it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const ROOT: &str = "/sys/fs/cgroup";

/// A cgroup, which is removed when it is dropped. Its processes must have ended by then.
#[derive(Debug)]
pub struct Cgroup {
    folder: PathBuf,
    is_v2: bool,
}

// === impl Cgroup ===

impl Cgroup {
    /// A cgroup with this limit in bytes. If none can be made, reports the skip of `what`.
    #[allow(clippy::print_stderr, reason = "skipped tests are reported")]
    pub fn with_memory(limit: u64, what: &str) -> Option<Self> {
        let found = parents().into_iter().find_map(|(parent, is_v2)| Self::below(&parent, is_v2, limit));
        if found.is_none() {
            eprintln!("SKIPPED: no cgroup with a limit of memory can be made here: {what}");
        }
        found
    }

    fn below(parent: &Path, is_v2: bool, limit: u64) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(format!("dataflow-test-{}-{number}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        let this = Self { folder, is_v2 };
        let name = if is_v2 { "memory.max" } else { "memory.limit_in_bytes" };
        // Version 2 has the file only where the controller is enabled.
        let file = this.folder.join(name);
        (file.exists() && fs::write(&file, limit.to_string()).is_ok()).then_some(this)
    }

    /// The file to which a process writes its number in order to be in the cgroup.
    pub(crate) fn members(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// How many of its processes the kernel has killed for want of memory.
    ///
    /// # Panics
    ///
    /// If the kernel does not tell.
    pub fn killed(&self) -> u64 {
        let name = if self.is_v2 { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(self.folder.join(name)).expect("the cgroup exists");
        let killed = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        killed.and_then(|number| number.trim().parse().ok()).expect("the kernel counts what it kills")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Not while a process is in it: then a test has failed, and says why.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Where a cgroup may be made: below that of this process in version 1, beside it in version 2, where a cgroup with
/// processes has none below it.
fn parents() -> Vec<(PathBuf, bool)> {
    let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let parents = membership.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let path = path.trim_start_matches('/');
        if number == "0" && controllers.is_empty() {
            let beside = Path::new(path).parent().unwrap_or(Path::new(""));
            return Some((Path::new(ROOT).join(beside), true));
        }
        let is_memory = controllers.split(',').any(|controller| controller == "memory");
        is_memory.then(|| (Path::new(ROOT).join("memory").join(path), false))
    });
    parents.collect()
}
