//! The metrics of snapshots.

use dataflow_mesh::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// The counters. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SnapshotMetrics {
    received: Family<Labels, Counter>,
    removed: Family<Labels, Counter>,
    bytes: Counter,
    compared: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    reason: &'static str,
}

/// What became of a catalogue that was received.
const RECEIVED: [&str; 4] = ["new", "known", "suspicious", "refused"];

/// Why a snapshot was removed.
const REMOVED: [&str; 2] = ["deleted", "retention"];

// === impl SnapshotMetrics ===

impl SnapshotMetrics {
    /// Registers them, with all series at 0.
    pub fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        RECEIVED.iter().for_each(|reason| drop(own.received.get_or_create(&Labels { reason })));
        REMOVED.iter().for_each(|reason| drop(own.removed.get_or_create(&Labels { reason })));
        let help =
            "Catalogues received as snapshots: with new content, with known content, suspicious, refused";
        metrics.register("catalogue_snapshots_received", help, own.received.clone());
        let help = "Snapshots removed: deleted by a caller, or by retention";
        metrics.register("catalogue_snapshots_removed", help, own.removed.clone());
        let help = "Bytes of new snapshots, compressed as they are stored";
        metrics.register("catalogue_stored_bytes", help, own.bytes.clone());
        metrics.register("catalogue_diffs", "Pairs of snapshots compared", own.compared.clone());
        own
    }

    /// Counts a catalogue that was stored.
    pub(crate) fn stored(&self, is_new: bool, is_suspicious: bool, bytes: u64) {
        self.received(if is_new { "new" } else { "known" });
        if is_suspicious {
            self.received("suspicious");
        }
        if is_new {
            self.bytes.inc_by(bytes);
        }
    }

    /// Counts a catalogue that was refused.
    pub(crate) fn refused(&self) {
        self.received("refused");
    }

    /// Counts snapshots that were removed.
    pub(crate) fn removed(&self, reason: &'static str, count: usize) {
        self.removed.get_or_create(&Labels { reason }).inc_by(count as u64);
    }

    /// Counts a difference.
    pub(crate) fn compared(&self) {
        self.compared.inc();
    }

    fn received(&self, reason: &'static str) {
        self.received.get_or_create(&Labels { reason }).inc();
    }
}
