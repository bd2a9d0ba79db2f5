//! Adds the evidence of families to the filings of a catalogue, after all of it has been read: whether a dataflow has a
//! parent or siblings is known only then.

use dataflow_rules::family::{self, Member, Support};
use dataflow_rules::{Compiled, Mode, Points, Scratch};
use dataflow_sdmx::Dataflow;

use crate::Error;
use crate::budget::Budget;
use crate::decision::DecidedBy;
use crate::filing::{Evidence, Filing, subject};

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
    rules: &Compiled,
    scratch: &mut Scratch,
    budget: &mut Budget,
) -> Result<(), Error> {
    let families = Families::new(dataflows, points, rules);
    for (index, filing) in filings.iter_mut().enumerate() {
        budget.check()?;
        let before = filing.bytes();
        families.add_to(filing, index, &dataflows[index], rules, scratch);
        budget.add(filing.bytes().saturating_sub(before))?;
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

    /// Adds what the families of the dataflow with this index say to the filing that its texts alone give.
    pub(crate) fn add_to(
        &self,
        filing: &mut Filing,
        index: usize,
        dataflow: &Dataflow,
        rules: &Compiled,
        scratch: &mut Scratch,
    ) {
        let Some(support) = self.found.as_ref().and_then(|found| found.support(index)) else { return };
        let Some(winner) = self.points[index].winner(&support.points) else { return };
        if winner.category != filing.category || filing.decided_by == DecidedBy::Nothing {
            filing.category = winner.category;
            filing.decided_by = DecidedBy::Family;
            let evidence = rules.evidence(winner.category, &subject(dataflow), scratch);
            filing.evidence = evidence.iter().map(Evidence::from).collect();
        }
        filing.score = winner.score;
        filing.confidence = winner.confidence;
        filing.evidence.extend(evidence(&support, winner.category));
    }
}

/// The families that add points to a category, as evidence.
fn evidence(support: &Support<'_>, category: dataflow_rules::Category) -> impl Iterator<Item = Evidence> {
    support.families(category).map(|family| Evidence::Family {
        key: family.key.to_owned(),
        members: u32::try_from(family.members).unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests;
