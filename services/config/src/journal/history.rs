//! Earlier revisions of rule sets and of the mapping of themes, and of tenants' changes to them.

use std::sync::Arc;

use dataflow_rules::themes::{Mapping, Theme};
use dataflow_rules::{Item, Overlay, RuleSet, Set};

use super::replay::{Replay, replay, start};
use super::{Error, Journal, MAX_ATTEMPTS};
use crate::state::{History, State, Versioned, VersionedOverlay};

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
        self.state().ruleset(name)?;
        self.set_at(|state| state.rulesets.get(name).map(Arc::as_ref), revision).await?.ok_or_else(not_found)
    }

    /// The shared mapping of themes at an earlier revision.
    ///
    /// # Errors
    ///
    /// [`Error::ThemesRevisionNotFound`], or if the store is unreachable.
    pub async fn themes_at(&self, revision: i64) -> Result<Mapping, Error> {
        self.catch_up_to_changes().await?;
        let found = self.set_at(|state| Some(&*state.themes), revision).await?;
        found.ok_or(Error::ThemesRevisionNotFound { revision })
    }

    /// The changes of a tenant to a rule set at an earlier revision; none at revision 0.
    ///
    /// # Errors
    ///
    /// As [`Self::ruleset_at`].
    pub async fn overlay_at(&self, tenant: &str, name: &str, revision: i64) -> Result<Arc<Overlay>, Error> {
        let not_found = || Error::RevisionNotFound { ruleset: name.to_owned(), revision };
        self.catch_up_to_changes().await?;
        self.state().ruleset(name)?;
        let changes = |state: &State| state.tenants.get(tenant)?.overlays.get(name).cloned();
        self.changes_at(changes, revision).await?.ok_or_else(not_found)
    }

    /// The changes of a tenant to the mapping of themes at an earlier revision; none at revision 0.
    ///
    /// # Errors
    ///
    /// As [`Self::themes_at`].
    pub async fn theme_overlay_at(&self, tenant: &str, revision: i64) -> Result<Arc<Overlay<Theme>>, Error> {
        self.catch_up_to_changes().await?;
        let changes = |state: &State| state.tenants.get(tenant)?.themes.clone();
        let found = self.changes_at(changes, revision).await?;
        found.ok_or(Error::ThemesRevisionNotFound { revision })
    }

    /// The set that `find` finds in a state, at an earlier revision.
    async fn set_at<S: Set>(
        &self,
        find: impl Fn(&State) -> Option<&Versioned<S>>,
        revision: i64,
    ) -> Result<Option<S>, Error> {
        let present = self.state();
        if !find(&present).is_some_and(|known| has_revision(&known.history, revision)) {
            return Ok(None);
        }
        let is_found = |state: &State| find(state).is_some_and(|known| known.set.revision() == revision);
        let earlier = self.state_when(is_found).await?;
        Ok(earlier.as_ref().and_then(find).map(|found| S::clone(&found.set)))
    }

    /// The changes that `find` finds in a state, at an earlier revision.
    async fn changes_at<T: Item>(
        &self,
        find: impl Fn(&State) -> Option<Arc<VersionedOverlay<T>>>,
        revision: i64,
    ) -> Result<Option<Arc<Overlay<T>>>, Error> {
        if revision == 0 {
            return Ok(Some(Arc::default()));
        }
        if !find(&self.state()).is_some_and(|known| has_revision(&known.history, revision)) {
            return Ok(None);
        }
        let is_found = |state: &State| find(state).is_some_and(|known| known.history.latest() == revision);
        let earlier = self.state_when(is_found).await?;
        Ok(earlier.as_ref().and_then(find).map(|found| Arc::clone(&found.overlay)))
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

fn has_revision(history: &History, revision: i64) -> bool {
    history.revisions.iter().any(|known| known.revision == revision)
}
