//! What the results of analyses have: dataflows by category, by what decided it and by provider, the matches of each
//! rule, and what was cut short.

use std::collections::BTreeMap;
use std::sync::Arc;

use dataflow_mesh::metrics::Metrics;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::evidence::Kind;
use dataflow_rules::Category;
use dataflow_sdmx::Reason;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::labels::{Labels, OTHER};
use crate::decision::DecidedBy;

/// The built-in providers of the config service: each has a label of its own, whatever other names callers choose.
pub const LABELLED_PROVIDERS: [&str; 9] = ["ABS", "BIS", "ECB", "ESTAT", "FR1", "ILO", "IMF", "IT1", "OECD"];

/// The most other providers that have a label of their own.
const PROVIDERS_MAX: usize = 50;

/// The most rules that have one.
const RULES_MAX: usize = 500;

/// The dataflows of all results. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::analyses) struct Analyzed {
    by_category: Family<ByCategory, Counter>,
    by_decision: Family<ByDecision, Counter>,
    by_provider: Family<ByProvider, Counter>,
    matches: Family<ByRule, Counter>,
    cut_short: Family<ByReason, Counter>,
    providers: Arc<Labels>,
    rules: Arc<Labels>,
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
struct ByProvider {
    provider: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRule {
    rule: String,
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

// === impl Analyzed ===

impl Default for Analyzed {
    fn default() -> Self {
        Self {
            by_category: Family::default(),
            by_decision: Family::default(),
            by_provider: Family::default(),
            matches: Family::default(),
            cut_short: Family::default(),
            providers: Arc::new(Labels::new(&LABELLED_PROVIDERS, PROVIDERS_MAX)),
            rules: Arc::new(Labels::new(&[], RULES_MAX)),
        }
    }
}

impl Analyzed {
    /// Registers them. The series of closed sets are at 0, because a rate needs a first sample.
    pub(in crate::analyses) fn register(&self, metrics: &Metrics) {
        let Self { by_category, by_decision, by_provider, matches, cut_short, .. } = self;
        for category in Category::ALL {
            drop(by_category.get_or_create(&ByCategory { category: category.name() }));
        }
        for decided_by in DecidedBy::ALL {
            drop(by_decision.get_or_create(&ByDecision { decided_by: decided_by.name() }));
        }
        for provider in LABELLED_PROVIDERS.into_iter().chain([OTHER]) {
            drop(by_provider.get_or_create(&ByProvider { provider: provider.to_owned() }));
        }
        drop(matches.get_or_create(&ByRule { rule: OTHER.to_owned() }));
        for reason in CUT_SHORT.map(Reason::as_str) {
            drop(cut_short.get_or_create(&ByReason { reason }));
        }
        let help = "Dataflows in results, by category";
        metrics.register("dataflows_analyzed", help, by_category.clone());
        let help = "Dataflows in results, by what decided their category";
        metrics.register("dataflows_decided", help, by_decision.clone());
        let help = "Dataflows in results, by provider";
        metrics.register("dataflows_analyzed_by_provider", help, by_provider.clone());
        let help = "Matches of rules that are evidence in results, by rule";
        metrics.register("rule_matches", help, matches.clone());
        let help = "Results without something that exceeded a limit, by the reason of the diagnostic";
        metrics.register("analyses_cut_short", help, cut_short.clone());
    }

    /// Counts a result. Names of a later release, whose result was in the cache, do not count.
    pub(in crate::analyses) fn count(&self, analysis: &pb::Analysis) {
        self.count_dataflows(&analysis.counts, &analysis.coverage);
        if let Some(total) = u64::try_from(analysis.total).ok().filter(|total| *total > 0) {
            let provider = self.providers.of(&analysis.provider);
            self.by_provider.get_or_create(&ByProvider { provider }).inc_by(total);
        }
        self.count_cut(&analysis.diagnostics);
        // The rules of tenants are theirs alone, and no series of all.
        if analysis.overlay_revision == 0 {
            self.count_matches(&analysis.dataflows);
        }
    }

    fn count_dataflows(&self, counts: &BTreeMap<String, i32>, coverage: &BTreeMap<String, i32>) {
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

    /// Whether something exceeded a limit.
    fn count_cut(&self, diagnostics: &[pb::Diagnostic]) {
        for reason in CUT_SHORT.map(Reason::as_str) {
            if diagnostics.iter().any(|found| found.reason == reason) {
                self.cut_short.get_or_create(&ByReason { reason }).inc();
            }
        }
    }

    fn count_matches(&self, dataflows: &[pb::Dataflow]) {
        let mut matches: BTreeMap<&str, u64> = BTreeMap::new();
        for evidence in dataflows.iter().flat_map(|dataflow| &dataflow.evidence) {
            if let Some(Kind::Rule(found)) = &evidence.kind {
                *matches.entry(&found.id).or_default() += 1;
            }
        }
        for (rule, count) in matches {
            self.matches.get_or_create(&ByRule { rule: self.rules.of(rule) }).inc_by(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_rule(rule_id: &str) -> pb::Evidence {
        let rule = pb::RuleEvidence { id: rule_id.to_owned(), ..Default::default() };
        pb::Evidence { kind: Some(Kind::Rule(rule)) }
    }

    #[test]
    fn results_are_counted_and_only_known_names_of_closed_sets() {
        let (metrics, analyzed) = (Metrics::default(), Analyzed::default());
        analyzed.register(&metrics);
        let counted = |names: [(&str, i32); 3]| names.map(|(name, count)| (name.to_owned(), count)).into();
        let diagnostic = |reason: &str| pb::Diagnostic { reason: reason.to_owned(), ..Default::default() };
        let dataflow = |rules: &[&str]| pb::Dataflow {
            evidence: rules.iter().copied().map(of_rule).collect(),
            ..Default::default()
        };
        let analysis = pb::Analysis {
            provider: "IT1".to_owned(),
            total: 5,
            counts: counted([("HEALTH", 3), ("OTHER", -1), ("ODD", 5)]),
            coverage: counted([("NOTHING", 2), ("THEME", -1), ("ODD", 5)]),
            diagnostics: ["STRUCTURES_CUT_SHORT", "STRUCTURES_CUT_SHORT", "ODD"].map(diagnostic).into(),
            dataflows: vec![dataflow(&["jobs", "hospitals"]), dataflow(&["jobs"]), dataflow(&[])],
            ..Default::default()
        };
        analyzed.count(&analysis);
        analyzed.count(&pb::Analysis {
            provider: "acme".to_owned(),
            total: 1,
            overlay_revision: 7,
            dataflows: vec![dataflow(&["of a tenant"])],
            ..Default::default()
        });
        let text = metrics.encode();
        for sample in [
            "dataflows_analyzed_total{category=\"HEALTH\"} 3",
            "dataflows_analyzed_total{category=\"OTHER\"} 0",
            "dataflows_analyzed_total{category=\"LABOUR\"} 0",
            "dataflows_decided_total{decided_by=\"NOTHING\"} 2",
            "dataflows_decided_total{decided_by=\"THEME\"} 0",
            "dataflows_decided_total{decided_by=\"RULES\"} 0",
            "dataflows_analyzed_by_provider_total{provider=\"IT1\"} 5",
            "dataflows_analyzed_by_provider_total{provider=\"acme\"} 1",
            "rule_matches_total{rule=\"jobs\"} 2",
            "rule_matches_total{rule=\"hospitals\"} 1",
            "analyses_cut_short_total{reason=\"STRUCTURES_CUT_SHORT\"} 1",
            "analyses_cut_short_total{reason=\"CATEGORIES_CUT_SHORT\"} 0",
        ] {
            assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
        }
        assert!(!text.contains("ODD") && !text.contains("of a tenant"));
    }

    #[test]
    fn names_that_callers_choose_have_a_bounded_number_of_series() {
        let (metrics, analyzed) = (Metrics::default(), Analyzed::default());
        analyzed.register(&metrics);
        for number in 0..10_000 {
            let evidence = vec![of_rule(&format!("rule-{number}"))];
            analyzed.count(&pb::Analysis {
                provider: format!("provider-{number}"),
                total: 1,
                dataflows: vec![pb::Dataflow { evidence, ..Default::default() }],
                ..Default::default()
            });
        }
        let text = metrics.encode();
        let series = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(
            series("dataflows_analyzed_by_provider_total{"),
            LABELLED_PROVIDERS.len() + PROVIDERS_MAX + 1
        );
        assert_eq!(series("rule_matches_total{"), RULES_MAX + 1);
        assert!(text.contains("rule_matches_total{rule=\"other\"} 9500\n"));
    }
}
