//! Interprets annotations: flags, freshness, size. Each provider has different names for these; this is the only module
//! that knows them. Catalogues consist mostly of annotations, so each is interpreted while it is read.

use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

use super::dataflow::Annotation;
use super::excerpt::excerpt;
use super::facts::{Facts, Flag, Timestamp};
use super::period::Period;
use super::text::normalized;

/// The generic type of metrics, whose ids name them.
const METRICS: &str = "sdmx_metrics";

/// Annotations with the time of the last change of the data, most reliable first: a change of the data takes precedence
/// over its publication.
const UPDATES: [&str; 4] = ["UPDATE_DATA", "LAST_UPDATE", "LASTUPDATE", "DISSEMINATION_TIMESTAMP_DATA"];

/// The dates with slashes, preferred ones first.
const SHAPES: [&str; 6] =
    ["%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y"];

/// Annotations with the first and the last period of the data.
const PERIODS: [&str; 2] = ["OBS_PERIOD_OVERALL_OLDEST", "OBS_PERIOD_OVERALL_LATEST"];

/// The words that deny a flag, and those that confirm it.
const NO: [&str; 4] = ["false", "0", "no", "n"];
const YES: [&str; 4] = ["true", "1", "yes", "y"];

/// Builds the facts of one dataflow, annotation by annotation. A value that cannot be parsed counts as absent.
#[derive(Debug, Default)]
pub(super) struct FactsBuilder {
    facts: Facts,
    /// Index in `UPDATES` of the annotation that gave `last_update`.
    rank: Option<usize>,
    /// The first annotation whose value is not of its kind.
    invalid: Option<String>,
}

// === impl FactsBuilder ===

impl FactsBuilder {
    /// Adds one annotation, with its texts as written; the order of annotations does not matter.
    pub(super) fn add(&mut self, annotation: &Annotation) {
        let kind = kind(annotation);
        let is = |name: &str| kind.eq_ignore_ascii_case(name);
        if is("DATAFLOW_HIDDEN") {
            self.flag(Flag::Hidden, !is_denied(annotation));
        } else if is("NonProductionDataflow") {
            self.flag(Flag::NonProduction, !is_denied(annotation));
        } else if is("DATAFLOW_CATALOG_TYPE") {
            let is_file = values(annotation).any(|value| value.eq_ignore_ascii_case("ONLY_FILE"));
            self.flag(Flag::FileOnly, is_file);
        } else if is("OBS_COUNT") {
            let found = self.parse(annotation, count);
            self.facts.observation_count = found.or(self.facts.observation_count);
        } else if let Some(end) = PERIODS.iter().position(|name| is(name)) {
            let found = self.parse(annotation, Period::parse);
            let periods = &mut self.facts.periods;
            let period = if end == 0 { &mut periods.first } else { &mut periods.last };
            *period = found.or(*period);
        } else if let Some(rank) = UPDATES.iter().position(|name| is(name))
            && self.rank.is_none_or(|best| rank < best)
            && let Some((time, is_ambiguous)) = self.parse(annotation, update)
        {
            self.facts.last_update = Some(time);
            self.facts.is_update_ambiguous = is_ambiguous;
            self.rank = Some(rank);
        }
    }

    /// The facts, and what could not be parsed; `is_stub` is true if the definition is elsewhere.
    pub(super) fn finish(self, is_stub: bool) -> (Facts, Option<String>) {
        let mut facts = self.facts;
        facts.flags.extend(is_stub.then_some(Flag::External));
        facts.flags.sort_unstable();
        (facts, self.invalid)
    }

    fn flag(&mut self, flag: Flag, is_set: bool) {
        if is_set && !self.facts.flags.contains(&flag) {
            self.facts.flags.push(flag);
        }
    }

    /// The first value of the annotation that can be parsed. If there is none, its first value is noted.
    fn parse<T>(&mut self, annotation: &Annotation, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let found = values(annotation).find_map(|value| parse(&normalized(value).0));
        if found.is_none() && self.invalid.is_none() {
            let value = values(annotation).next();
            self.invalid = value.map(|value| format!("{} is {:?}", kind(annotation), excerpt(value)));
        }
        found
    }
}

/// The numbers that an annotation may state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Metrics {
    pub(super) observations: Option<i64>,
    pub(super) series: Option<i64>,
}

/// The number of observations or of series, if the annotation states one.
pub(super) fn metrics(annotation: &Annotation) -> Metrics {
    let stated = |name: &str| {
        let is_named = kind(annotation).eq_ignore_ascii_case(name);
        is_named.then(|| values(annotation).find_map(count)).flatten()
    };
    Metrics { observations: stated("OBS_COUNT"), series: stated("SERIES_COUNT") }
}

/// Whether an annotation denies the flag that it names. The flag is set if the annotation is present, unless its value,
/// the first that is a truth value, is negative.
fn is_denied(annotation: &Annotation) -> bool {
    let is_one_of = |value: &str, words: &[&str]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
    values(annotation)
        .find(|value| is_one_of(value, &NO) || is_one_of(value, &YES))
        .is_some_and(|value| is_one_of(value, &NO))
}

/// The name of an annotation: its type, or its id if the type is absent or generic.
fn kind(annotation: &Annotation) -> &str {
    match annotation.kind.trim_ascii() {
        "" | METRICS => &annotation.id,
        kind => kind,
    }
}

/// The texts of an annotation that may be its value: SDMX 3 has a field for it, before that providers mostly put it into
/// the title, sometimes into the text. A title may also be a label, so the first that is of the kind asked for counts.
fn values(annotation: &Annotation) -> impl Iterator<Item = &str> {
    let text = annotation.texts.first().map_or("", |(_, text)| text);
    let texts = [annotation.value.as_str(), &annotation.title, text];
    texts.into_iter().map(str::trim_ascii).filter(|value| !value.is_empty())
}

/// A number of observations or series.
pub(super) fn count(value: &str) -> Option<i64> {
    value.trim_ascii().parse().ok().filter(|count| *count >= 0)
}

/// A time, and whether its day and its month could be each other.
fn update(value: &str) -> Option<(Timestamp, bool)> {
    timestamp(value).map(|time| (time, is_ambiguous(value)))
}

/// Whether a date written with slashes is another valid date with its day and its month exchanged.
fn is_ambiguous(value: &str) -> bool {
    let mut numbers = value.split('/').map(str::parse::<u8>);
    let (first, second) = (numbers.next(), numbers.next());
    matches!((first, second), (Some(Ok(day)), Some(Ok(month))) if day <= 12 && month <= 12 && day != month)
}

/// Parses the formats that providers write: ISO 8601 with or without a time, a fraction, a zone (also `+0200`), and
/// `dd/mm/yyyy` with or without a time. A time without a zone counts as UTC, a date as its first second. If only
/// `mm/dd/yyyy` is valid (`04/16/2026`), it is used. Years have four digits.
#[must_use]
pub fn timestamp(value: &str) -> Option<Timestamp> {
    let instant = if let Ok(pieces) = Pieces::parse(value) {
        let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
        offset.to_timestamp(pieces.date().to_datetime(pieces.time().unwrap_or_default()))
    } else {
        let time = SHAPES.iter().find_map(|shape| DateTime::strptime(shape, value).ok())?;
        if time.year() < 1000 {
            return None;
        }
        Offset::UTC.to_timestamp(time)
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
