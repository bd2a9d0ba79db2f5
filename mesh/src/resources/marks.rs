//! The mark of each resource: a log record and metrics when it is passed.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

use crate::metrics::Metrics;

use super::usage::{Resource, Usage};

/// The shortest time between two warnings about one resource.
const PAUSE: Duration = Duration::from_secs(600);

/// How far below the mark a resource must fall to count as below it, in percent: one that is around its mark does not
/// alternate.
const HYSTERESIS: f64 = 5.0;

/// The state of all marks.
#[derive(Debug, Default)]
pub(super) struct Marks {
    states: BTreeMap<Resource, State>,
    ratios: Family<Labels, Gauge<f64, AtomicU64>>,
    above: Family<Labels, Gauge>,
    passed: Family<Labels, Counter>,
}

#[derive(Debug, Default)]
struct State {
    is_above: bool,
    warned: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    resource: &'static str,
}

// === impl Marks ===

impl Marks {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let this = Self::default();
        for resource in Resource::ALL.map(labels) {
            drop(this.ratios.get_or_create(&resource));
            drop(this.above.get_or_create(&resource));
            drop(this.passed.get_or_create(&resource));
        }
        metrics.register("resource_used_ratio", "Share of a resource that is in use", this.ratios.clone());
        let help = "Whether a resource is above its mark";
        metrics.register("resource_above_mark", help, this.above.clone());
        let help = "How often a resource has passed its mark";
        metrics.register("resource_mark_passed", help, this.passed.clone());
        this
    }

    /// The resources above their mark.
    pub(super) fn above(&self) -> Vec<Resource> {
        self.states.iter().filter(|(_, state)| state.is_above).map(|(resource, _)| *resource).collect()
    }

    /// Compares the use of resources with `mark`, in percent; returns those about which it has warned.
    pub(super) fn judge(&mut self, usages: &[Usage], mark: u8, now: Instant) -> Vec<Resource> {
        let mut warned = Vec::new();
        for usage in usages {
            let labels = labels(usage.resource);
            self.ratios.get_or_create(&labels).set(usage.ratio());
            // The process acts on its memory, and reports that itself.
            if usage.resource == Resource::Memory {
                continue;
            }
            let percent = usage.ratio() * 100.0;
            let state = self.states.entry(usage.resource).or_default();
            let was_above = state.is_above;
            state.is_above = percent >= f64::from(mark) - if was_above { HYSTERESIS } else { 0.0 };
            if state.is_above == was_above {
                continue;
            }
            self.above.get_or_create(&labels).set(state.is_above.into());
            let (resource, used, limit) = (usage.resource.name(), usage.used, usage.limit);
            if !state.is_above {
                tracing::info!(resource, used, limit, mark, "resources: below the mark again");
                continue;
            }
            self.passed.get_or_create(&labels).inc();
            if state.warned.is_none_or(|warned| now.saturating_duration_since(warned) >= PAUSE) {
                state.warned = Some(now);
                warned.push(usage.resource);
                tracing::warn!(resource, used, limit, mark, "resources: above the mark");
            }
        }
        warned
    }
}

fn labels(resource: Resource) -> Labels {
    Labels { resource: resource.name() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_that_passes_its_mark_is_reported_at_most_every_ten_minutes() {
        let metrics = Metrics::default();
        let (mut marks, start) = (Marks::register(&metrics), Instant::now());
        let mut check = |second: u64, percent: f64, is_above: bool, is_warned: bool| {
            let usage = Usage { resource: Resource::Disk, used: percent, limit: 100.0 };
            let warned = marks.judge(&[usage], 90, start + Duration::from_secs(second));
            assert_eq!(!warned.is_empty(), is_warned, "at {second}");
            assert_eq!(!marks.above().is_empty(), is_above, "at {second}");
        };
        check(0, 89.9, false, false);
        check(10, 90.0, true, true);
        check(20, 95.0, true, false);
        check(30, 85.0, true, false);
        check(40, 84.9, false, false);
        check(50, 90.0, true, false);
        check(60, 50.0, false, false);
        check(609, 99.0, true, false);
        check(620, 50.0, false, false);
        check(630, 99.0, true, true);
        let text = metrics.encode();
        for sample in [
            "resource_used_ratio{resource=\"disk\"} 0.99",
            "resource_above_mark{resource=\"disk\"} 1",
            "resource_above_mark{resource=\"cpu\"} 0",
            "resource_mark_passed_total{resource=\"disk\"} 4",
        ] {
            assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
        }
    }

    #[test]
    fn memory_has_marks_of_its_own() {
        let mut marks = Marks::default();
        let usage = Usage { resource: Resource::Memory, used: 99.0, limit: 100.0 };
        assert!(marks.judge(&[usage], 90, Instant::now()).is_empty());
        assert!(marks.above().is_empty());
    }
}
