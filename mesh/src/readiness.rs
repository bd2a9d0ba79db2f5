//! Whether this process should receive traffic: ready when every service has dropped its latch, and not ready again
//! once it drains. It speaks of this process only, never of a peer: a dead upstream must not un-ready its callers.

use std::sync::Arc;

use tokio::sync::watch;

/// The readiness of one process, shared by its services and its admin port.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    /// A watch channel, because some wait for readiness while others ask.
    state: Arc<watch::Sender<ReadinessState>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct ReadinessState {
    /// Services that have not finished warming up. A count, because services do not know of each other.
    pending: usize,
    /// Set with the first latch: a process that has no service yet is not ready either.
    has_service: bool,
    /// Set once, when the first service begins to drain: the process leaves as a whole.
    draining: bool,
}

/// Holds readiness back until dropped.
#[derive(Debug)]
pub struct Latch {
    state: Arc<watch::Sender<ReadinessState>>,
}

// === impl ReadinessState ===

impl ReadinessState {
    fn started(self) -> bool {
        self.has_service && self.pending == 0
    }

    fn ready(self) -> bool {
        self.started() && !self.draining
    }
}

// === impl Readiness ===

impl Readiness {
    /// Holds readiness back until the latch is dropped.
    pub fn latch(&self) -> Latch {
        self.state.send_modify(|state| {
            state.pending += 1;
            state.has_service = true;
        });
        Latch { state: Arc::clone(&self.state) }
    }

    /// Whether there were latches and all have been dropped: what a startup probe asks.
    pub fn started(&self) -> bool {
        self.state.borrow().started()
    }

    /// Whether traffic is welcome: what a readiness probe asks.
    pub fn ready(&self) -> bool {
        self.state.borrow().ready()
    }

    /// Resolves when traffic is welcome.
    pub async fn until_ready(&self) {
        let mut state = self.state.subscribe();
        state.wait_for(|state| state.ready()).await.expect("the sender lives as long as we do");
    }

    /// Says that the process is on its way out. There is no way back.
    pub fn drain(&self) {
        self.state.send_modify(|state| state.draining = true);
    }
}

impl Drop for Latch {
    fn drop(&mut self) {
        self.state.send_modify(|state| state.pending -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_when_the_last_latch_is_dropped_and_until_drain() {
        let readiness = Readiness::default();
        assert!(!readiness.ready(), "no service yet");
        let (one, two) = (readiness.latch(), readiness.latch());
        assert!(!readiness.ready());
        drop(one);
        assert!(!readiness.ready());
        let waiting = tokio::spawn({
            let readiness = readiness.clone();
            async move { readiness.until_ready().await }
        });
        drop(two);
        waiting.await.unwrap();
        assert!(readiness.ready() && readiness.started());
        readiness.drain();
        assert!(!readiness.ready() && readiness.started());
    }
}
