//! Evaluates proposed rules on a catalogue: which dataflows they categorize differently from the current set, and why.
//! The document is parsed once, and each dataflow is categorized twice.

use std::io::Read;

use dataflow_rules::Category;
use dataflow_rules::{Compiled, Mode, Scratch, Verdict};
use dataflow_sdmx::{Dataflow, Diagnostics, Limits, StructureReader};

use crate::Error;
use crate::budget::Budget;
use crate::catalogue::{Filing, subject};

pub use self::proposal::Proposal;

mod proposal;

/// The effect of a proposal on a catalogue.
#[derive(Debug)]
pub struct Evaluation {
    /// Number of dataflows per category under the current rules, in the declared order of categories.
    pub before: Counts,
    /// The same under the proposed rules.
    pub after: Counts,
    /// Number of dataflows whose category changes.
    pub recategorized: usize,
    /// The dataflows with another result, in document order.
    pub moves: Vec<Move>,
    /// Irregularities of the document.
    pub diagnostics: Diagnostics,
}

/// Number of dataflows per category.
pub type Counts = [usize; Category::ALL.len()];

/// One dataflow with another result.
#[derive(Debug)]
pub struct Move {
    /// The dataflow as the document defines it.
    pub dataflow: Box<Dataflow>,
    /// The result under the current rules.
    pub before: Filing,
    /// The result under the proposed rules.
    pub after: Filing,
}

/// Reads a catalogue to its end and categorizes every dataflow by both sets. If `between_categories` is set, changes
/// within a category are omitted.
///
/// # Errors
///
/// If the whole document cannot be parsed, or the budget is used up.
pub fn evaluate(
    document: impl Read,
    before: &Compiled,
    after: &Compiled,
    between_categories: bool,
    limits: Limits,
    budget: &mut Budget,
) -> Result<Evaluation, Error> {
    let mut reader = StructureReader::new(document, limits);
    if [before, after].iter().all(|rules| rules.mode() != Mode::Substring) {
        reader = reader.without_legacy();
    }
    let mut scratch = Scratch::default();
    let (mut counts, mut recategorized, mut moves) = ([Counts::default(); 2], 0, Vec::new());
    while let Some(dataflow) = reader.next_dataflow().map_err(Error::Document)? {
        budget.spend(&dataflow)?;
        let subject = subject(&dataflow);
        let verdicts = [before, after].map(|rules| rules.categorize(&subject, &mut scratch));
        for (counts, verdict) in counts.iter_mut().zip(&verdicts) {
            counts[verdict.category.index()] += 1;
        }
        let [before, after] = &verdicts;
        let moves_away = before.category != after.category;
        recategorized += usize::from(moves_away);
        if moves_away || (!between_categories && differ(before, after)) {
            let (before, after) = (before.into(), after.into());
            moves.push(Move { dataflow, before, after });
        }
    }
    let [before, after] = counts;
    Ok(Evaluation { before, after, recategorized, moves, diagnostics: reader.into_diagnostics() })
}

/// Whether the same category won with another score or other evidence. A change of the confidence alone does not count:
/// it depends on the runner-up, which responses do not contain.
fn differ(one: &Verdict<'_>, other: &Verdict<'_>) -> bool {
    one.score != other.score || one.evidence != other.evidence
}

#[cfg(test)]
mod tests;
