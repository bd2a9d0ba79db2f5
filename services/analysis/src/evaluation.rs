//! Proposed rules against a catalogue: which dataflows they file otherwise than the set in use does, and why. The
//! document is read once, and each dataflow filed twice.

use std::io::Read;

use crate::catalogue::{Filing, subject};
use dataflow_rules::Category;
use dataflow_rules::{Compiled, Mode, Scratch, Verdict};
use dataflow_sdmx::{Dataflow, Diagnostics, Limits, ParseError, StructureReader};

pub use self::proposal::Proposal;

mod proposal;

/// What a proposal changes about a catalogue.
#[derive(Debug)]
pub struct Evaluation {
    /// Dataflows by category under the rules in use, in the declared order of categories.
    pub before: Counts,
    /// The same under the proposed rules.
    pub after: Counts,
    /// Dataflows that come under another category.
    pub recategorised: usize,
    /// Those that are filed otherwise, in document order.
    pub moves: Vec<Move>,
    /// What was odd about the document.
    pub diagnostics: Diagnostics,
}

/// Dataflows by category.
pub type Counts = [usize; Category::ALL.len()];

/// One dataflow that is filed otherwise.
#[derive(Debug)]
pub struct Move {
    /// What the document says of it.
    pub dataflow: Box<Dataflow>,
    /// Where it is filed now.
    pub before: Filing,
    /// Where it would be.
    pub after: Filing,
}

/// Reads a catalogue to its end and files every dataflow by both sets. Of moves within a category none is kept where
/// only `between_categories` are wanted.
///
/// # Errors
///
/// When the document as a whole cannot be read.
pub fn evaluate(
    document: impl Read,
    before: &Compiled,
    after: &Compiled,
    between_categories: bool,
    limits: Limits,
) -> Result<Evaluation, ParseError> {
    let mut reader = StructureReader::new(document, limits);
    if [before, after].iter().all(|rules| rules.mode() != Mode::Substring) {
        reader = reader.without_legacy();
    }
    let mut scratch = Scratch::default();
    let (mut counts, mut recategorised, mut moves) = ([Counts::default(); 2], 0, Vec::new());
    while let Some(dataflow) = reader.next_dataflow()? {
        let subject = subject(&dataflow);
        let verdicts = [before, after].map(|rules| rules.categorise(&subject, &mut scratch));
        for (counts, verdict) in counts.iter_mut().zip(&verdicts) {
            counts[verdict.category.index()] += 1;
        }
        let [before, after] = &verdicts;
        let moves_away = before.category != after.category;
        recategorised += usize::from(moves_away);
        if moves_away || (!between_categories && differ(before, after)) {
            let (before, after) = (before.into(), after.into());
            moves.push(Move { dataflow, before, after });
        }
    }
    let [before, after] = counts;
    Ok(Evaluation { before, after, recategorised, moves, diagnostics: reader.into_diagnostics() })
}

/// Whether one category won with other points, or for other reasons. The confidence alone does not count: it moves with
/// the runner-up, which nobody sees.
fn differ(one: &Verdict<'_>, other: &Verdict<'_>) -> bool {
    one.score != other.score || one.evidence != other.evidence
}

#[cfg(test)]
mod tests;
