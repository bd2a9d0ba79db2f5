//! Evaluates proposed rules on a catalogue: which dataflows they categorize differently from the current set, and why.
//! The document is parsed once. Each dataflow is categorized by both sets: first for the points that its family needs,
//! then, when the whole catalogue is known, with its family.

use std::io::Read;

use dataflow_rules::Category;
use dataflow_rules::{Compiled, Mode, Points};
use dataflow_sdmx::{Dataflow, Diagnostics, Limits, StructureReader};

use crate::Error;
use crate::categorizer::Categorizer;
use crate::families::Families;
use crate::filing::{Filing, subject};
use dataflow_uploads::budget::Budget;

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

// === impl Evaluation ===

impl Evaluation {
    /// The bytes of the texts of its evidence.
    pub(crate) fn bytes(&self) -> usize {
        self.moves.iter().map(|moved| moved.before.bytes() + moved.after.bytes()).sum()
    }
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
/// within a category are omitted. Memory is bounded by the budget, which counts every dataflow.
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
    let mut categorizers = [Categorizer::new(before), Categorizer::new(after)];
    let (mut dataflows, mut points) = (Vec::new(), [Vec::<Points>::new(), Vec::new()]);
    while let Some(dataflow) = reader.next_dataflow()? {
        budget.spend(&dataflow)?;
        for (categorizer, points) in categorizers.iter_mut().zip(&mut points) {
            points.push(categorizer.file(&subject(&dataflow)).1);
        }
        dataflows.push(dataflow);
    }
    let [families_before, families_after] = &points;
    let families = [
        Families::new(&dataflows, families_before, before),
        Families::new(&dataflows, families_after, after),
    ];
    let (mut counts, mut recategorized, mut moved) = ([Counts::default(); 2], 0, Vec::new());
    for (index, dataflow) in dataflows.iter().enumerate() {
        budget.check()?;
        let filings = [0, 1].map(|side| {
            let categorizer = &mut categorizers[side];
            let (mut filing, _) = categorizer.file(&subject(dataflow));
            families[side].add_to(&mut filing, index, dataflow, categorizer);
            filing
        });
        for (counts, filing) in counts.iter_mut().zip(&filings) {
            counts[filing.category.index()] += 1;
        }
        let [before, after] = filings;
        let moves_away = before.category != after.category;
        recategorized += usize::from(moves_away);
        if moves_away || (!between_categories && differ(&before, &after)) {
            budget.add(before.bytes() + after.bytes())?;
            moved.push((index, before, after));
        }
    }
    let mut dataflows: Vec<_> = dataflows.into_iter().map(Some).collect();
    let moves = moved.into_iter().filter_map(|(index, before, after)| {
        dataflows[index].take().map(|dataflow| Move { dataflow, before, after })
    });
    let (moves, [before, after]) = (moves.collect(), counts);
    Ok(Evaluation { before, after, recategorized, moves, diagnostics: reader.into_diagnostics() })
}

/// Whether the same category won with another score or other evidence. A change of the confidence alone does not count:
/// it depends on the runner-up, which responses do not contain.
fn differ(one: &Filing, other: &Filing) -> bool {
    one.score != other.score || one.evidence != other.evidence
}

#[cfg(test)]
mod tests;
