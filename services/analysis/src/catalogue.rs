//! The analysis of one catalogue: combines the parsed dataflows with their categories.

use std::collections::HashMap;
use std::io::Read;

use dataflow_rules::Category;
use dataflow_rules::{Compiled, Mode, Points, Scratch};
use dataflow_sdmx::{Dataflow, Diagnostics, Limits, StructureReader};

use crate::Error;
use crate::budget::Budget;
use crate::families;

pub use crate::filing::{DecidedBy, Evidence, Filing, subject};

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

/// Number of dataflows that are parsed before they are categorized. The parser and the rules each fill the processor's
/// caches with their own data; alternating at every dataflow would evict each other's.
const BATCH: usize = 64;

/// Reads a catalogue to its end and categorizes every dataflow, first by its own texts, then with its family. Memory is
/// bounded by the result.
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
    let (mut dataflows, mut filings, mut points) = (Vec::new(), Vec::new(), Vec::<Points>::new());
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
            let verdict = rules.categorize(&subject(&dataflow), &mut scratch);
            let filing = Filing::from(&verdict);
            budget.add(filing.bytes())?;
            points.push(verdict.points);
            filings.push(filing);
            dataflows.push(dataflow);
        }
    }
    families::add_to_all(&mut filings, &dataflows, &points, rules, &mut scratch, budget)?;
    let analyzed = dataflows.into_iter().zip(filings);
    let dataflows = analyzed.map(|(dataflow, filing)| AnalyzedDataflow { dataflow, filing }).collect();
    Ok(Catalogue { dataflows, diagnostics: reader.into_diagnostics() })
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

    /// The number of dataflows by what decided their category.
    pub fn coverage(&self) -> impl Iterator<Item = (DecidedBy, usize)> {
        let count = |decided_by| {
            self.dataflows.iter().filter(|analyzed| analyzed.filing.decided_by == decided_by).count()
        };
        DecidedBy::ALL.into_iter().map(move |decided_by| (decided_by, count(decided_by)))
    }
}
