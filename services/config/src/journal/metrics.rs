//! The metrics of the journal.

use std::sync::atomic::AtomicU64;

use dataflow_mesh::metrics::Metrics;
use prometheus_client::metrics::gauge::Gauge;

use super::reader::LogReader;

/// The state of the log, as last read.
#[derive(Default)]
pub(super) struct Gauges {
    bytes: Gauge<u64, AtomicU64>,
    lost: Gauge,
}

// === impl Gauges ===

impl Gauges {
    pub(super) fn register(&self, metrics: &Metrics) {
        let help = "Size of the journal of changes; above `--journal-max-bytes` it is compacted";
        metrics.register("config_journal_bytes", help, self.bytes.clone());
        let help = "Whether the store has lost the journal: changes are rejected until an operator decides";
        metrics.register("config_journal_lost", help, self.lost.clone());
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.get() != 0
    }

    pub(super) fn set(&self, reader: &LogReader) {
        self.bytes.set(reader.bytes);
        self.lost.set(reader.is_lost.into());
    }
}
