//! Counts the calls that are not admitted, by the reason. Only the reasons are labels: what a caller presents is none.

use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::status::Describe;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::error::AuthError;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    reason: &'static str,
}

/// The counters.
#[derive(Debug)]
pub(super) struct Refusals {
    refused: Family<Labels, Counter>,
}

// === impl Refusals ===

impl Refusals {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let refused = Family::<Labels, Counter>::default();
        metrics.register(
            "gateway_refused_callers",
            "Calls that were not admitted, by the reason of their error",
            refused.clone(),
        );
        Self { refused }
    }

    pub(super) fn count(&self, error: &AuthError) {
        self.refused.get_or_create(&Labels { reason: error.reason() }).inc();
    }
}
