//! Interprets annotations: flags, freshness, size. Each provider has different names for these; this is the only module
//! that knows them. Catalogues consist mostly of annotations, so each is interpreted while it is read.

use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

use super::dataflow::Annotation;
use super::facts::{Facts, Flag, Timestamp};
use super::text::normalized;

/// Annotations with the time of the last change of the data, most reliable first: a change of the data takes precedence
/// over its publication.
const UPDATES: [&str; 4] = ["UPDATE_DATA", "LAST_UPDATE", "LASTUPDATE", "DISSEMINATION_TIMESTAMP_DATA"];

/// Builds the facts of one dataflow, annotation by annotation. A value that cannot be parsed counts as absent.
#[derive(Debug, Default)]
pub(super) struct FactsBuilder {
    facts: Facts,
    /// Index in `UPDATES` of the annotation that gave `last_update`.
    rank: Option<usize>,
}

impl FactsBuilder {
    /// Adds one annotation, with its texts as written; the order of annotations does not matter.
    pub(super) fn add(&mut self, annotation: &Annotation) {
        let (kind, value) = (kind(annotation), value(annotation));
        let is = |name: &str| kind.eq_ignore_ascii_case(name);
        let facts = &mut self.facts;
        if let Some(flag) = flag(&is, value) {
            if !facts.flags.contains(&flag) {
                facts.flags.push(flag);
            }
        } else if is("OBS_COUNT") {
            facts.observation_count = count(value).or(facts.observation_count);
        } else if let Some(rank) = UPDATES.iter().position(|name| is(name))
            && self.rank.is_none_or(|best| rank < best)
            && let Some(time) = timestamp(&normalized(value).0)
        {
            (facts.last_update, self.rank) = (Some(time), Some(rank));
        }
    }

    /// The facts; `is_stub` is true if the definition is elsewhere.
    pub(super) fn finish(self, is_stub: bool) -> Facts {
        let mut facts = self.facts;
        facts.flags.extend(is_stub.then_some(Flag::External));
        facts.flags.sort_unstable();
        facts
    }
}

fn flag(is: &impl Fn(&str) -> bool, value: &str) -> Option<Flag> {
    if is("DATAFLOW_CATALOG_TYPE") {
        return value.eq_ignore_ascii_case("ONLY_FILE").then_some(Flag::FileOnly);
    }
    let flag = if is("DATAFLOW_HIDDEN") {
        Flag::Hidden
    } else if is("NonProductionDataflow") {
        Flag::NonProduction
    } else {
        return None;
    };
    // The flag is set if the annotation is present, unless its value is negative.
    let no = ["false", "0", "no", "n"].iter().any(|no| value.eq_ignore_ascii_case(no));
    (!no).then_some(flag)
}

/// The name of an annotation: its type, or its id if the type is absent or generic.
fn kind(annotation: &Annotation) -> &str {
    match annotation.kind.trim_ascii() {
        "" | "sdmx_metrics" => &annotation.id,
        kind => kind,
    }
}

/// The value of an annotation: providers mostly put it into the title, in SDMX 3 into the value, sometimes into the
/// text.
fn value(annotation: &Annotation) -> &str {
    let text = annotation.texts.first().map_or("", |(_, text)| text);
    [annotation.title.as_str(), &annotation.value, text]
        .into_iter()
        .map(str::trim_ascii)
        .find(|value| !value.is_empty())
        .unwrap_or("")
}

fn count(value: &str) -> Option<i64> {
    value.parse().ok().filter(|count| *count >= 0)
}

/// Parses the formats that providers write: ISO 8601 with or without a time, a fraction, a zone (also `+0200`), and
/// `dd/mm/yyyy` with or without a time. A time without a zone counts as UTC, a date as its first second. If only
/// `mm/dd/yyyy` is valid (`04/16/2026`), it is used.
#[must_use]
pub fn timestamp(value: &str) -> Option<Timestamp> {
    let instant = if let Ok(pieces) = Pieces::parse(value) {
        let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
        offset.to_timestamp(pieces.date().to_datetime(pieces.time().unwrap_or_default()))
    } else {
        let shapes = ["%d/%m/%Y %H:%M:%S", "%d/%m/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y"];
        Offset::UTC.to_timestamp(shapes.iter().find_map(|shape| DateTime::strptime(shape, value).ok())?)
    };
    let nanos = instant.ok()?.as_nanosecond();
    let billion = 1_000_000_000;
    Some(Timestamp {
        seconds: i64::try_from(nanos.div_euclid(billion)).ok()?,
        nanos: u32::try_from(nanos.rem_euclid(billion)).ok()?,
    })
}

#[cfg(test)]
mod tests;
