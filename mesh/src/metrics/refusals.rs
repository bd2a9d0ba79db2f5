//! Refused calls by why they were refused: one answer to "what turns callers away", for every role and protocol.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::status::{Describe, Refusal};

/// The family of all services of a process.
#[derive(Debug, Clone)]
pub(super) struct RefusalFamily {
    refused: Family<Labels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    role: &'static str,
    reason: &'static str,
}

/// The counters of one service, in the order of [`Refusal::ALL`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RefusedCalls(Arc<[Counter; Refusal::ALL.len()]>);

// === impl RefusalFamily ===

impl RefusalFamily {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let refused = Family::default();
        registry.register("rpc_refusals", "Calls that were refused, by why", refused.clone());
        Self { refused }
    }

    /// The counters of one service, which exist from now on.
    pub(super) fn of(&self, role: &'static str) -> RefusedCalls {
        let counter =
            |refusal: Refusal| self.refused.get_or_create_owned(&Labels { role, reason: refusal.name() });
        RefusedCalls(Arc::new(Refusal::ALL.map(counter)))
    }
}

// === impl RefusedCalls ===

impl RefusedCalls {
    /// Counts a call that is refused for this reason.
    pub fn count(&self, refusal: Refusal) {
        self.0[refusal as usize].inc();
    }

    /// Counts a call that ends with this error, if that refuses it.
    pub fn count_error(&self, error: &dyn Describe) {
        if let Some(refusal) = Refusal::of(error) {
            self.count(refusal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn each_reason_is_present_from_the_start() {
        let metrics = Metrics::default();
        let refused = metrics.refused_calls("cache");
        let samples = || {
            let text = metrics.encode();
            let samples =
                text.lines().filter_map(|line| line.strip_prefix("rpc_refusals_total{role=\"cache\","));
            samples.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(samples().len(), Refusal::ALL.len());
        assert!(samples().iter().all(|sample| sample.ends_with("\"} 0")), "{:?}", samples());
        refused.count(Refusal::Memory);
        metrics.refused_calls("cache").count(Refusal::Memory);
        assert!(samples().contains(&"reason=\"memory\"} 2".to_owned()), "{:?}", samples());
    }
}
