//! Permits of rate limits that several processes share: GCRA by the clock of the store.

use std::time::Duration;

use async_trait::async_trait;
use dataflow_mesh::rate::RateLimit;

use crate::error::Error;
use crate::key::Key;

/// Permits that were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Their number.
    pub permits: u32,
    /// The permits that were taken of the state since it exists, these included.
    pub total: u64,
    /// The time until the next one can be taken.
    pub wait: Duration,
}

/// Rate limits. Their keys must be of a volatile space. A state that is lost is the same as one that is unused: callers
/// get a further burst.
#[async_trait]
pub trait Permits {
    /// Takes up to `most` permits of a limit. It is not idempotent: if the outcome is unknown, the permits may be taken.
    async fn take(&self, key: &Key, limit: RateLimit, most: u32) -> Result<Taken, Error>;
}
