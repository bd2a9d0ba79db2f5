//! What a process rations, and the use of its cache: parts of its status that are numbers.

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
