//! Everything that the service owns, at one moment: what all changes up to there have made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use crate::Error;
use crate::change::{Change, Origin, Recorded};
use crate::difference::{Difference, Kind, differences};
use crate::provider::Provider;
use crate::ruleset::{Rule, Ruleset};

/// The state after the change at `position`.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// How many changes there were.
    pub position: u64,
    /// The rule sets by name.
    pub rulesets: BTreeMap<String, Arc<Owned>>,
    /// The providers by identifier.
    pub providers: BTreeMap<String, Arc<Registered>>,
    /// The identifiers of all providers there ever were: what was removed is not brought back by the next release.
    pub seen_providers: BTreeSet<String>,
}

/// A rule set with what is on record about it.
#[derive(Debug, Clone)]
pub struct Owned {
    /// The set at its newest revision.
    pub set: Arc<Ruleset>,
    /// Of each rule, when it was made and changed.
    pub stamps: BTreeMap<String, Stamp>,
    /// Every revision, oldest first: the one at index 0 is revision 1.
    pub revisions: Vec<Arc<Revision>>,
}

/// A provider with what is on record about it.
#[derive(Debug, Clone)]
pub struct Registered {
    /// The provider.
    pub provider: Provider,
    /// When it was made and changed.
    pub stamp: Stamp,
}

/// When something was made and last changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The place of the last change among all: what an etag names.
    pub position: u64,
    /// When it was made.
    pub created: SystemTime,
    /// When it was last changed.
    pub updated: SystemTime,
}

/// A revision of a rule set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Counts from 1.
    pub revision: i64,
    /// The place among all changes of the one that made it.
    pub position: u64,
    /// When it was made.
    pub time: SystemTime,
    /// By whom.
    pub origin: Origin,
    /// How it differs from the one before.
    pub differences: Vec<Difference>,
}

// === impl Stamp ===

impl Stamp {
    /// Names this version: hexadecimal digits without further meaning.
    pub fn etag(&self) -> String {
        format!("{:x}", self.position)
    }
}

// === impl State ===

impl State {
    /// The set of that name.
    ///
    /// # Errors
    ///
    /// [`Error::RulesetNotFound`].
    pub fn ruleset(&self, name: &str) -> Result<&Arc<Owned>, Error> {
        self.rulesets.get(name).ok_or_else(|| Error::RulesetNotFound { name: name.to_owned() })
    }

    /// The provider of that identifier.
    ///
    /// # Errors
    ///
    /// [`Error::ProviderNotFound`].
    pub fn provider(&self, id: &str) -> Result<&Arc<Registered>, Error> {
        self.providers.get(id).ok_or_else(|| Error::ProviderNotFound { provider: id.to_owned() })
    }

    /// The state after one more change. Whether what it makes is valid is looked at before it is written, and not again each
    /// time that it is read.
    ///
    /// # Errors
    ///
    /// When the change cannot be made: nothing is, then.
    pub fn after(&self, recorded: &Recorded) -> Result<Self, Error> {
        let Recorded { change, origin, time } = recorded;
        let mut next = Self { position: self.position + 1, ..self.clone() };
        match change {
            Change::RulesetSeeded(set) => {
                let set = Ruleset { revision: 1, ..set.clone() };
                next.rulesets
                    .insert(set.name.clone(), Arc::new(Owned::seeded(set, next.position, origin, *time)));
            }
            Change::RulePut { ruleset, rule } => next.edit(ruleset, recorded, |rules| {
                match rules.iter_mut().find(|known| known.rule_id == rule.rule_id) {
                    Some(known) => known.clone_from(rule),
                    None => rules.push(rule.clone()),
                }
                Ok(())
            })?,
            Change::RuleRemoved { ruleset, rule_id } => next.edit(ruleset, recorded, |rules| {
                let before = rules.len();
                rules.retain(|known| known.rule_id != *rule_id);
                if rules.len() < before { Ok(()) } else { Err(rule_not_found(ruleset, rule_id)) }
            })?,
            Change::RolledBack(earlier) => next.edit(&earlier.name, recorded, |rules| {
                rules.clone_from(&earlier.rules);
                Ok(())
            })?,
            Change::ProviderSeeded(provider) | Change::ProviderPut(provider) => {
                let created =
                    self.providers.get(&provider.provider_id).map_or(*time, |known| known.stamp.created);
                let stamp = Stamp { position: next.position, created, updated: *time };
                next.seen_providers.insert(provider.provider_id.clone());
                let registered = Registered { provider: provider.clone(), stamp };
                next.providers.insert(provider.provider_id.clone(), Arc::new(registered));
            }
            Change::ProviderRemoved { provider_id } => {
                self.provider(provider_id)?;
                next.providers.remove(provider_id);
            }
        }
        Ok(next)
    }

