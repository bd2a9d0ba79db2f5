//! Changes that callers ask for: they are stored, or validated only.

use std::sync::Arc;
use std::time::SystemTime;

use super::{Error, Journal, applied, seed_origin};
use crate::change::{Change, ChangeRecord, Origin};
use crate::state::State;

/// What becomes of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// It is stored.
    Store(Origin),
    /// It is checked as if it were made, and nothing is stored.
    Validate(Origin),
}

impl From<Origin> for Attempt {
    fn from(origin: Origin) -> Self {
        Self::Store(origin)
    }
}

// === impl Journal ===

impl Journal {
    /// Makes a change, which `decide` derives from the state; none if nothing needs to change. Returns the resulting
    /// state; of a change that is validated only, the state that it would result in. `decide` may run several times.
    ///
    /// # Errors
    ///
    /// The error of `decide`; if the change is invalid; or if the store rejects it.
    pub async fn change(
        &self,
        attempt: impl Into<Attempt>,
        decide: impl Fn(&State) -> Result<Option<Change>, Error>,
    ) -> Result<Arc<State>, Error> {
        self.open().await?;
        match attempt.into() {
            Attempt::Store(origin) => self.write(origin, decide).await,
            Attempt::Validate(origin) => self.preview(origin, |_| None, decide).await,
        }
    }

    /// The state that a change would result in, after one that is stored before it.
    pub(super) async fn preview(
        &self,
        origin: Origin,
        before: impl Fn(&State) -> Option<Change>,
        decide: impl Fn(&State) -> Result<Option<Change>, Error>,
    ) -> Result<Arc<State>, Error> {
        let state = self.writable().await?;
        let Some(change) = decide(&state)? else { return Ok(state) };
        let next = |state: &State, change, origin| {
            applied(state, &ChangeRecord { change, origin, time: SystemTime::now() }).map(Arc::new)
        };
        let state = match before(&state) {
            Some(change) => next(&state, change, seed_origin())?,
            None => state,
        };
        next(&state, change, origin)
    }
}
