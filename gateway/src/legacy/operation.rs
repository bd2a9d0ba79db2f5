//! The operations of the predecessor's API: its routes, and the methods of the mesh behind them. Separate from the
//! exchange, because it is the table of contents of the API.

const ANALYSIS: &str = "dataflow.analysis.v1.AnalysisService";
const RULES: &str = "dataflow.config.v1.RuleService";

/// Every route of the surface.
pub(super) const ROUTES: [(&str, &str, Operation); 5] = [
    ("POST", "/api/analysis/dataflow", Operation::Analyze),
    ("GET", "/api/analysis/rules", Operation::List),
    ("POST", "/api/analysis/rules", Operation::Add),
    ("PUT", "/api/analysis/rules/{rule_id}", Operation::Change),
    ("DELETE", "/api/analysis/rules/{rule_id}", Operation::Remove),
];

/// The operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// Analyze a document.
    Analyze,
    /// List rules.
    List,
    /// Add a rule.
    Add,
    /// Change a rule.
    Change,
    /// Remove a rule.
    Remove,
}

// === impl Operation ===

impl Operation {
    /// The method behind it: its service and its name.
    pub(super) fn method(self) -> (&'static str, &'static str) {
        match self {
            Self::Analyze => (ANALYSIS, "AnalyzeCatalogue"),
            // The rule set as a whole, however large: pages would not tell the places of a category's rules.
            Self::List => (RULES, "ListRulesets"),
            Self::Add => (RULES, "CreateRule"),
            Self::Change => (RULES, "UpdateRule"),
            Self::Remove => (RULES, "DeleteRule"),
        }
    }
}
