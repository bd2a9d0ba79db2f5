//! Earlier revisions of rule sets, and of tenants' changes to them.

use std::sync::Arc;

use dataflow_rules::{Overlay, RuleSet};

use super::replay::{Replay, replay, start};
use super::{Error, Journal, MAX_ATTEMPTS};
use crate::state::{History, State, VersionedOverlay};

// === impl Journal ===

impl Journal {
    /// A shared rule set at an earlier revision.
    ///
    /// # Errors
    ///
    /// [`Error::RulesetNotFound`], [`Error::RevisionNotFound`], or if the store is unreachable.
    pub async fn ruleset_at(&self, name: &str, revision: i64) -> Result<RuleSet, Error> {
        let not_found = || Error::RevisionNotFound { ruleset: name.to_owned(), revision };
        self.catch_up_to_changes().await?;
        require(&self.state().ruleset(name)?.history, revision).ok_or_else(not_found)?;
        let is_found =
            |state: &State| state.rulesets.get(name).is_some_and(|ruleset| ruleset.set.revision == revision);
        let found = self.state_when(is_found).await?.ok_or_else(not_found)?;
        Ok(RuleSet::clone(&found.ruleset(name)?.set))
    }

    /// The changes of a tenant to a rule set at an earlier revision; none at revision 0.
    ///
    /// # Errors
    ///
    /// As [`Self::ruleset_at`].
    pub async fn overlay_at(&self, tenant: &str, name: &str, revision: i64) -> Result<Arc<Overlay>, Error> {
        let not_found = || Error::RevisionNotFound { ruleset: name.to_owned(), revision };
        self.catch_up_to_changes().await?;
        let state = self.state();
        state.ruleset(name)?;
        if revision == 0 {
            return Ok(Arc::default());
        }
        let overlay = |state: &State| state.tenants.get(tenant)?.overlays.get(name).cloned();
        let known = overlay(&state).ok_or_else(not_found)?;
        require(&known.history, revision).ok_or_else(not_found)?;
        let has_revision = |known: &Arc<VersionedOverlay>| known.history.latest() == revision;
        let found = self.state_when(|state| overlay(state).as_ref().is_some_and(has_revision)).await?;
        let found = found.and_then(|state| overlay(&state)).ok_or_else(not_found)?;
        Ok(Arc::clone(&found.overlay))
    }

    async fn catch_up_to_changes(&self) -> Result<(), Error> {
        self.open().await?;
        self.catch_up().await
    }

    /// The first state of the past for which this is true, by replaying the log: earlier revisions are needed too
    /// rarely to keep them in memory.
    async fn state_when(&self, is_found: impl Fn(&State) -> bool) -> Result<Option<State>, Error> {
        // It reads and decodes the whole log: several at once would delay everything else.
        let _permit = self.replays.try_acquire().map_err(|_| Error::TooManyChanges)?;
        for _ in 0..MAX_ATTEMPTS {
            let mut replayed = start(&*self.store, &self.log).await?;
            if !is_found(&replayed) {
                match replay(&*self.store, &self.log, &mut replayed, |state, _, _| is_found(state)).await? {
                    Replay::Stopped => {}
                    Replay::Trimmed => continue,
                    Replay::Ended => return Ok(None),
                    Replay::Ahead { .. } => return Err(Error::ReleaseOutdated),
                }
            }
            return Ok(Some(replayed));
        }
        Err(Error::TooManyChanges)
    }
}

fn require(history: &History, revision: i64) -> Option<()> {
    history.revisions.iter().any(|known| known.revision == revision).then_some(())
}
