//! Cache entries: as callers write them, and as this process reads and caches them.

use std::time::Duration;

use bytes::Bytes;
use dataflow_store::generations::Generation;
use dataflow_store::key::Key as StoreKey;
use dataflow_store::revision::Revision;
use tokio::time::Instant;

use crate::key::Tag;

/// A new entry to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// The bytes. Must not share a larger buffer.
    pub value: Bytes,
    /// Their media type.
    pub content_type: String,
    /// The time to live: how long the entry is fresh.
    pub ttl: Duration,
    /// The grace: how long it may be returned as stale after that.
    pub grace: Duration,
    /// The tags that invalidate it.
    pub tags: Vec<Tag>,
}

/// An entry that was read from the store. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedEntry {
    /// The bytes.
    pub value: Bytes,
    /// Their media type.
    pub content_type: String,
    /// The version of the entry, as its etag names it.
    pub revision: Revision,
    /// When it becomes stale.
    pub fresh_until: Instant,
    /// The store key of each tag, and the tag's generation before the value was computed.
    pub tags: Vec<(StoreKey, Generation)>,
}

/// The result of a lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// A fresh entry.
    Fresh(CachedEntry),
    /// An entry whose time to live is over, or one of whose tags was invalidated.
    Stale(CachedEntry),
    /// No entry.
    Miss,
}

/// A read of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The result.
    pub lookup: Lookup,
    /// Whether the store was unreachable.
    pub degraded: bool,
}

// === impl CachedEntry ===

impl CachedEntry {
    /// The remaining time to live; zero if it is stale.
    pub fn ttl(&self) -> Duration {
        self.fresh_until.saturating_duration_since(Instant::now())
    }

    /// Its memory in bytes, without the overhead of maps.
    pub(crate) fn weight(&self) -> usize {
        let tags =
            self.tags.iter().map(|(store_key, _)| store_key.name.len() + size_of::<(StoreKey, Generation)>());
        self.value.len() + self.content_type.len() + tags.sum::<usize>()
    }
}

// === impl Read ===

impl Read {
    pub(crate) fn of(lookup: Lookup) -> Self {
        Self { lookup, degraded: false }
    }

    /// The store is unreachable.
    pub(crate) fn degraded() -> Self {
        Self { lookup: Lookup::Miss, degraded: true }
    }
}
