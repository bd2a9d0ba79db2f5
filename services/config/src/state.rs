//! Everything that the service owns, at one moment: what all changes up to there have made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use crate::Error;
use crate::change::{Change, Origin, Recorded};
use crate::difference::{Difference, Kind, differences};
use crate::provider::Provider;
use dataflow_rules::{Rule, RuleSet};

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
    pub set: Arc<RuleSet>,
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

    /// Makes one more change. Whether what it makes is valid is looked at before it is written, and not again each time that
    /// it is read.
    ///
    /// # Errors
    ///
    /// When the change cannot be made: nothing is, then.
    pub fn apply(&mut self, recorded: &Recorded) -> Result<(), Error> {
        let Recorded { change, origin, time } = recorded;
        let position = self.position + 1;
        match change {
            Change::RulesetSeeded(set) => {
                let set = RuleSet { revision: 1, ..set.clone() };
                let owned = Owned::seeded(set, position, origin, *time);
                self.rulesets.insert(owned.set.name.clone(), Arc::new(owned));
            }
            Change::RulePut { ruleset, rule } => {
                let owned = self.owned(ruleset)?;
                let rules = &mut Arc::make_mut(&mut owned.set).rules;
                let id = |known: &&mut Rule| known.id == rule.id;
                let found = match rules.iter_mut().find(id) {
                    Some(known) => {
                        let found = differences(std::slice::from_ref(known), std::slice::from_ref(rule));
                        known.clone_from(rule);
                        found
                    }
                    None => {
                        rules.push(rule.clone());
                        differences(&[], std::slice::from_ref(rule))
                    }
                };
                owned.revised(found, position, recorded);
            }
            Change::RuleRemoved { ruleset, rule_id } => {
                let owned = self.owned(ruleset)?;
                let rules = &mut Arc::make_mut(&mut owned.set).rules;
                let index = rules.iter().position(|known| known.id == *rule_id);
                let removed = rules.remove(index.ok_or_else(|| rule_not_found(ruleset, rule_id))?);
                owned.revised(differences(&[removed], &[]), position, recorded);
            }
            Change::RolledBack(earlier) => {
                let owned = self.owned(&earlier.name)?;
                let rules = &mut Arc::make_mut(&mut owned.set).rules;
                let found = differences(rules, &earlier.rules);
                rules.clone_from(&earlier.rules);
                owned.revised(found, position, recorded);
            }
            Change::ProviderSeeded(provider) | Change::ProviderPut(provider) => {
                let id = provider.provider_id.clone();
                let created = self.providers.get(&id).map_or(*time, |known| known.stamp.created);
                let stamp = Stamp { position, created, updated: *time };
                self.seen_providers.insert(id.clone());
                self.providers.insert(id, Arc::new(Registered { provider: provider.clone(), stamp }));
            }
            Change::ProviderRemoved { provider_id } => {
                self.provider(provider_id)?;
                self.providers.remove(provider_id);
            }
        }
        self.position = position;
        Ok(())
    }

    /// Checks what a change has made.
    ///
    /// # Errors
    ///
    /// [`Error::RulesetInvalid`], [`Error::ProviderInvalid`].
    pub fn validate(&self, change: &Change) -> Result<(), Error> {
        match change {
            Change::ProviderSeeded(provider) | Change::ProviderPut(provider) => provider.validate(),
            _ => change.ruleset().map_or(Ok(()), |name| Ok(self.ruleset(name)?.set.validate()?)),
        }
    }

    /// A set to be changed; in place, if nobody else holds it.
    fn owned(&mut self, name: &str) -> Result<&mut Owned, Error> {
        let owned = self.rulesets.get_mut(name);
        owned.map(Arc::make_mut).ok_or_else(|| Error::RulesetNotFound { name: name.to_owned() })
    }
}

/// There is no such rule in a set.
pub(crate) fn rule_not_found(ruleset: &str, rule: &str) -> Error {
    Error::RuleNotFound { ruleset: ruleset.to_owned(), rule: rule.to_owned() }
}

// === impl Owned ===

impl Owned {
    fn seeded(set: RuleSet, position: u64, origin: &Origin, time: SystemTime) -> Self {
        let found = differences(&[], &set.rules);
        let mut owned = Self { set: Arc::new(set), stamps: BTreeMap::new(), revisions: Vec::new() };
        owned.note(found, position, origin, time);
        owned
    }

    /// The set has changed like this: that is its next revision.
    fn revised(&mut self, differences: Vec<Difference>, position: u64, recorded: &Recorded) {
        Arc::make_mut(&mut self.set).revision += 1;
        self.note(differences, position, &recorded.origin, recorded.time);
    }

    /// Puts the present revision on record.
    fn note(&mut self, differences: Vec<Difference>, position: u64, origin: &Origin, time: SystemTime) {
        for Difference { rule_id, kind } in &differences {
            let created = self.stamps.remove(rule_id).map_or(time, |stamp| stamp.created);
            if *kind != Kind::Removed {
                self.stamps.insert(rule_id.clone(), Stamp { position, created, updated: time });
            }
        }
        let (revision, origin) = (self.set.revision, origin.clone());
        self.revisions.push(Arc::new(Revision { revision, position, time, origin, differences }));
    }

    /// The revision that the change at this position made.
    pub fn made_at(&self, position: u64) -> Option<i64> {
        let found = self.revisions.binary_search_by_key(&position, |revision| revision.position).ok()?;
        Some(self.revisions[found].revision)
    }

    /// One rule and its stamp.
    pub fn rule(&self, rule_id: &str) -> Option<(&Rule, Stamp)> {
        let rule = self.set.rules.iter().find(|rule| rule.id == rule_id)?;
        Some((rule, *self.stamps.get(rule_id)?))
    }
}
