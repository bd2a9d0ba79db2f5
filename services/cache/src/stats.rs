//! Counters of the cache, for Prometheus and for GetStats.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use dataflow_mesh::metrics::Metrics;

use crate::entry::{Lookup, Read};
use crate::l1::L1;

/// The counters of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Counters {
    operations: Family<Labels, Counter>,
    l1: Option<L1>,
}

/// The statistics of this process since its start, as GetStats reports them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stats {
    /// Reads served from the L1 cache.
    pub l1_hits: u64,
    /// Reads served from the store.
    pub store_hits: u64,
    /// Reads that found a stale value.
    pub stale_hits: u64,
    /// Reads without an entry.
    pub misses: u64,
    /// Reads that failed because the store was unreachable.
    pub degraded_reads: u64,
    /// Entries in the L1 cache.
    pub l1_entries: u64,
    /// Their bytes.
    pub l1_bytes: u64,
    /// Whether the copies of all buckets are coherent.
    pub l1_coherent: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    operation: &'static str,
    result: &'static str,
}

/// Results of a read. `first_level` is the released label of the L1 cache.
const L1_HIT: Labels = Labels { operation: "get", result: "first_level" };
const STORE: Labels = Labels { operation: "get", result: "store" };
const STALE: Labels = Labels { operation: "get", result: "stale" };
const MISS: Labels = Labels { operation: "get", result: "miss" };
const DEGRADED: Labels = Labels { operation: "get", result: "degraded" };
/// Results of a write.
const STORED: Labels = Labels { operation: "set", result: "stored" };
const NOT_STORED: Labels = Labels { operation: "set", result: "not_stored" };

// === impl Counters ===

impl Counters {
    pub(crate) fn register(metrics: &Metrics, l1: Option<L1>) -> Self {
        let operations = Family::default();
        let help = "Reads and writes of cache entries, by result";
        metrics.register("cache_operations", help, operations.clone());
        // Present from the start, so that the first increase is visible as a rate.
        for labels in [L1_HIT, STORE, STALE, MISS, DEGRADED, STORED, NOT_STORED] {
            let _: &Counter = &operations.get_or_create(&labels);
        }
        Self { operations, l1 }
    }

    pub(crate) fn l1_hit(&self) {
        self.count(&L1_HIT);
    }

    /// Counts a read that went to the store.
    pub(crate) fn read(&self, read: &Read) {
        self.count(match read {
            Read { degraded: true, .. } => &DEGRADED,
            Read { lookup: Lookup::Fresh(_), .. } => &STORE,
            Read { lookup: Lookup::Stale(_), .. } => &STALE,
            Read { lookup: Lookup::Miss, .. } => &MISS,
        });
    }

    pub(crate) fn stored(&self, stored: bool) {
        self.count(if stored { &STORED } else { &NOT_STORED });
    }

    pub(crate) fn stats(&self) -> Stats {
        let count = |labels| self.operations.get_or_create(labels).get();
        let (l1_entries, l1_bytes) = self.l1.as_ref().map(L1::size).unwrap_or_default();
        Stats {
            l1_hits: count(&L1_HIT),
            store_hits: count(&STORE),
            stale_hits: count(&STALE),
            misses: count(&MISS),
            degraded_reads: count(&DEGRADED),
            l1_entries,
            l1_bytes,
            l1_coherent: self.l1.as_ref().is_some_and(L1::is_coherent),
        }
    }

    fn count(&self, labels: &Labels) {
        self.operations.get_or_create(labels).inc();
    }
}

// === impl Stats ===

impl Stats {
    /// The share of fresh hits among all reads, from 0 to 1; 0 without any.
    pub fn hit_rate(&self) -> f64 {
        let hits = self.l1_hits + self.store_hits;
        let reads = hits + self.stale_hits + self.misses + self.degraded_reads;
        if reads == 0 { 0.0 } else { hits as f64 / reads as f64 }
    }
}
