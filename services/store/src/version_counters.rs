//! How far the store has come, bucket by bucket, and when we last knew: by this a copy of what it holds is kept honest.

use tokio::time::Instant;

use crate::key::BUCKETS;

/// What was last read of each bucket's change count.
#[derive(Debug, Clone)]
pub struct VersionCounters {
    /// By bucket; none for one that was never read.
    pub counters: [Option<VersionCounter>; BUCKETS],
    /// Whether the store was asked at all yet.
    pub polled: bool,
}

/// A bucket's change count at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionCounter {
    /// How many changes it has seen, as [`Change::count`](crate::signals::Change::count) counts them.
    pub value: u64,
    /// When it was asked for: it is not older.
    pub requested: Instant,
}

impl Default for VersionCounters {
    fn default() -> Self {
        Self { counters: [None; BUCKETS], polled: false }
    }
}
