//! Conversion of evaluations between the wire and the domain.

use bytes::Bytes;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::config::v1 as config;
use dataflow_proto::r#type::v1 as types;
use dataflow_rules::limits::DEFAULT_PRIORITY;
use dataflow_rules::{Category, Mode, Rule};

use super::rules::{category_to_wire, rule};
use super::{by_language, diagnostic, name, to_i32};
use crate::Error;
use crate::catalogue::Filing;
use crate::evaluation::{Counts, Evaluation, Move, Proposal};
use crate::rulesets::Ruleset;

/// A validated evaluation request.
pub(crate) struct EvaluationRequest {
    /// The set that the proposal is compared with.
    pub(crate) ruleset: String,
    pub(crate) proposal: Proposal,
    /// Whether to omit changes within a category.
    pub(crate) between_categories: bool,
    pub(crate) document: Bytes,
}

// === in ===

impl TryFrom<pb::EvaluateRulesRequest> for EvaluationRequest {
    type Error = Error;

    fn try_from(request: pb::EvaluateRulesRequest) -> Result<Self, Error> {
        let mode = match request.mode() {
            config::ruleset::Mode::Unspecified if request.mode != 0 => {
                return Err(invalid("mode".to_owned(), "must be one of the modes"));
            }
            config::ruleset::Mode::Unspecified => None,
            config::ruleset::Mode::Substring => Some(Mode::Substring),
            config::ruleset::Mode::Words => Some(Mode::Words),
        };
        let ruleset = name(&request.ruleset, "ruleset")?;
        let document = request.document.ok_or_else(|| invalid("document".to_owned(), "must be set"))?.data;
        let rules = request.rules.into_iter().enumerate().map(|(index, rule)| proposed(index, rule));
        let proposal = Proposal {
            rules: rules.collect::<Result<_, _>>()?,
            removed: request.removed_rules,
            replace: request.replace,
            mode,
        };
        Ok(Self { ruleset, proposal, between_categories: request.category_only, document })
    }
}

/// A proposed rule, which may omit the priority.
fn proposed(index: usize, given: config::Rule) -> Result<Rule, Error> {
    if given.category() == types::Category::Unspecified {
        return Err(invalid(format!("rules[{index}].category"), "must be one of the categories"));
    }
    let priority = if given.priority == 0 { DEFAULT_PRIORITY } else { given.priority };
    rule(index, config::Rule { priority, ..given })
}

fn invalid(field: String, problem: &str) -> Error {
    Error::FieldInvalid { field, problem: problem.to_owned() }
}

// === out ===

/// Builds the response. Consumes the evaluation move by move.
pub(crate) fn evaluation(evaluation: Evaluation, ruleset: &Ruleset, degraded: Vec<i32>) -> pb::Evaluation {
    let Evaluation { before, after, recategorized, moves, diagnostics } = evaluation;
    pb::Evaluation {
        ruleset: ruleset.name.clone(),
        rules_revision: ruleset.revision,
        total: to_i32(before.iter().sum()),
        counts_before: counts(before).collect(),
        counts_after: counts(after).collect(),
        recategorized: to_i32(recategorized),
        moves: moves.into_iter().map(Into::into).collect(),
        diagnostics_omitted: i32::try_from(diagnostics.omitted()).unwrap_or(i32::MAX),
        diagnostics: diagnostics.kept().iter().map(diagnostic).collect(),
        degraded,
        overlay_revision: ruleset.overlay_revision,
    }
}

fn counts(counts: Counts) -> impl Iterator<Item = (String, i32)> {
    let counts = Category::ALL.into_iter().zip(counts);
    counts.map(|(category, count)| (category.name().to_owned(), to_i32(count)))
}

impl From<Move> for pb::Move {
    fn from(moved: Move) -> Self {
        let Move { dataflow, before, after } = moved;
        Self {
            id: dataflow.id,
            agency_id: dataflow.agency_id,
            version: dataflow.version,
            names: by_language(dataflow.names),
            before: Some(before.into()),
            after: Some(after.into()),
        }
    }
}

impl From<Filing> for pb::Filing {
    fn from(filing: Filing) -> Self {
        let Filing { category, score, confidence, evidence, decided_by } = filing;
        Self {
            category: category_to_wire(category).into(),
            score,
            confidence,
            evidence: evidence.into_iter().map(Into::into).collect(),
            decided_by: super::decided_by(decided_by).into(),
        }
    }
}
