//! What annotations tell about a dataflow: flags, freshness, size.

use super::period::Period;

/// Properties of a dataflow besides its subject. They are labels, never filters: a hidden dataflow may still have data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// The provider asks browsers not to list it.
    Hidden,
    /// The provider marks it as not for production; some providers mark nearly all of their dataflows.
    NonProduction,
    /// It has no observations to query, only files to download.
    FileOnly,
    /// The catalogue contains a stub; the definition is elsewhere.
    External,
}

// === impl Flag ===

impl Flag {
    /// Every flag, in ascending order.
    pub const ALL: [Self; 4] = [Self::Hidden, Self::NonProduction, Self::FileOnly, Self::External];
}

/// A point in time, in the representation of every wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since the start of 1970 in UTC; negative before.
    pub seconds: i64,
    /// Nanoseconds after that second, below 1,000,000,000.
    pub nanos: u32,
}

/// The interpreted annotations of one dataflow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Facts {
    /// In ascending order, without duplicates.
    pub flags: Vec<Flag>,
    /// When the provider last changed the data.
    pub last_update: Option<Timestamp>,
    /// Whether that is written as `05/04/2026`, so that it may be the fifth of April or the fourth of May; it is read as
    /// the former.
    pub is_update_ambiguous: bool,
    /// Number of observations according to the provider; never negative.
    pub observation_count: Option<i64>,
    /// The first and the last period of the data, according to the provider.
    pub periods: Periods,
}

/// A range of periods, each end of which may be unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Periods {
    /// The first period.
    pub first: Option<Period>,
    /// The last period.
    pub last: Option<Period>,
}

// === impl Periods ===

impl Periods {
    /// Extends the range to another.
    pub fn extend(&mut self, other: Self) {
        self.extend_to(other.first);
        self.extend_to(other.last);
    }

    /// The range, with an end that is unknown from another.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { first: self.first.or(other.first), last: self.last.or(other.last) }
    }

    /// Extends the range to a period.
    pub(crate) fn extend_to(&mut self, period: Option<Period>) {
        let Some(period) = period else { return };
        self.first = Some(self.first.map_or(period, |first| first.min(period)));
        self.last = Some(self.last.map_or(period, |last| last.max(period)));
    }
}
