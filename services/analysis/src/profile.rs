//! What is known about the data of a dataflow without asking for them: which there are, how many, how recent, and what a
//! user should know about the definition. By the dataflow's annotations, its constraints and its data structure.

use dataflow_sdmx::{
    Constraint, DataStructure, Dataflow, Diagnostics, Frequency, Periods, Reason, StructureIndex, Timestamp,
};

mod cube;
mod freshness;
mod quality;
mod size;

pub use freshness::Freshness;
pub use quality::QualityFlag;
pub use size::{BytesPerObservation, Estimate, FORMATS, Method, Size};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// The number of observations that the provider states.
    pub observation_count: Option<i64>,
    /// Which data there are.
    pub contents: Contents,
    /// How large they are; `None` if that is unknown.
    pub size: Option<Size>,
    /// How recent they are; `None` if that is unknown.
    pub freshness: Option<Freshness>,
    /// In ascending order, without duplicates.
    pub quality: Vec<QualityFlag>,
}

/// Which data a dataflow has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// The first and the last period.
    pub periods: Periods,
    /// The frequencies, finest first.
    pub frequencies: Vec<Frequency>,
    /// The number of series.
    pub series_count: Option<i64>,
    /// The number of values that occur, by dimension.
    pub value_counts: Vec<(String, i64)>,
    /// The constraint with what there is; empty if there is none.
    pub constraint: String,
}

/// What profiles are made of.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The structures of all documents.
    pub index: &'a StructureIndex<'a>,
    /// Whether the catalogue itself has data structures, so that it should have all that it names.
    pub has_data_structures: bool,
    /// When the catalogue was made.
    pub prepared: Option<Timestamp>,
}

/// The most frequencies.
const MOST_FREQUENCIES: usize = 16;

/// Memory of a number of values beside the name of the dimension.
const COUNT_BYTES: usize = 64;

/// The most dimensions of which the values are counted.
const MOST_DIMENSIONS: usize = 64;

// === impl Profile ===

impl Profile {
    /// The profile of a dataflow. Counts that contradict each other are reported.
    pub fn of(dataflow: &Dataflow, sources: Sources<'_>, diagnostics: &mut Diagnostics) -> Self {
        let Sources { index, has_data_structures, prepared } = sources;
        let Dataflow { agency_id, id, version, structure, facts, .. } = dataflow;
        let constraints = index.constraints((agency_id, id, version), structure.as_ref());
        let data_structure = structure.as_ref().and_then(|named| index.data_structure(named));
        let contents = Contents::of(dataflow, &constraints);
        let known =
            size::Known { facts, constraints: &constraints, data_structure, contents: &contents, index };
        let (counts, bounds) = (known.counts(), known.actual_bounds());
        let size = known.size(&counts, bounds);
        if let Some(problem) = size::contradiction(&counts, bounds) {
            diagnostics
                .add(Reason::ContradictoryCounts, dataflow.position, || format!("dataflow {id}: {problem}"));
        }
        let freshness = freshness::Freshness::of(facts.last_update, &contents.frequencies, prepared);
        let is_missing = has_data_structures && structure.is_some() && data_structure.is_none();
        Self {
            observation_count: counts.first().map(|count| count.observations),
            size,
            freshness,
            quality: quality::flags(dataflow, is_missing),
            contents,
        }
    }

    /// The bytes of its texts and numbers, as they count in a result.
    pub(crate) fn bytes(&self) -> usize {
        let Contents { value_counts, constraint, .. } = &self.contents;
        let size = self.size.as_ref().map_or(0, |size| size.source.len() + size_of::<[Estimate; 5]>());
        value_counts.iter().map(|(id, _)| id.len() + COUNT_BYTES).sum::<usize>() + constraint.len() + size
    }
}

// === impl Contents ===

impl Contents {
    fn of(dataflow: &Dataflow, constraints: &[&Constraint]) -> Self {
        let stated = dataflow.facts.periods;
        let Some(actual) = constraints.iter().find(|constraint| constraint.is_actual) else {
            let mut frequencies = only_frequency(constraints).map_or_else(Vec::new, |only| vec![only]);
            if frequencies.is_empty() {
                frequencies.extend(stated.last.or(stated.first).map(|period| period.frequency()));
            }
            return Self { periods: stated, frequencies, ..Self::default() };
        };
        let (mut periods, mut frequencies) = (Periods::default(), Vec::new());
        let mut value_counts = Vec::<(String, i64)>::new();
        for key in actual.regions.iter().flat_map(|region| &region.keys) {
            periods.extend(key.periods);
            for frequency in &key.frequencies {
                if !frequencies.contains(frequency) && frequencies.len() < MOST_FREQUENCIES {
                    frequencies.push(*frequency);
                }
            }
            let count = i64::try_from(key.count).unwrap_or(i64::MAX);
            if key.is_open || count == 0 {
                continue;
            }
            // Of several regions the largest: which values they share is not kept.
            if let Some((_, known)) = value_counts.iter_mut().find(|(id, _)| *id == key.id) {
                *known = count.max(*known);
            } else if value_counts.len() < MOST_DIMENSIONS {
                value_counts.push((key.id.clone(), count));
            }
        }
        frequencies.sort_unstable();
        if frequencies.is_empty() {
            frequencies.extend(stated.last.or(stated.first).map(|period| period.frequency()));
        }
        Self {
            periods: periods.or(actual.periods).or(stated),
            frequencies,
            series_count: actual.series_count,
            value_counts,
            constraint: actual.to_string(),
        }
    }
}

/// The frequency that constraints of what may be leave, if it is one.
fn only_frequency(constraints: &[&Constraint]) -> Option<Frequency> {
    let keys = constraints.iter().flat_map(|constraint| &constraint.regions).flat_map(|region| &region.keys);
    let mut keys = keys.filter(|key| !key.frequencies.is_empty());
    match (keys.next(), keys.next()) {
        (Some(key), None) if key.frequencies.len() == 1 && !key.is_open => key.frequencies.first().copied(),
        _ => None,
    }
}

/// The data structures that dataflows name, each once; at most `MOST_DATA_STRUCTURES`.
pub fn data_structures<'a>(
    dataflows: impl Iterator<Item = &'a Dataflow>,
    index: &StructureIndex<'a>,
) -> Vec<&'a DataStructure> {
    let (mut found, mut known) = (Vec::new(), std::collections::HashSet::new());
    for named in dataflows.filter_map(|dataflow| dataflow.structure.as_ref()) {
        if let Some(data_structure) = index.data_structure(named)
            && !data_structure.dimensions.is_empty()
            && found.len() < MOST_DATA_STRUCTURES
            && known.insert(&data_structure.identity)
        {
            found.push(data_structure);
        }
    }
    found
}

/// The most data structures of a result.
const MOST_DATA_STRUCTURES: usize = 10_000;

#[cfg(test)]
mod tests;
