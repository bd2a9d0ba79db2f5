//! The metrics of calls to Redis and of connecting, and whether it responds.

use std::time::Duration;

use dataflow_mesh::dependencies::{Criticality, Dependency};
use dataflow_mesh::metrics::LATENCY_BOUNDS;
use dataflow_mesh::process::Process;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use super::failure::Failure;

/// The kinds of calls, as `link` sends them.
pub(super) const KINDS: [&str; 3] = ["commands", "durable write", "large call"];

/// What became of an attempt to connect.
const CONNECTED: &str = "connected";
const FAILED: &str = "failed";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    call: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectLabels {
    outcome: &'static str,
}

/// The metrics of all links of a store. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct RedisMetrics {
    seconds: Family<CallLabels, Histogram>,
    connects: Family<ConnectLabels, Counter>,
    reconnects: Counter,
    dependency: Dependency,
}

// === impl RedisMetrics ===

impl RedisMetrics {
    /// Registers the metrics of the store of a process, which is a dependency of this role.
    pub(super) fn register(process: &Process, role: &str) -> Self {
        let this = Self {
            seconds: Family::new_with_constructor(|| Histogram::new(LATENCY_BOUNDS)),
            connects: Family::default(),
            reconnects: Counter::default(),
            dependency: process.dependencies.declare(&format!("{role}/redis"), Criticality::Optional),
        };
        for call in KINDS.map(label) {
            drop(this.seconds.get_or_create(&CallLabels { call }));
        }
        for outcome in [CONNECTED, FAILED] {
            drop(this.connects.get_or_create(&ConnectLabels { outcome }));
        }
        let metrics = &process.metrics;
        let help = "Time from a call to Redis to its reply, by kind; calls that fail are included";
        metrics.register("redis_call_seconds", help, this.seconds.clone());
        metrics.register("redis_connects", "Attempts to connect to Redis, by outcome", this.connects.clone());
        let help = "Connections that calls share which were lost and made again";
        metrics.register("redis_reconnects", help, this.reconnects.clone());
        this
    }

    pub(super) fn called(&self, kind: &str, took: Duration) {
        self.seconds.get_or_create(&CallLabels { call: label(kind) }).observe(took.as_secs_f64());
    }

    pub(super) fn succeeded(&self) {
        self.dependency.succeeded();
    }

    /// Records a failure, which may be that of one call only.
    pub(super) fn failed(&self, failure: &Failure) {
        if failure.is_outage() {
            self.dependency.failed(&failure.summary());
        } else {
            self.dependency.succeeded();
        }
    }

    pub(super) fn connected(&self, is_connected: bool) {
        let outcome = if is_connected { CONNECTED } else { FAILED };
        self.connects.get_or_create(&ConnectLabels { outcome }).inc();
    }

    pub(super) fn reconnected(&self) {
        self.reconnects.inc();
    }
}

/// The value of the label of a kind.
pub(super) fn label(kind: &str) -> String {
    kind.replace(' ', "_")
}
