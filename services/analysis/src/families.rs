//! Adds the evidence of families to the filings of a catalogue, after all of it has been read: whether a dataflow has a
//! parent or siblings is known only then.

use dataflow_rules::family::{self, Member};
use dataflow_rules::{Compiled, Mode, Points};
use dataflow_sdmx::Dataflow;

use crate::Error;
use crate::categorizer::Categorizer;
use crate::decision::DecidedBy;
use crate::filing::{Evidence, Filing, subject};
use dataflow_uploads::budget::Budget;

/// The families of a catalogue; none if the rules have mode SUBSTRING.
#[derive(Debug)]
pub(crate) struct Families<'a> {
    found: Option<family::Families<'a>>,
    points: &'a [Points],
}

/// Adds to every filing what the families of its dataflow say. `points` are those of the texts.
///
/// # Errors
///
/// If the budget is used up.
pub(crate) fn add_to_all(
    filings: &mut [Filing],
    dataflows: &[Box<Dataflow>],
    points: &[Points],
    categorizer: &mut Categorizer<'_>,
    budget: &mut Budget,
) -> Result<(), Error> {
    let families = Families::new(dataflows, points, categorizer.rules());
    for (index, filing) in filings.iter_mut().enumerate() {
        budget.check()?;
        let added = families.add_to(filing, index, &dataflows[index], categorizer);
        budget.add(added)?;
    }
    Ok(())
}

// === impl Families ===

impl<'a> Families<'a> {
    /// Finds the families of a whole catalogue, whose texts have these points.
    pub(crate) fn new(dataflows: &'a [Box<Dataflow>], points: &'a [Points], rules: &Compiled) -> Self {
        let members = || {
            let dataflows = dataflows.iter().zip(points);
            let members = dataflows.map(|(dataflow, points)| Member {
                agency: &dataflow.agency_id,
                id: &dataflow.id,
                points,
            });
            family::Families::new(members.collect())
        };
        Self { found: (rules.mode() == Mode::Words).then(members), points }
    }

    /// Adds what the families of the dataflow with this index say to the filing that its texts alone give. Returns the
    /// bytes by which its texts grow.
    pub(crate) fn add_to(
        &self,
        filing: &mut Filing,
        index: usize,
        dataflow: &Dataflow,
        categorizer: &mut Categorizer<'_>,
    ) -> usize {
        let Some(support) = self.found.as_ref().and_then(|found| found.support(index)) else { return 0 };
        let Some(winner) = self.points[index].winner(&support.points) else { return 0 };
        // Nearly all filings keep their evidence, so that its texts, which are in many places, need not be counted again.
        let mut replaced = None;
        if winner.category != filing.category || filing.decided_by == DecidedBy::Nothing {
            replaced = Some(filing.bytes());
            filing.category = winner.category;
            filing.decided_by = DecidedBy::Family;
            filing.evidence = categorizer.evidence(winner.category, &subject(dataflow));
        }
        filing.score = winner.score;
        filing.confidence = winner.confidence;
        let mut added = 0;
        for family in support.families(winner.category) {
            added += family.key.len();
            let members = u32::try_from(family.members).unwrap_or(u32::MAX);
            filing.evidence.push(Evidence::Family { key: family.key.to_owned(), members });
        }
        replaced.map_or(added, |before| filing.bytes().saturating_sub(before))
    }
}

#[cfg(test)]
mod tests;
