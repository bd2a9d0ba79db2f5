//! Earlier revisions of rule sets.

use dataflow_rules::RuleSet;

use super::replay::{Replay, replay, start};
use super::{Error, Journal, MAX_ATTEMPTS};
use crate::state::State;

// === impl Journal ===

impl Journal {
    /// A rule set at an earlier revision, by replaying the log: earlier revisions are needed too rarely to keep them in
    /// memory.
    ///
    /// # Errors
    ///
    /// [`Error::RulesetNotFound`], [`Error::RevisionNotFound`], or if the store is unreachable.
    pub async fn ruleset_at(&self, name: &str, revision: i64) -> Result<RuleSet, Error> {
        let not_found = || Error::RevisionNotFound { ruleset: name.to_owned(), revision };
        self.open().await?;
        self.catch_up().await?;
        if !self.state().ruleset(name)?.revisions.iter().any(|known| known.revision == revision) {
            return Err(not_found());
        }
        let is_found =
            |state: &State| state.rulesets.get(name).is_some_and(|ruleset| ruleset.set.revision == revision);
        for _ in 0..MAX_ATTEMPTS {
            let mut replayed = start(&*self.store, &self.log).await?;
            if !is_found(&replayed) {
                match replay(&*self.store, &self.log, &mut replayed, |state, _, _| is_found(state)).await? {
                    Replay::Stopped => {}
                    Replay::Trimmed => continue,
                    Replay::Ended => return Err(not_found()),
                    Replay::Ahead { .. } => return Err(Error::ReleaseOutdated),
                }
            }
            let found = replayed.rulesets.get(name).filter(|_| is_found(&replayed));
            return found.map(|ruleset| RuleSet::clone(&ruleset.set)).ok_or_else(not_found);
        }
        Err(Error::TooManyChanges)
    }
}
