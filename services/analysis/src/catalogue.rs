//! The analysis of one catalogue: combines the parsed dataflows with their categories.

use std::collections::HashMap;
use std::io::Read;

use dataflow_rules::Category;
use dataflow_rules::{Compiled, Field, LegacyText, Match, Mode, Scratch, Subject, Verdict};
use dataflow_sdmx::{Dataflow, Diagnostics, Limits, StructureReader};

use crate::Error;
use crate::budget::Budget;

/// An analyzed catalogue.
#[derive(Debug)]
pub struct Catalogue {
    /// In document order, all versions and duplicates.
    pub dataflows: Vec<AnalyzedDataflow>,
    /// Irregularities of the document.
    pub diagnostics: Diagnostics,
}

/// One dataflow and its category.
#[derive(Debug)]
pub struct AnalyzedDataflow {
    /// The dataflow as the document defines it; the predecessor's fields are absent unless the rules have mode
    /// SUBSTRING.
    pub dataflow: Box<Dataflow>,
    /// The result of its categorization.
    pub filing: Filing,
}

/// A category and the reasons for it; owned, unlike the verdict of the rules, because it outlives them.
#[derive(Debug, Clone, PartialEq)]
pub struct Filing {
    /// The winning category.
    pub category: Category,
    /// Its points.
    pub score: i32,
    /// From 0 to 1.
    pub confidence: f64,
    /// The matches that count for it.
    pub evidence: Vec<Evidence>,
}

/// One match of a keyword.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The rule.
    pub rule_id: String,
    /// Its keyword.
    pub keyword: String,
    /// The field with the match, as `name.it`.
    pub field: String,
    /// Unicode scalar values from the start of the field.
    pub offset: u32,
}

/// Number of dataflows that are parsed before they are categorized. The parser and the rules each fill the processor's
/// caches with their own data; alternating at every dataflow would evict each other's.
const BATCH: usize = 64;

/// Reads a catalogue to its end and categorizes every dataflow. Memory is bounded by the result.
///
/// # Errors
///
/// If the whole document cannot be parsed, or the budget is used up.
pub fn analyze(
    document: impl Read,
    rules: &Compiled,
    limits: Limits,
    budget: &mut Budget,
) -> Result<Catalogue, Error> {
    let mut reader = StructureReader::new(document, limits);
    if rules.mode() != Mode::Substring {
        reader = reader.without_legacy();
    }
    let mut scratch = Scratch::default();
    let mut dataflows = Vec::new();
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        while batch.len() < BATCH
            && let Some(dataflow) = reader.next_dataflow().map_err(Error::Document)?
        {
            budget.spend(&dataflow)?;
            batch.push(dataflow);
        }
        if batch.is_empty() {
            break;
        }
        for dataflow in batch.drain(..) {
            budget.check()?;
            let filing = Filing::of(&subject(&dataflow), rules, &mut scratch);
            let evidence = filing.evidence.iter();
            budget.add(evidence.map(|one| one.rule_id.len() + one.keyword.len() + one.field.len()).sum())?;
            dataflows.push(AnalyzedDataflow { dataflow, filing });
        }
    }
    Ok(Catalogue { dataflows, diagnostics: reader.into_diagnostics() })
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
    Subject { id: &dataflow.id, names: &dataflow.names, descriptions: &dataflow.descriptions, legacy }
}

// === impl Filing ===

impl Filing {
    /// Categorizes one dataflow.
    pub fn of(subject: &Subject<'_>, rules: &Compiled, scratch: &mut Scratch) -> Self {
        (&rules.categorize(subject, scratch)).into()
    }
}

impl From<&Verdict<'_>> for Filing {
    fn from(verdict: &Verdict<'_>) -> Self {
        Self {
            category: verdict.category,
            score: verdict.score,
            confidence: verdict.confidence,
            evidence: verdict.evidence.iter().map(Evidence::from).collect(),
        }
    }
}

// === impl Catalogue ===

impl Catalogue {
    /// The agency that maintains most of the dataflows; on a tie, the first in alphabetical order.
    pub fn main_agency(&self) -> &str {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for analyzed in &self.dataflows {
            *counts.entry(&analyzed.dataflow.agency_id).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(agency, count)| (*count, std::cmp::Reverse(*agency)));
        most.map_or("", |(agency, _)| agency)
    }

    /// The number of dataflows per category, in the declared order of categories.
    pub fn counts(&self) -> impl Iterator<Item = (Category, usize)> {
        let mut counts = [0; Category::ALL.len()];
        for analyzed in &self.dataflows {
            counts[analyzed.filing.category.index()] += 1;
        }
        Category::ALL.into_iter().zip(counts)
    }
}

impl From<&Match<'_>> for Evidence {
    fn from(found: &Match<'_>) -> Self {
        Self {
            rule_id: found.rule_id.to_owned(),
            keyword: found.keyword.to_owned(),
            field: found.field.to_string(),
            offset: found.offset,
        }
    }
}
