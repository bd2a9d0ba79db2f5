//! Whether data are as recent as their frequency makes expect.
//!
//! The rule: an update is overdue two intervals of the finest frequency after the last one, and never before seven days.
//! One update may be late, since statistics are published with a delay that varies; the second one should not be.

use dataflow_sdmx::{Frequency, Timestamp};

/// See the module. It depends on the documents alone, so that a result in the cache stays right: the time that counts is
/// that of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// The finest frequency.
    pub frequency: Frequency,
    /// When the next update is overdue.
    pub due: Timestamp,
    /// Whether it was when the catalogue was made; `None` if that time is unknown.
    pub is_overdue: Option<bool>,
}

/// Intervals after which an update is overdue.
const INTERVALS: i64 = 2;
/// The least time after which it is.
const LEAST_DAYS: i64 = 7;
const DAY_SECONDS: i64 = 24 * 60 * 60;
/// The end of the year 9999: later times have no representation on the wire.
const LAST_SECOND: i64 = 253_402_300_799;

// === impl Freshness ===

impl Freshness {
    /// The freshness of data with these frequencies, finest first; `None` if it is unknown.
    pub(super) fn of(
        last_update: Option<Timestamp>,
        frequencies: &[Frequency],
        prepared: Option<Timestamp>,
    ) -> Option<Self> {
        let (update, frequency) = (last_update?, *frequencies.first()?);
        let days = (INTERVALS * i64::from(frequency.days())).max(LEAST_DAYS);
        let seconds = update.seconds + days * DAY_SECONDS;
        let due = (seconds <= LAST_SECOND).then_some(Timestamp { seconds, ..update })?;
        Some(Self { frequency, due, is_overdue: prepared.map(|prepared| prepared > due) })
    }
}

#[cfg(test)]
mod tests {
    use dataflow_sdmx::timestamp;

    use super::*;

    #[test]
    fn an_update_is_overdue_after_two_intervals() {
        let check = |codes: &[&str], update: &str, due: &str| {
            let frequencies: Vec<_> = codes.iter().map(|code| Frequency::parse(code).unwrap()).collect();
            let of = |prepared| Freshness::of(timestamp(update), &frequencies, prepared);
            let due = timestamp(due).unwrap();
            let found = of(None).unwrap();
            assert_eq!(
                (found.frequency, found.due, found.is_overdue),
                (frequencies[0], due, None),
                "{codes:?}"
            );
            assert_eq!(of(Some(due)).unwrap().is_overdue, Some(false), "{codes:?}");
            let later = Timestamp { nanos: due.nanos + 1, ..due };
            assert_eq!(of(Some(later)).unwrap().is_overdue, Some(true), "{codes:?}");
        };
        check(&["D"], "2024-01-01", "2024-01-08");
        check(&["W"], "2024-01-01", "2024-01-15");
        check(&["M", "A"], "2024-01-01T08:30:00Z", "2024-03-03T08:30:00Z");
        check(&["Q"], "2024-01-01", "2024-07-03");
        check(&["A"], "2024-01-01", "2026-01-02");
        check(&["A5"], "2024-01-01", "2034-01-08");
    }

    #[test]
    fn it_is_unknown_without_its_parts() {
        let annual = [Frequency::parse("A").unwrap()];
        let time = timestamp("2024-01-01");
        assert_eq!(Freshness::of(None, &annual, time), None);
        assert_eq!(Freshness::of(time, &[], time), None);
        assert_eq!(Freshness::of(timestamp("9999-12-31"), &annual, time), None);
    }
}
