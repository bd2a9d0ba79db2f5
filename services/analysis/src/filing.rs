//! The result for one dataflow: a category, and the reasons for it.

use std::sync::Arc;

use dataflow_rules::{Category, Field, LegacyText, RuleKeyword, Subject};
use dataflow_sdmx::Dataflow;

use crate::decision::DecidedBy;

/// A category and the reasons for it; owned, unlike the verdict of the rules, because it outlives them.
#[derive(Debug, Clone, PartialEq)]
pub struct Filing {
    /// The winning category.
    pub category: Category,
    /// Its points.
    pub score: i32,
    /// From 0 to 1.
    pub confidence: f64,
    /// What counts for it: matches, then families.
    pub evidence: Vec<Evidence>,
    /// What decided.
    pub decided_by: DecidedBy,
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// A match of a keyword.
    Rule {
        /// The keyword and its rule.
        keyword: Arc<RuleKeyword>,
        /// The field with the match, as `name.it`.
        field: Arc<str>,
        /// Unicode scalar values from the start of the field.
        offset: u32,
    },
    /// A family of the dataflow.
    Family {
        /// The id of the parent, or the first token of the ids of siblings.
        key: String,
        /// The dataflows in it.
        members: u32,
    },
}

// === impl Filing ===

impl Filing {
    /// The bytes of its texts.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |evidence: &Evidence| match evidence {
            Evidence::Rule { keyword, field, .. } => {
                keyword.rule_id.len() + keyword.written.len() + field.len()
            }
            Evidence::Family { key, .. } => key.len(),
        };
        self.evidence.iter().map(bytes).sum()
    }
}

/// The parts of a dataflow that the rules search.
pub fn subject(dataflow: &Dataflow) -> Subject<'_> {
    let language = dataflow.descriptions.first().map_or("", |(language, _)| language);
    let legacy = dataflow.legacy.as_ref().map(|fields| LegacyText {
        display_name: &fields.display_name,
        display_field: match (fields.name_it.is_empty(), fields.name_en.is_empty()) {
            (false, _) => Field::Name("it"),
            (true, false) => Field::Name("en"),
            (true, true) => Field::Id,
        },
        description: &fields.description,
        description_field: Field::Description(language),
    });
    Subject {
        id: &dataflow.id,
        agency: &dataflow.agency_id,
        names: &dataflow.names,
        descriptions: &dataflow.descriptions,
        legacy,
    }
}
