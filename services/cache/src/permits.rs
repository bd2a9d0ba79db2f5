//! Permits of the rate limits that gateways share. The service only checks what they ask for: the limits are theirs.

use std::sync::Arc;

use dataflow_mesh::rate::RateLimit;
use dataflow_store::Store;
use dataflow_store::key::{Key, Space};
use dataflow_store::permits::Taken;

use crate::Error;

/// The store's space of rate limits.
const PERMITS: Space = Space::volatile("rate");

/// The states of all limits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Permits {
    store: Arc<dyn Store>,
}

/// A request for permits.
#[derive(Debug)]
pub(crate) struct Take {
    pub(crate) key: Key,
    pub(crate) limit: RateLimit,
    pub(crate) most: u32,
}

/// The store's key of a state.
pub(crate) fn key(name: &str) -> Key {
    PERMITS.key(name)
}

// === impl Permits ===

impl Permits {
    /// Those in this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    pub(crate) async fn take(&self, Take { key, limit, most }: Take) -> Result<Taken, Error> {
        Ok(self.store.take(&key, limit, most).await?)
    }
}
