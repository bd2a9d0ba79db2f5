//! The metrics of the rule sets in use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dataflow_mesh::metrics::{LATENCY_BOUNDS, Metrics};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::Ruleset;

/// The most sets that are shown; a mesh has two, and those of `--rules`.
const MAX_SHOWN: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    ruleset: String,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Gauges {
    revision: Family<Labels, Gauge>,
    changed: Gauge<f64, AtomicU64>,
    compiled: Histogram,
}

// === impl Gauges ===

impl Default for Gauges {
    fn default() -> Self {
        Self {
            revision: Family::default(),
            changed: Gauge::default(),
            compiled: Histogram::new(LATENCY_BOUNDS),
        }
    }
}

impl Gauges {
    pub(super) fn register(&self, metrics: &Metrics) {
        let help = "Revision of a rule set in use, 0 if it is built in";
        metrics.register("rules_revision", help, self.revision.clone());
        let help = "When the config service last sent rules, in seconds since 1970";
        metrics.register("rules_changed_timestamp_seconds", help, self.changed.clone());
        let help = "Time to compile a rule set";
        metrics.register("rules_compile_seconds", help, self.compiled.clone());
    }

    /// Shows these sets and no others.
    pub(super) fn show(&self, sets: &BTreeMap<String, Arc<Ruleset>>) {
        self.revision.clear();
        for (name, set) in sets.iter().take(MAX_SHOWN) {
            self.revision.get_or_create(&Labels { ruleset: name.clone() }).set(set.revision);
        }
    }

    pub(super) fn received(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.changed.set(now.as_secs_f64());
    }

    pub(super) fn compiled(&self, took: Duration) {
        self.compiled.observe(took.as_secs_f64());
    }
}
