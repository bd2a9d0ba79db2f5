//! Categorizes the dataflows of a catalogue that was read before, as its analysis would, without its documents.

use dataflow_rules::themes::CompiledMapping;
use dataflow_rules::{Category, Compiled, Mode};
use dataflow_sdmx::{Dataflow, Diagnostics, Resolved};
use dataflow_uploads::budget::Budget;

use crate::Error;
use crate::catalogue::{AnalyzedDataflow, decide};
use crate::categorizer::Categorizer;
use crate::families;
use crate::filing::subject;
use crate::profile::Profile;
use crate::themes;

/// The category of each dataflow, in their order: by the themes that they are assigned to, else by the rules and their
/// families. Rules of mode SUBSTRING decide alone.
///
/// # Errors
///
/// If the budget is used up, or the caller has left.
pub fn categories(
    dataflows: Vec<Box<Dataflow>>,
    themes: Resolved<'_>,
    (rules, mapping): (&Compiled, &CompiledMapping),
    budget: &mut Budget,
) -> Result<Vec<Category>, Error> {
    let mut categorizer = Categorizer::new(rules);
    let (mut filings, mut points) = (Vec::new(), Vec::new());
    for dataflow in &dataflows {
        budget.check()?;
        let (filing, own) = categorizer.file(&subject(dataflow));
        filings.push(filing);
        points.push(own);
    }
    families::add_to_all(&mut filings, &dataflows, &points, &mut categorizer, budget)?;
    let assigned = match rules.mode() {
        Mode::Substring => None,
        Mode::Words => {
            let flows = dataflows.iter().map(|dataflow| &**dataflow);
            themes::assign_resolved(flows, themes, mapping, &mut Diagnostics::new(0))
        }
    };
    let analyzed = dataflows.into_iter().zip(filings);
    let analyzed = analyzed.map(|(dataflow, filing)| {
        let (themes, profile) = (Vec::new(), Profile::default());
        AnalyzedDataflow { dataflow, filing, themes, profile }
    });
    let mut analyzed: Vec<_> = analyzed.collect();
    if let Some(assigned) = assigned {
        decide(&mut analyzed, assigned, budget)?;
    }
    Ok(analyzed.into_iter().map(|analyzed| analyzed.filing.category).collect())
}

#[cfg(test)]
mod tests {
    use dataflow_rules::built_in;
    use dataflow_rules::themes::Mapping;
    use dataflow_sdmx::{Limits, StructureReader, Themes};

    use super::*;
    use crate::catalogue;

    #[test]
    fn the_categories_are_those_of_the_analysis() {
        let document = include_bytes!("../../../examples/istat-sample.xml");
        let mapping = CompiledMapping::new(&Mapping::built_in());
        for set in built_in::rulesets() {
            let rules = Compiled::new(&set).unwrap();
            let limits = Limits::default();
            let analyzed =
                catalogue::analyze(&document[..], &rules, limits.clone(), &mut Budget::unlimited()).unwrap();
            let mut reader =
                StructureReader::new(&document[..], limits.clone()).with_themes(Themes::default());
            let mut dataflows = Vec::new();
            while let Some(dataflow) = reader.next_dataflow().unwrap() {
                dataflows.push(dataflow);
            }
            let (mut diagnostics, themes) = reader.into_parts();
            let resolved = themes.resolve(&limits, &mut diagnostics);
            let found =
                categories(dataflows, resolved, (&rules, &mapping), &mut Budget::unlimited()).unwrap();
            let expected: Vec<_> = analyzed.dataflows.iter().map(|one| one.filing.category).collect();
            assert!(found == expected && found.len() > 10, "{}", set.name);
        }
    }
}
