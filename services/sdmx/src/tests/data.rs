//! Counted data messages: every format, and the same content in all of them.

use std::io::Read;

use super::*;

mod corpus;
mod csv;
mod formats;
mod json;
mod limits;
mod properties;
mod rejections;
mod xml;

pub(super) fn count(document: impl Read) -> Result<DataCounts, ParseError> {
    count_data(document, &Limits::default())
}

/// The counts in the order of the struct: data sets, groups, series, observations, those without a value, the periods.
fn numbers(counts: &DataCounts) -> String {
    let DataCounts { data_sets, groups, series, observations, without_value, .. } = counts;
    let without_value = without_value.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let [first, last] =
        [&counts.first_period, &counts.last_period].map(|period| period.as_deref().unwrap_or("-"));
    format!("{data_sets} {groups} {series} {observations} {without_value} {first} {last}")
}

/// The structure that the message names.
fn named(counts: &DataCounts) -> String {
    counts.structure.as_ref().map_or_else(String::new, |NamedStructure { kind, reference }| {
        let StructureReference { agency_id, id, version } = reference;
        format!("{kind:?} {agency_id}:{id}({version})")
    })
}

/// Checks the numbers of a valid document.
#[track_caller]
fn check(document: &str, expected: &str) {
    let counts = count(document.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{document}"));
    assert_eq!(numbers(&counts), expected, "{document}");
}
