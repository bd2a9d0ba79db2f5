//! Changes of the mapping of themes, of which the first stores what is built into the release.

use std::sync::Arc;
use std::time::SystemTime;

use dataflow_rules::themes::Mapping;

use super::{Attempt, Error, Journal, applied, seed_origin};
use crate::change::{Change, ChangeRecord, ThemeChange};
use crate::state::State;

// === impl Journal ===

impl Journal {
    /// Makes a change of the mapping of themes, or of what a tenant has changed in it. The first one stores the mapping
    /// before, so that a later release, with another one built in, replays the same changes of the same themes.
    ///
    /// # Errors
    ///
    /// As [`Self::change`].
    pub async fn change_themes(
        &self,
        attempt: impl Into<Attempt>,
        decide: impl Fn(&State) -> Result<Option<Change>, Error>,
    ) -> Result<Arc<State>, Error> {
        self.open().await?;
        let origin = match attempt.into() {
            Attempt::Store(origin) => origin,
            Attempt::Validate(origin) => return self.preview(origin, seeding, decide).await,
        };
        let state = self.state();
        if state.themes.is_built_in() {
            // A change that is refused stores nothing: earlier releases would stop at it for nothing.
            let Some(change) = decide(&state)? else { return Ok(state) };
            applied(&state, &ChangeRecord { change, origin: origin.clone(), time: SystemTime::now() })?;
            self.write(seed_origin(), |state| Ok(seeding(state))).await?;
        }
        self.write(origin, decide).await
    }
}

/// The change that stores the mapping which is built in, if that is in force.
fn seeding(state: &State) -> Option<Change> {
    let mapping = || Mapping::clone(&state.themes.set);
    state.themes.is_built_in().then(|| Change::Themes(ThemeChange::Seeded(mapping())))
}
