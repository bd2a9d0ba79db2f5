//! An entry as callers speak of it, and as this process holds it.

use std::time::Duration;

use bytes::Bytes;
use dataflow_store::entries::Revision;
use dataflow_store::generations::Generation;
use dataflow_store::key::Key as StoreKey;
use tokio::time::Instant;

use crate::key::Tag;

/// An entry that somebody wants kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// The bytes, in memory of their own.
    pub value: Bytes,
    /// Their media type.
    pub content_type: String,
    /// How long they are fresh.
    pub ttl: Duration,
    /// How long they may be handed out as stale after that.
    pub grace: Duration,
    /// What invalidates them.
    pub tags: Vec<Tag>,
}

/// An entry that was read. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedEntry {
    /// The bytes.
    pub value: Bytes,
    /// Their media type.
    pub content_type: String,
    /// The write that put them there.
    pub revision: Revision,
    /// When they become stale.
    pub fresh_until: Instant,
    /// Where the generation of each tag lies, and what it was before the value was computed.
    pub tags: Vec<(StoreKey, Generation)>,
}

// === impl CachedEntry ===

impl CachedEntry {
    /// How long it is fresh; zero when it is stale.
    pub fn ttl(&self) -> Duration {
        self.fresh_until.saturating_duration_since(Instant::now())
    }

    /// What it costs in memory, in bytes, but for maps around it.
    pub(crate) fn weight(&self) -> usize {
        let tags =
            self.tags.iter().map(|(store_key, _)| store_key.name.len() + size_of::<(StoreKey, Generation)>());
        self.value.len() + self.content_type.len() + tags.sum::<usize>()
    }
}
