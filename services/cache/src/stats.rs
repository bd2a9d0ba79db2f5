//! Counters of the cache, for Prometheus and for GetStats.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::process_status::CacheUse;

use crate::entry::{Lookup, Read};
use crate::key::{Caller, NAMESPACES, Namespace};
use crate::l1::{L1, L1Collector};

/// The counters of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Counters {
    operations: Family<Labels, Counter>,
    leases: Family<LeaseLabels, Counter>,
    l1: Option<L1>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LeaseLabels {
    outcome: &'static str,
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

/// An operation and its result.
#[derive(Debug, Clone, Copy)]
struct Event {
    operation: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    namespace: &'static str,
    operation: &'static str,
    result: &'static str,
}

/// Results of a read. `first_level` is the released label of the L1 cache.
const L1_HIT: Event = Event { operation: "get", result: "first_level" };
const STORE: Event = Event { operation: "get", result: "store" };
const STALE: Event = Event { operation: "get", result: "stale" };
const MISS: Event = Event { operation: "get", result: "miss" };
const DEGRADED: Event = Event { operation: "get", result: "degraded" };
/// Results of a write.
const STORED: Event = Event { operation: "set", result: "stored" };
const NOT_STORED: Event = Event { operation: "set", result: "not_stored" };

/// What became of a request for a lease: the caller computes the value; it got a value, fresh or stale, that it or
/// another caller has computed; another caller computes it still; or the store was unreachable.
pub(crate) const LEASE_OUTCOMES: [&str; 5] = ["granted", "fresh", "stale", "busy", "degraded"];

// === impl Counters ===

impl Counters {
    pub(crate) fn register(metrics: &Metrics, l1: Option<L1>) -> Self {
        let operations = Family::default();
        let help = "Reads and writes of cache entries, by namespace and result";
        metrics.register("cache_operations", help, operations.clone());
        // Present from the start, so that the first increase is visible as a rate.
        for namespace in NAMESPACES {
            for event in [L1_HIT, STORE, STALE, MISS, DEGRADED, STORED, NOT_STORED] {
                let _: &Counter = &operations.get_or_create(&event.of(namespace));
            }
        }
        let leases = Family::default();
        for outcome in LEASE_OUTCOMES {
            let _: &Counter = &leases.get_or_create(&LeaseLabels { outcome });
        }
        metrics.register("cache_leases", "Requests for the lease of a key, by outcome", leases.clone());
        metrics.collect(L1Collector(l1.clone()));
        Self { operations, leases, l1 }
    }

    /// Counts a request for a lease, by one of [`LEASE_OUTCOMES`].
    pub(crate) fn leased(&self, outcome: &'static str) {
        self.leases.get_or_create(&LeaseLabels { outcome }).inc();
    }

    pub(crate) fn l1_hit(&self, namespace: &Namespace) {
        self.count(namespace, L1_HIT);
    }

    /// Counts a read that went to the store.
    pub(crate) fn read(&self, namespace: &Namespace, read: &Read) {
        let event = match read {
            Read { degraded: true, .. } => DEGRADED,
            Read { lookup: Lookup::Fresh(_), .. } => STORE,
            Read { lookup: Lookup::Stale(_), .. } => STALE,
            Read { lookup: Lookup::Miss, .. } => MISS,
        };
        self.count(namespace, event);
    }

    pub(crate) fn stored(&self, namespace: &Namespace, stored: bool) {
        self.count(namespace, if stored { STORED } else { NOT_STORED });
    }

    /// The statistics on the namespaces that a caller can access.
    pub(crate) fn stats(&self, caller: &Caller) -> Stats {
        self.stats_of(caller.namespaces().collect::<Vec<_>>().as_slice())
    }

    /// The use of the cache by all callers.
    pub(crate) fn use_of_all(&self) -> CacheUse {
        let stats = self.stats_of(&NAMESPACES);
        CacheUse {
            reads: stats.reads(),
            hit_rate: stats.hit_rate(),
            l1_entries: stats.l1_entries,
            l1_bytes: stats.l1_bytes,
            l1_capacity: self.l1.as_ref().map_or(0, L1::capacity),
        }
    }

    fn stats_of(&self, namespaces: &[&'static str]) -> Stats {
        let count = |event: Event| {
            let of = |namespace: &&'static str| self.operations.get_or_create(&event.of(namespace)).get();
            namespaces.iter().map(of).sum()
        };
        let sizes = self.l1.iter().flat_map(|l1| namespaces.iter().map(|namespace| l1.size(namespace)));
        let (l1_entries, l1_bytes) =
            sizes.fold((0, 0), |(entries, bytes), size| (entries + size.0, bytes + size.1));
        Stats {
            l1_hits: count(L1_HIT),
            store_hits: count(STORE),
            stale_hits: count(STALE),
            misses: count(MISS),
            degraded_reads: count(DEGRADED),
            l1_entries,
            l1_bytes,
            l1_coherent: self.l1.as_ref().is_some_and(L1::is_coherent),
        }
    }

    fn count(&self, namespace: &Namespace, event: Event) {
        self.operations.get_or_create(&event.of(namespace.name())).inc();
    }
}

// === impl Event ===

impl Event {
    fn of(self, namespace: &'static str) -> Labels {
        Labels { namespace, operation: self.operation, result: self.result }
    }
}

// === impl Stats ===

impl Stats {
    /// All reads.
    pub fn reads(&self) -> u64 {
        self.l1_hits + self.store_hits + self.stale_hits + self.misses + self.degraded_reads
    }

    /// The share of fresh hits among all reads, from 0 to 1; 0 without any.
    pub fn hit_rate(&self) -> f64 {
        let (hits, reads) = (self.l1_hits + self.store_hits, self.reads());
        if reads == 0 { 0.0 } else { hits as f64 / reads as f64 }
    }
}
