//! What a process has been used for since its start, and what it rations: the parts of its status that are numbers.

use std::time::Duration;

/// The calls that a role has received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Calls {
    /// The role.
    pub role: &'static str,
    /// The calls that have ended.
    pub total: u64,
    /// Those that failed because of the server.
    pub failed: u64,
    /// Those that were rejected because of a limit.
    pub rejected: u64,
    /// The mean time of those that are no streams.
    pub mean_time: Option<Duration>,
}

/// Something of which there is a limited number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The role that rations it.
    pub role: &'static str,
    /// What it is, for instance `calls`.
    pub name: &'static str,
    /// How many are in use.
    pub used: u64,
    /// How many there are.
    pub limit: u64,
    /// The calls that were refused because of it.
    pub refused: u64,
}

/// The cache, of all tenants.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CacheUse {
    /// The reads.
    pub reads: u64,
    /// The share of reads that found a fresh entry.
    pub hit_rate: f64,
    /// The entries of which the L1 cache has copies.
    pub l1_entries: u64,
    /// The bytes of those copies.
    pub l1_bytes: u64,
    /// The most bytes of them; 0 without an L1 cache.
    pub l1_capacity: u64,
}

// === impl Calls ===

impl Calls {
    /// The share of calls that failed; 0 without a call.
    pub fn failed_ratio(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.failed as f64 / self.total as f64 }
    }
}
