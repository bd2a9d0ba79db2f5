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

/// The reasons of [`AuthError`], whose series exist from the start: a rate needs a first sample.
const REASONS: [&str; 15] = [
    "CREDENTIALS_MISSING",
    "CREDENTIALS_AMBIGUOUS",
    "CREDENTIALS_UNSUPPORTED",
    "TOKEN_EXPIRED",
    "TOKEN_INVALID",
    "TOKEN_KEYS_UNAVAILABLE",
    "API_KEYS_UNAVAILABLE",
    "API_KEY_UNKNOWN",
    "CERTIFICATE_NAMELESS",
    "PEER_INVALID",
    "SUBJECT_UNKNOWN",
    "SCOPE_MISSING",
    "METHOD_OF_MESH",
    "METHOD_UNKNOWN",
    "METHOD_INTERNAL",
];

/// The counters.
#[derive(Debug)]
pub(super) struct Refusals {
    refused: Family<Labels, Counter>,
}

// === impl Refusals ===

impl Refusals {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let refused = Family::<Labels, Counter>::default();
        for reason in REASONS {
            drop(refused.get_or_create(&Labels { reason }));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_series_from_the_start() {
        let source = include_str!("error.rs");
        let reasons = source.split("fn reason(").nth(1).unwrap().split("fn retry_after").next().unwrap();
        let in_source: Vec<_> = reasons.split('"').skip(1).step_by(2).collect();
        assert_eq!(in_source, REASONS, "as the source lists them");
        let metrics = Metrics::default();
        Refusals::new(&metrics);
        let text = metrics.encode();
        for reason in REASONS {
            let sample = format!("gateway_refused_callers_total{{reason=\"{reason}\"}} 0");
            assert!(text.lines().any(|line| line == sample), "{text}");
        }
    }
}
