//! The analysis of one catalogue: combines the parsed dataflows with their categories.

use std::io::Read;

use dataflow_rules::Category;
use dataflow_rules::themes::{CompiledMapping, Mapping};
use dataflow_rules::{Compiled, Mode, Points};
use dataflow_sdmx::{
    DataStructure, Dataflow, Diagnostics, Fault, Limits, ParseError, Position, StructureReader, Structures,
    Themes, Timestamp, timestamp,
};

use crate::Error;
use crate::categorizer::Categorizer;
use crate::families;
use crate::profile::Profile;
use crate::themes::{self, AssignedTheme};
use dataflow_uploads::budget::Budget;
use dataflow_uploads::document::{Documents, Single};

pub use crate::decision::DecidedBy;
pub use crate::filing::{Evidence, Filing, subject};
pub(crate) use themed::decide;

mod described;
mod provider;
mod themed;

/// An analyzed catalogue.
#[derive(Debug)]
pub struct Catalogue {
    /// In document order, all versions and duplicates.
    pub dataflows: Vec<AnalyzedDataflow>,
    /// The data structures that they name, as far as the documents define them.
    pub data_structures: Vec<CatalogueStructure>,
    /// When the provider made the catalogue, if it states that.
    pub prepared: Option<Timestamp>,
    /// Irregularities of the documents.
    pub diagnostics: Diagnostics,
}

/// A data structure of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueStructure {
    /// The definition.
    pub data_structure: DataStructure,
    /// The number of codes of each dimension, in their order; `None` for a list that is in no document.
    pub codes: Vec<Option<u64>>,
}

/// One dataflow and its category.
#[derive(Debug)]
pub struct AnalyzedDataflow {
    /// The dataflow as the document defines it; the predecessor's fields are absent unless the rules have mode
    /// SUBSTRING.
    pub dataflow: Box<Dataflow>,
    /// The result of its categorization.
    pub filing: Filing,
    /// Its official categories, whether they decided or not.
    pub themes: Vec<AssignedTheme>,
    /// What is known about its data.
    pub profile: Profile,
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
    analyze_all(&mut Single(document), rules, &CompiledMapping::new(&Mapping::built_in()), limits, budget)
}

/// Reads a catalogue and further documents to their ends, and categorizes every dataflow of the catalogue: by the
/// themes in all documents, else by the rules and its family. Memory is bounded by the result, and by the limits of themes
/// and structures. Rules of mode SUBSTRING, which reproduce the predecessor, decide alone.
///
/// # Errors
///
/// If a whole document cannot be parsed, or the budget is used up.
pub fn analyze_all(
    documents: &mut impl Documents,
    rules: &Compiled,
    mapping: &CompiledMapping,
    limits: Limits,
    budget: &mut Budget,
) -> Result<Catalogue, Error> {
    let with_themes = rules.mode() != Mode::Substring;
    let mut reader = StructureReader::new(&mut *documents, limits.clone())
        .with_structures(Structures::within(budget.room()));
    if with_themes {
        reader = reader.without_legacy().with_themes(Themes::within(budget.room()));
    }
    let mut dataflows = categorize(&mut reader, rules, budget)?;
    let prepared = timestamp(&reader.header().prepared);
    let mut structures = reader.take_structures();
    let (mut diagnostics, mut found) = reader.into_parts();
    for number in 1.. {
        let next = documents.next_document();
        let position = Position::start_of(number);
        if !next.map_err(|error| ParseError { fault: Fault::Read(error), position })? {
            break;
        }
        let reader = StructureReader::new(&mut *documents, limits.clone());
        let mut reader = reader.without_legacy().with_structures(structures);
        if with_themes {
            reader = reader.with_themes(found);
        }
        reader = reader.following(number, diagnostics);
        while budget.next_dataflow(&mut reader)?.is_some() {
            budget.check()?;
        }
        structures = reader.take_structures();
        (diagnostics, found) = reader.into_parts();
    }
    budget.check()?;
    let flows = dataflows.iter().map(|analyzed| &*analyzed.dataflow);
    if let Some(assigned) = themes::assign(flows, &found, (mapping, &limits), &mut diagnostics) {
        decide(&mut dataflows, assigned, budget)?;
    }
    let data_structures =
        described::describe(&mut dataflows, &structures, prepared, &mut diagnostics, budget)?;
    diagnostics.sort();
    Ok(Catalogue { dataflows, data_structures, prepared, diagnostics })
}

/// Reads one document to its end and categorizes every dataflow by the rules: first by its own texts, then with its
/// family.
fn categorize<R: Read>(
    reader: &mut StructureReader<R>,
    rules: &Compiled,
    budget: &mut Budget,
) -> Result<Vec<AnalyzedDataflow>, Error> {
    let mut categorizer = Categorizer::new(rules);
    let (mut dataflows, mut filings, mut points) = (Vec::new(), Vec::new(), Vec::<Points>::new());
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        while batch.len() < BATCH
            && let Some(dataflow) = budget.next_dataflow(reader)?
        {
            budget.spend(&dataflow)?;
            batch.push(dataflow);
        }
        if batch.is_empty() {
            break;
        }
        for dataflow in batch.drain(..) {
            budget.check()?;
            let (filing, own) = categorizer.file(&subject(&dataflow));
            budget.add(filing.bytes())?;
            points.push(own);
            filings.push(filing);
            dataflows.push(dataflow);
        }
    }
    families::add_to_all(&mut filings, &dataflows, &points, &mut categorizer, budget)?;
    let analyzed = dataflows.into_iter().zip(filings);
    let analyzed = analyzed.map(|(dataflow, filing)| {
        let (themes, profile) = (Vec::new(), Profile::default());
        AnalyzedDataflow { dataflow, filing, themes, profile }
    });
    Ok(analyzed.collect())
}

// === impl Catalogue ===

impl Catalogue {
    /// Who provides the catalogue, by the agencies of its dataflows.
    pub fn provider(&self) -> String {
        provider::of(self.dataflows.iter().map(|analyzed| analyzed.dataflow.agency_id.as_str()))
    }

    /// The number of dataflows per category, in the declared order of categories.
    pub fn counts(&self) -> impl Iterator<Item = (Category, usize)> {
        let mut counts = [0; Category::ALL.len()];
        for analyzed in &self.dataflows {
            counts[analyzed.filing.category.index()] += 1;
        }
        Category::ALL.into_iter().zip(counts)
    }

    /// The number of dataflows by what decided their category.
    pub fn coverage(&self) -> impl Iterator<Item = (DecidedBy, usize)> {
        let count = |decided_by| {
            self.dataflows.iter().filter(|analyzed| analyzed.filing.decided_by == decided_by).count()
        };
        DecidedBy::ALL.into_iter().map(move |decided_by| (decided_by, count(decided_by)))
    }
}
