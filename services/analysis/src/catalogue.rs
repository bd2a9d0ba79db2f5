//! The analysis of one catalogue: combines the parsed dataflows with their categories.

use std::collections::HashMap;
use std::io::Read;

use dataflow_rules::Category;
use dataflow_rules::themes::Mapping;
use dataflow_rules::{Compiled, Field, LegacyText, Match, Mode, Scratch, Subject, Verdict};
use dataflow_sdmx::{Dataflow, Diagnostics, Fault, Limits, ParseError, Position, StructureReader, Themes};

use crate::Error;
use crate::budget::Budget;
use crate::decision::DecidedBy;
use crate::document::{Documents, Single};
use crate::themes::{self, AssignedTheme};

mod themed;

/// An analyzed catalogue.
#[derive(Debug)]
pub struct Catalogue {
    /// In document order, all versions and duplicates.
    pub dataflows: Vec<AnalyzedDataflow>,
    /// Irregularities of the documents.
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
    /// What decided it.
    pub decided_by: DecidedBy,
    /// Its official categories, whether they decided or not.
    pub themes: Vec<AssignedTheme>,
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

/// Analyzes a catalogue that is one document, with the mapping of themes of this release.
///
/// # Errors
///
/// As [`analyze_all`].
pub fn analyze(
    document: impl Read,
    rules: &Compiled,
    limits: Limits,
    budget: &mut Budget,
) -> Result<Catalogue, Error> {
    analyze_all(&mut Single(document), rules, &Mapping::built_in(), limits, budget)
}

/// Reads a catalogue and further documents to their ends, and categorizes every dataflow of the catalogue: by the
/// themes in all documents, else by the rules. Memory is bounded by the result, and by the limits of themes. Rules of
/// mode SUBSTRING, which reproduce the predecessor, decide alone.
///
/// # Errors
///
/// If a whole document cannot be parsed, or the budget is used up.
pub fn analyze_all(
    documents: &mut impl Documents,
    rules: &Compiled,
    mapping: &Mapping,
    limits: Limits,
    budget: &mut Budget,
) -> Result<Catalogue, Error> {
    let with_themes = rules.mode() != Mode::Substring;
    let mut reader = StructureReader::new(&mut *documents, limits.clone());
    if with_themes {
        reader = reader.without_legacy().with_themes(Themes::default());
    }
    let mut dataflows = categorize(&mut reader, rules, budget)?;
    let (mut diagnostics, mut found) = reader.into_parts();
    for number in 1.. {
        let next = documents.next_document();
        let position = Position::start_of(number);
        if !next.map_err(|error| Error::Document(ParseError { fault: Fault::Read(error), position }))? {
            break;
        }
        let mut reader = StructureReader::new(&mut *documents, limits.clone()).without_legacy();
        if with_themes {
            reader = reader.with_themes(found);
        }
        reader = reader.following(number, diagnostics);
        while reader.next_dataflow().map_err(Error::Document)?.is_some() {
            budget.check()?;
        }
        (diagnostics, found) = reader.into_parts();
    }
    let flows = dataflows.iter().map(|analyzed| &*analyzed.dataflow);
    if let Some(assigned) = themes::assign(flows, &found, (mapping, &limits), &mut diagnostics) {
        themed::decide(&mut dataflows, assigned, budget)?;
    }
    diagnostics.sort();
    Ok(Catalogue { dataflows, diagnostics })
}

/// Reads one document to its end and categorizes every dataflow by the rules.
fn categorize<R: Read>(
    reader: &mut StructureReader<R>,
    rules: &Compiled,
    budget: &mut Budget,
) -> Result<Vec<AnalyzedDataflow>, Error> {
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
            return Ok(dataflows);
        }
        for dataflow in batch.drain(..) {
            budget.check()?;
            let filing = Filing::of(&subject(&dataflow), rules, &mut scratch);
            let evidence = filing.evidence.iter();
            budget.add(evidence.map(|one| one.rule_id.len() + one.keyword.len() + one.field.len()).sum())?;
            let decided_by = if filing.evidence.is_empty() { DecidedBy::Nothing } else { DecidedBy::Rules };
            dataflows.push(AnalyzedDataflow { dataflow, filing, decided_by, themes: Vec::new() });
        }
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

    /// The number of dataflows by what decided their category, in declared order.
    pub fn coverage(&self) -> impl Iterator<Item = (DecidedBy, usize)> {
        let mut counts = [0; DecidedBy::ALL.len()];
        for analyzed in &self.dataflows {
            counts[analyzed.decided_by.index()] += 1;
        }
        DecidedBy::ALL.into_iter().zip(counts)
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
