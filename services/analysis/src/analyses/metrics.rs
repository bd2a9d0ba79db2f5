//! The metrics of analyses: dataflows by category and by what decided it, what was cut short, and the permits in use.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dataflow_mesh::inbound::Shares;
use dataflow_mesh::memory_shares::MemoryShares;
use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::process_status::Quota;
use dataflow_proto::analysis::v1 as pb;
use dataflow_rules::Category;
use dataflow_sdmx::Reason;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::Semaphore;

use crate::decision::DecidedBy;

/// The dataflows of all results. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Analyzed {
    by_category: Family<ByCategory, Counter>,
    by_decision: Family<ByDecision, Counter>,
    cut_short: Family<ByReason, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCategory {
    category: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDecision {
    decided_by: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

/// The reasons of diagnostics that something was dropped, because it exceeded a limit.
const CUT_SHORT: [Reason; 4] = [
    Reason::DataflowCutShort,
    Reason::CategoriesCutShort,
    Reason::CategorisationsCutShort,
    Reason::StructuresCutShort,
];

/// The permits of uploads and parsers, and how many there are in all.
#[derive(Debug, Clone)]
pub(super) struct Permits {
    pub(super) uploads: (Shares, u32),
    pub(super) parsers: (Arc<Semaphore>, usize),
    pub(super) refused_uploads: Arc<AtomicU64>,
    /// The memory of results.
    pub(super) results: MemoryShares,
}

// === impl Analyzed ===

impl Analyzed {
    pub(super) fn register(&self, metrics: &Metrics) {
        let Self { by_category, by_decision, cut_short } = self;
        for category in Category::ALL {
            drop(by_category.get_or_create(&ByCategory { category: category.name() }));
        }
        for decided_by in DecidedBy::ALL {
            drop(by_decision.get_or_create(&ByDecision { decided_by: decided_by.name() }));
        }
        for reason in CUT_SHORT.map(Reason::as_str) {
            drop(cut_short.get_or_create(&ByReason { reason }));
        }
        metrics.register("dataflows_analyzed", "Dataflows in results, by category", by_category.clone());
        metrics.register(
            "dataflows_decided",
            "Dataflows in results, by what decided their category",
            by_decision.clone(),
        );
        metrics.register(
            "analyses_cut_short",
            "Results without something that exceeded a limit, by the reason of the diagnostic",
            cut_short.clone(),
        );
    }

    /// Counts a result if its diagnostics say that something exceeded a limit.
    pub(super) fn count_cut(&self, diagnostics: &[pb::Diagnostic]) {
        for reason in CUT_SHORT.map(Reason::as_str) {
            if diagnostics.iter().any(|found| found.reason == reason) {
                self.cut_short.get_or_create(&ByReason { reason }).inc();
            }
        }
    }

    /// Counts the dataflows of a result, by its `counts` and its `coverage`. Names of a later release, whose result was
    /// in the cache, do not count.
    pub(super) fn count(&self, counts: &BTreeMap<String, i32>, coverage: &BTreeMap<String, i32>) {
        let positive = |counts: &BTreeMap<String, i32>, name: &str| {
            counts.get(name).and_then(|count| u64::try_from(*count).ok()).filter(|count| *count > 0)
        };
        for category in Category::ALL.map(|category| category.name()) {
            if let Some(count) = positive(counts, category) {
                self.by_category.get_or_create(&ByCategory { category }).inc_by(count);
            }
        }
        for decided_by in DecidedBy::ALL.map(DecidedBy::name) {
            if let Some(count) = positive(coverage, decided_by) {
                self.by_decision.get_or_create(&ByDecision { decided_by }).inc_by(count);
            }
        }
    }
}

// === impl Permits ===

impl Permits {
    /// The permits in the status. For a parser calls wait, so that none is refused.
    pub(super) fn quotas(&self) -> Vec<Quota> {
        let refused = self.refused_uploads.load(Ordering::Relaxed);
        let quota = |name, used, limit, refused| Quota { role: "analysis", name, used, limit, refused };
        let (_, max_uploads) = self.uploads;
        let (_, max_parsers) = self.parsers;
        vec![
            quota("uploads", self.receiving().into(), max_uploads.into(), refused),
            quota("parsers", self.parsing() as u64, max_parsers as u64, 0),
            Quota { name: "result_bytes", ..self.results.quota("analysis") },
        ]
    }

    fn receiving(&self) -> u32 {
        self.uploads.0.total()
    }

    fn parsing(&self) -> usize {
        let (seats, max) = &self.parsers;
        max.saturating_sub(seats.available_permits())
    }
}

impl Collector for Permits {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let parsing = i64::try_from(self.parsing()).unwrap_or(i64::MAX);
        let all = [
            ("analysis_uploads", "Documents that are being received", i64::from(self.receiving())),
            ("analysis_parsers", "Documents that are being parsed", parsing),
        ];
        for (name, help, in_use) in all {
            let gauge = ConstGauge::new(in_use);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dataflow_mesh::inbound::Claimant;

    use super::*;

    #[test]
    fn only_known_names_are_counted() {
        let (metrics, analyzed) = (Metrics::default(), Analyzed::default());
        analyzed.register(&metrics);
        let uploads = Shares::default();
        let parsers = (Arc::new(Semaphore::new(2)), 2);
        let (refused_uploads, results) = (Arc::default(), MemoryShares::new(0));
        metrics.collect(Permits { uploads: (uploads.clone(), 3), parsers, refused_uploads, results });
        let _permit = uploads.try_acquire(3, Claimant::default()).unwrap();
        let counts = [("HEALTH", 3), ("OTHER", -1), ("ODD", 5)];
        let coverage = [("NOTHING", 2), ("THEME", -1), ("ODD", 5)];
        let [counts, coverage] =
            [counts, coverage].map(|counts| counts.map(|(name, count)| (name.to_owned(), count)).into());
        analyzed.count(&counts, &coverage);
        let diagnostic = |reason: &str| pb::Diagnostic { reason: reason.to_owned(), ..Default::default() };
        analyzed.count_cut(&["STRUCTURES_CUT_SHORT", "STRUCTURES_CUT_SHORT", "ODD"].map(diagnostic));
        let text = metrics.encode();
        for sample in [
            "dataflows_analyzed_total{category=\"HEALTH\"} 3",
            "dataflows_analyzed_total{category=\"OTHER\"} 0",
            "dataflows_analyzed_total{category=\"LABOUR\"} 0",
            "dataflows_decided_total{decided_by=\"NOTHING\"} 2",
            "dataflows_decided_total{decided_by=\"THEME\"} 0",
            "dataflows_decided_total{decided_by=\"RULES\"} 0",
            "analyses_cut_short_total{reason=\"STRUCTURES_CUT_SHORT\"} 1",
            "analyses_cut_short_total{reason=\"CATEGORIES_CUT_SHORT\"} 0",
            "analysis_uploads 1",
            "analysis_parsers 0",
        ] {
            assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
        }
        assert!(!text.contains("ODD"));
    }
}