    /// Checks what a change has made.
    ///
    /// # Errors
    ///
    /// [`Error::RulesetInvalid`], [`Error::ProviderInvalid`].
    pub fn validate(&self, change: &Change) -> Result<(), Error> {
        match change {
            Change::ProviderSeeded(provider) | Change::ProviderPut(provider) => provider.validate(),
            _ => change.ruleset().map_or(Ok(()), |name| self.ruleset(name)?.set.validate()),
        }
    }

    /// Makes the next revision of a set.
    fn edit(
        &mut self,
        name: &str,
        recorded: &Recorded,
        edit: impl FnOnce(&mut Vec<Rule>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let owned = Arc::clone(self.ruleset(name)?);
        let mut set = Ruleset { revision: owned.set.revision + 1, ..Ruleset::clone(&owned.set) };
        edit(&mut set.rules)?;
        let next = owned.followed_by(set, self.position, &recorded.origin, recorded.time);
        self.rulesets.insert(name.to_owned(), Arc::new(next));
        Ok(())
    }
}

/// There is no such rule in a set.
pub(crate) fn rule_not_found(ruleset: &str, rule: &str) -> Error {
    Error::RuleNotFound { ruleset: ruleset.to_owned(), rule: rule.to_owned() }
}

// === impl Owned ===

impl Owned {
    fn seeded(set: Ruleset, position: u64, origin: &Origin, time: SystemTime) -> Self {
        let nothing = Ruleset { rules: Vec::new(), ..set.clone() };
        let empty = Self { set: Arc::new(nothing), stamps: BTreeMap::new(), revisions: Vec::new() };
        empty.followed_by(set, position, origin, time)
    }

    /// The set with its next revision.
    fn followed_by(&self, set: Ruleset, position: u64, origin: &Origin, time: SystemTime) -> Self {
        let differences = differences(&self.set.rules, &set.rules);
        let mut stamps = self.stamps.clone();
        for Difference { rule_id, kind } in &differences {
            let created = stamps.remove(rule_id).map_or(time, |stamp| stamp.created);
            if *kind != Kind::Removed {
                stamps.insert(rule_id.clone(), Stamp { position, created, updated: time });
            }
        }
        let revision =
            Revision { revision: set.revision, position, time, origin: origin.clone(), differences };
        let mut revisions = self.revisions.clone();
        revisions.push(Arc::new(revision));
        Self { set: Arc::new(set), stamps, revisions }
    }

    /// The revision that the change at this position made.
    pub fn made_at(&self, position: u64) -> Option<i64> {
        let found = self.revisions.binary_search_by_key(&position, |revision| revision.position).ok()?;
        Some(self.revisions[found].revision)
    }

    /// One rule and its stamp.
    pub fn rule(&self, rule_id: &str) -> Option<(&Rule, Stamp)> {
        let rule = self.set.rules.iter().find(|rule| rule.rule_id == rule_id)?;
        Some((rule, *self.stamps.get(rule_id)?))
    }
}
