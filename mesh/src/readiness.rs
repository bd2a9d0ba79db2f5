//! Whether this process should receive traffic: ready when every service has dropped its latch, and not ready again
//! once it drains. It speaks of this process only, never of a peer: a dead upstream must not un-ready its callers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The readiness of one process, shared by its services and its admin port.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Services that have not finished warming up. A count, because services do not know of each other.
    pending: AtomicUsize,
    /// Set with the first latch: a process that has no service yet is not ready either.
    begun: AtomicBool,
    /// Set once, when the first service begins to drain: the process leaves as a whole.
    draining: AtomicBool,
}

/// Holds readiness back until dropped.
#[derive(Debug)]
pub struct Latch {
    state: Arc<State>,
}

impl Readiness {
    /// Holds readiness back until the latch is dropped.
    pub fn latch(&self) -> Latch {
        self.state.pending.fetch_add(1, Ordering::SeqCst);
        self.state.begun.store(true, Ordering::SeqCst);
        Latch { state: Arc::clone(&self.state) }
    }

    /// Whether there were latches and all have been dropped: what a startup probe asks.
    pub fn started(&self) -> bool {
        self.state.begun.load(Ordering::SeqCst) && self.state.pending.load(Ordering::SeqCst) == 0
    }

    /// Whether traffic is welcome: what a readiness probe asks.
    pub fn ready(&self) -> bool {
        self.started() && !self.state.draining.load(Ordering::SeqCst)
    }

    /// Says that the process is on its way out. There is no way back.
    pub fn drain(&self) {
        self.state.draining.store(true, Ordering::SeqCst);
    }
}

impl Drop for Latch {
    fn drop(&mut self) {
        self.state.pending.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_the_last_latch_is_dropped_and_until_drain() {
        let readiness = Readiness::default();
        assert!(!readiness.ready(), "no service yet");
        let (one, two) = (readiness.latch(), readiness.latch());
        assert!(!readiness.ready());
        drop(one);
        assert!(!readiness.ready());
        drop(two);
        assert!(readiness.ready() && readiness.started());
        readiness.drain();
        assert!(!readiness.ready());
        assert!(readiness.started());
    }
}
