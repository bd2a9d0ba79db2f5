//! Profiles: what is known about the data of each dataflow.

use std::collections::HashSet;

use dataflow_sdmx::{Diagnostics, Flag, Position, Reason, Reference, Structures, Timestamp};

use super::{AnalyzedDataflow, CatalogueStructure};
use crate::Error;
use crate::profile::{self, Profile, Sources};
use dataflow_uploads::budget::Budget;

/// Flags that a provider may give to nearly all of its dataflows, so that they tell nothing.
const TELLING: [Flag; 2] = [Flag::Hidden, Flag::NonProduction];

/// The least number of dataflows of which "nearly all" can be said.
const LEAST_DATAFLOWS: usize = 20;

/// Gives each dataflow its profile. Returns the data structures that they name.
///
/// # Errors
///
/// If the budget is used up.
pub(super) fn describe(
    dataflows: &mut [AnalyzedDataflow],
    structures: &Structures,
    prepared: Option<Timestamp>,
    diagnostics: &mut Diagnostics,
    budget: &mut Budget,
) -> Result<Vec<CatalogueStructure>, Error> {
    let index = structures.index();
    let own = structures.data_structures().iter().any(|found| found.position.document == 0);
    let sources = Sources { index: &index, has_data_structures: own, prepared };
    for analyzed in dataflows.iter_mut() {
        budget.check()?;
        analyzed.profile = Profile::of(&analyzed.dataflow, sources, diagnostics);
        budget.add(analyzed.profile.bytes())?;
    }
    report_constraints(dataflows, structures, diagnostics);
    report_flags(dataflows, diagnostics);
    let named = dataflows.iter().map(|analyzed| &*analyzed.dataflow);
    let mut found = Vec::new();
    for data_structure in profile::data_structures(named, &index) {
        let dimensions = data_structure.dimensions.iter();
        let codes: Vec<_> = dimensions.map(|dimension| index.codes(&dimension.codelist)).collect();
        let texts = data_structure.dimensions.iter().map(|found| found.id.len() + found.codelist.bytes());
        budget.add(data_structure.identity.bytes() + texts.sum::<usize>())?;
        found.push(CatalogueStructure { data_structure: data_structure.clone(), codes });
    }
    Ok(found)
}

/// Reports the constraints that name dataflows, none of which the catalogue has: once, because a service may return those
/// of all dataflows beside a part of the catalogue.
fn report_constraints(
    dataflows: &[AnalyzedDataflow],
    structures: &Structures,
    diagnostics: &mut Diagnostics,
) {
    let known = dataflows.iter().map(|analyzed| (&*analyzed.dataflow.agency_id, &*analyzed.dataflow.id));
    let known: HashSet<_> = if structures.is_empty() { HashSet::new() } else { known.collect() };
    let is_known = |named: &Reference| known.contains(&(&*named.agency_id, &*named.id));
    let useless = structures
        .constraints()
        .iter()
        .filter(|constraint| !constraint.dataflows.is_empty() && !constraint.dataflows.iter().any(is_known));
    let mut useless = useless.peekable();
    if let Some(first) = useless.peek().copied() {
        diagnostics.add(Reason::ConstraintWithoutDataflow, first.position, || {
            let dataflow = &first.dataflows[0];
            let others = match useless.count() {
                1 => String::new(),
                count => format!("; {} more constraints name none that it has", count - 1),
            };
            format!("constraint {first} names dataflow {dataflow}, which the catalogue does not have{others}")
        });
    }
}

/// Reports a flag that at least 95 % of the dataflows have.
fn report_flags(dataflows: &[AnalyzedDataflow], diagnostics: &mut Diagnostics) {
    let total = dataflows.len();
    for flag in TELLING {
        let count = dataflows.iter().filter(|analyzed| analyzed.dataflow.facts.flags.contains(&flag)).count();
        if total >= LEAST_DATAFLOWS && count * 100 >= total * 95 {
            diagnostics.add(Reason::FlagOnNearlyAll, Position::start_of(0), || {
                let flag = if flag == Flag::Hidden { "HIDDEN" } else { "NON_PRODUCTION" };
                format!("{count} of {total} dataflows are {flag}: the flag does not tell them apart")
            });
        }
    }
}
