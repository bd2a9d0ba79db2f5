//! Version counters: the number of changes of each bucket, as last polled. A cache detects lost invalidation messages
//! by them.

use tokio::time::Instant;

use crate::key::BUCKETS;

/// The latest version counters of all buckets.
#[derive(Debug, Clone)]
pub struct VersionCounters {
    /// By bucket; none for a bucket that was never read.
    pub counters: [Option<VersionCounter>; BUCKETS],
    /// Whether the store was polled at least once, with or without success.
    pub polled: bool,
}

/// The version counter of a bucket at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionCounter {
    /// The number of changes, as in [`Change::count`](crate::signals::Change::count).
    pub value: u64,
    /// When the read was sent: the value is not older.
    pub requested: Instant,
}

impl Default for VersionCounters {
    fn default() -> Self {
        Self { counters: [None; BUCKETS], polled: false }
    }
}
