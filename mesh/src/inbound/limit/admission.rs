//! The permit of a call whose body is still arriving: the body decides about it, and the call keeps it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::shares::{Claimant, SharePermit, Shares};
use super::waiting::{Party, Waiter, WaitingBodies};
use crate::inbound::error::Error;
use crate::memory_shares::MemoryPermit;

/// The fewest calls that may wait for their bodies, where few may be in progress. Over HTTP/1.1 each call waits for a
/// moment.
const MIN_WAITING: u32 = 64;

/// Shared by a call and its body. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    shares: Shares,
    limit: u32,
    claimant: Claimant,
    state: Arc<Mutex<State>>,
    /// The memory of the message.
    memory: Arc<Mutex<Option<MemoryPermit>>>,
    changed: Arc<Notify>,
}

#[derive(Debug)]
enum State {
    /// The call has no permit yet. It may be counted as waiting.
    Undecided(Option<Waiter>),
    Admitted(SharePermit),
    /// The response has the permit.
    Responded,
    Failed(Error),
}

// === impl Admission ===

impl Admission {
    /// A permit of `limit` for `claimant`, not yet taken.
    pub(super) fn new(shares: Shares, limit: u32, claimant: Claimant) -> Self {
        let state = Arc::new(Mutex::new(State::Undecided(None)));
        Self { shares, limit, claimant, state, memory: Arc::default(), changed: Arc::default() }
    }

    /// Counts the call among those whose bodies have not arrived, until the permit is decided.
    pub(super) fn wait_among(&self, waiting: &WaitingBodies) {
        let Claimant { connection, tenant, .. } = self.claimant.clone();
        let party = Party { connection, tenant };
        let waiter = waiting.enter(self.limit.max(MIN_WAITING), party, Arc::clone(&self.changed));
        *self.state() = State::Undecided(Some(waiter));
    }

    /// Takes the permit, unless that is decided.
    ///
    /// # Errors
    ///
    /// [`Error::Overloaded`] if there is none, and the error of a call that has failed.
    pub(super) fn decide(&self) -> Result<(), Error> {
        let mut state = self.state();
        if matches!(*state, State::Undecided(_)) {
            let permit = self.shares.try_acquire(self.limit, self.claimant.clone());
            *state = permit.map_or(State::Failed(Error::Overloaded), State::Admitted);
        }
        match &*state {
            State::Failed(error) => Err(*error),
            _ => Ok(()),
        }
    }

    /// The call fails with this error, unless its response has begun.
    pub(super) fn fail(&self, error: Error) {
        let mut state = self.state();
        if !matches!(*state, State::Responded) {
            *state = State::Failed(error);
            self.changed.notify_one();
        }
    }

    /// Resolves when the call has given way to another one while it waited.
    pub(super) async fn gave_way(&self) -> Error {
        loop {
            self.changed.notified().await;
            match &*self.state() {
                State::Undecided(Some(waiter)) if waiter.is_evicted() => return Error::Overloaded,
                State::Failed(error) => return *error,
                _ => {}
            }
        }
    }

    /// The permit, for the response that begins.
    ///
    /// # Errors
    ///
    /// As [`Admission::decide`].
    pub(super) fn respond(&self) -> Result<SharePermit, Error> {
        self.decide()?;
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Responded) {
            State::Admitted(permit) => Ok(permit),
            // The body has failed since then.
            State::Failed(error) => {
                *state = State::Failed(error);
                Err(error)
            }
            _ => Err(Error::Overloaded),
        }
    }

    /// Whether other calls are in progress.
    pub(super) fn has_others(&self) -> bool {
        self.shares.total() > 1
    }

    /// Keeps the memory of the message until the call ends.
    pub(super) fn keep(&self, memory: Option<MemoryPermit>) {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = memory;
    }

    /// The memory of the message, for the response.
    pub(super) fn memory(&self) -> Option<MemoryPermit> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Why the call has failed.
    pub(super) fn failure(&self) -> Option<Error> {
        match &*self.state() {
            State::Failed(error) => Some(*error),
            _ => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
