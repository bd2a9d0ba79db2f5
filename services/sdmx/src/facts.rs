//! What annotations tell about a dataflow: flags, freshness, size.

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
    /// Number of observations according to the provider; never negative.
    pub observation_count: Option<i64>,
}
