//! The resources of the process against their limits: processors and throttling, memory, descriptors, threads, and the
//! disk of `--data-dir`. A mark tells an operator before a limit does harm. Memory has marks of its own
//! ([`memory`](crate::memory)), on which the process acts.

mod collector;
mod marks;
mod usage;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::cgroup::Cgroups;
use crate::metrics::Metrics;
use crate::panics;

use collector::ProcessCollector;
use marks::Marks;
use usage::{CpuTime, Limits};
pub use usage::{Resource, Usage};

/// How often resources are measured, and the measurements over which the use of processors is averaged: a minute.
const INTERVAL: Duration = Duration::from_secs(10);
const WINDOW: usize = 7;

/// The resources of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Resources(Arc<State>);

#[derive(Debug)]
struct State {
    cgroups: Cgroups,
    /// The directory whose disk is watched.
    disk: Mutex<Option<PathBuf>>,
    cpu: Mutex<VecDeque<(Instant, CpuTime)>>,
    latest: Mutex<Vec<Usage>>,
    marks: Mutex<Marks>,
}

// === impl Resources ===

impl Resources {
    /// Registers `process_*`, `cgroup_*`, the metrics of the runtime, and those of the marks.
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let cgroups = Cgroups::own();
        metrics.collect(ProcessCollector::new(cgroups.clone()));
        let marks = Mutex::new(Marks::register(metrics));
        let (disk, cpu, latest) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self(Arc::new(State { cgroups, disk, cpu, latest, marks }))
    }

    /// Watches the disk of this directory.
    pub fn watch_disk(&self, directory: PathBuf) {
        *lock(&self.0.disk) = Some(directory);
    }

    /// The use of the resources that have a limit, as last measured.
    pub fn latest(&self) -> Vec<Usage> {
        lock(&self.0.latest).clone()
    }

    /// The resources above their mark, as last measured.
    pub fn above_mark(&self) -> Vec<Resource> {
        lock(&self.0.marks).above()
    }

    /// Measures forever, and reports what is above `mark` percent of its limit. `memory` is the limit of memory.
    pub(crate) async fn monitor(self, mark: u8, memory: Option<u64>) {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let (this, now) = (self.clone(), Instant::now());
            // A file system that hangs must not hold a thread of the runtime.
            let measured = panics::spawn_blocking(move || this.measure(now, memory)).await;
            lock(&self.0.marks).judge(&measured, mark, now);
            *lock(&self.0.latest) = measured;
        }
    }

    fn measure(&self, now: Instant, memory: Option<u64>) -> Vec<Usage> {
        let State { cgroups, disk, cpu, .. } = &*self.0;
        let limits = Limits::read(cgroups, memory);
        let before = {
            let mut cpu = lock(cpu);
            cpu.push_back((now, CpuTime::read(cgroups)));
            if cpu.len() > WINDOW {
                cpu.pop_front();
            }
            cpu.front().copied().zip(cpu.back().copied())
        };
        let busy = before.into_iter().flat_map(|((since, before), (_, after))| {
            after.since(before, now.saturating_duration_since(since), &limits)
        });
        let directory = lock(disk).clone();
        busy.chain(limits.used()).chain(directory.and_then(|directory| usage::disk(&directory))).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_limit_is_measured() {
        let resources = Resources::register(&Metrics::default());
        let directory = tempfile::tempdir().unwrap();
        resources.watch_disk(directory.path().to_owned());
        let start = Instant::now();
        let found = |usages: &[Usage]| usages.iter().map(|usage| usage.resource).collect::<Vec<_>>();
        let first = found(&resources.measure(start, Some(1 << 40)));
        assert!(!first.contains(&Resource::Cpu), "one measurement shows no rate: {first:?}");
        for resource in [Resource::Memory, Resource::Descriptors, Resource::Disk] {
            assert!(first.contains(&resource), "{first:?}");
        }
        for second in 1..100 {
            resources.measure(start + Duration::from_secs(second), Some(1 << 40));
        }
        assert_eq!(lock(&resources.0.cpu).len(), WINDOW, "bounded");
        let last = resources.measure(start + Duration::from_secs(100), Some(1 << 40));
        let cpu = last.iter().find(|usage| usage.resource == Resource::Cpu).unwrap();
        assert!(cpu.used >= 0.0 && cpu.limit > 0.0, "{cpu:?}");
        let memory = last.iter().find(|usage| usage.resource == Resource::Memory).unwrap();
        assert!(memory.used > 1e6 && memory.ratio() < 0.1, "{memory:?}");
    }
}
