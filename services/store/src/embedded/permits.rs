//! Rate limits in memory.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dataflow_mesh::rate::{Gcra, RateLimit, States, Unused};
use tokio::time::Instant;

use crate::key::Key;
use crate::permits::Taken;

/// The most states.
const MAX_STATES: usize = 100_000;

/// The states of all limits.
pub(super) struct PermitStates(Mutex<States<Key, PermitState>>);

#[derive(Debug, Default)]
struct PermitState {
    gcra: Gcra,
    total: u64,
}

// === impl PermitStates ===

impl PermitStates {
    pub(super) fn new() -> Self {
        Self(Mutex::new(States::new(MAX_STATES)))
    }

    pub(super) fn take(&self, key: &Key, limit: RateLimit, most: u32, now: Instant) -> Taken {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = states.get(key.clone(), now, PermitState::default);
        let permits = state.gcra.take(limit, most, now);
        state.total += u64::from(permits);
        Taken { permits, total: state.total, wait: state.gcra.wait(limit, now) }
    }
}

// === impl PermitState ===

impl Unused for PermitState {
    fn until_unused(&self, now: Instant) -> Duration {
        self.gcra.until_unused(now)
    }
}
