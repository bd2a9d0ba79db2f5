//! The metrics of the mapping in use.

use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use dataflow_mesh::metrics::Metrics;
use prometheus_client::metrics::gauge::Gauge;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    revision: Gauge,
    changed: Gauge<f64, AtomicU64>,
}

// === impl Gauges ===

impl Gauges {
    pub(super) fn register(&self, metrics: &Metrics) {
        let help = "Revision of the mapping of themes in use, 0 if it is built in";
        metrics.register("themes_revision", help, self.revision.clone());
        let help = "When the config service last sent the mapping of themes, in seconds since 1970";
        metrics.register("themes_changed_timestamp_seconds", help, self.changed.clone());
    }

    pub(super) fn received(&self, revision: i64) {
        self.revision.set(revision);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.changed.set(now.as_secs_f64());
    }
}
