//! The state of the service: the result of all changes up to a position of the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use dataflow_rules::{Rule, RuleSet};

use crate::Error;
use crate::change::{Change, ChangeRecord, Origin};
use crate::difference::{Difference, DifferenceKind, differences};
use crate::key::{Key, MAX_KEYS, MAX_TENANT_KEYS};
use crate::provider::Provider;

/// The state after the change at `position`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The number of changes.
    pub position: u64,
    /// The rule sets by name.
    pub rulesets: BTreeMap<String, Arc<VersionedRuleset>>,
    /// The providers by identifier.
    pub providers: BTreeMap<String, Arc<VersionedProvider>>,
    /// The identifiers of all providers that ever existed: a removed provider is not seeded again by the next release.
    pub seen_providers: BTreeSet<String>,
    /// The keys that were not revoked, by identifier. Shared, so that a watch sees without a search that none changed.
    pub keys: Arc<BTreeMap<String, Arc<VersionedKey>>>,
}

/// A rule set with its revisions and the versions of its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedRuleset {
    /// The set at its latest revision.
    pub set: Arc<RuleSet>,
    /// The version of each rule.
    pub rule_versions: BTreeMap<String, ResourceVersion>,
    /// The revisions without gaps, oldest first: from revision 1, or from a later one if the journal was compacted.
    pub revisions: Vec<Arc<Revision>>,
}

/// A provider with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedProvider {
    /// The provider.
    pub provider: Provider,
    /// Its version.
    pub version: ResourceVersion,
}

/// A key with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedKey {
    /// The key.
    pub key: Key,
    /// Its version.
    pub version: ResourceVersion,
}

/// The version of a resource, as its etag identifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceVersion {
    /// The position of its last change, which is the etag.
    pub position: u64,
    /// When it was created.
    pub created: SystemTime,
    /// When it was last updated.
    pub updated: SystemTime,
}

/// A revision of a rule set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The number of the revision, from 1.
    pub revision: i64,
    /// The position of the change that made it.
    pub position: u64,
    /// When it was created.
    pub time: SystemTime,
    /// The author and the reason.
    pub origin: Origin,
    /// The differences from the previous revision; unknown, and so empty, if the journal was compacted since.
    pub differences: Vec<Difference>,
}

// === impl ResourceVersion ===

impl ResourceVersion {
    /// The etag: opaque hexadecimal digits.
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
    pub fn ruleset(&self, name: &str) -> Result<&Arc<VersionedRuleset>, Error> {
        self.rulesets.get(name).ok_or_else(|| Error::RulesetNotFound { name: name.to_owned() })
    }

    /// The provider of that identifier.
    ///
    /// # Errors
    ///
    /// [`Error::ProviderNotFound`].
    pub fn provider(&self, id: &str) -> Result<&Arc<VersionedProvider>, Error> {
        self.providers.get(id).ok_or_else(|| Error::ProviderNotFound { provider: id.to_owned() })
    }

    /// The key of that identifier.
    ///
    /// # Errors
    ///
    /// [`Error::KeyNotFound`].
    pub fn key(&self, id: &str) -> Result<&Arc<VersionedKey>, Error> {
        self.keys.get(id).ok_or_else(|| Error::KeyNotFound { key: id.to_owned() })
    }

    /// Applies one more change. Its result is validated before it is written, and not again on every replay.
    ///
    /// # Errors
    ///
    /// If the change cannot be applied; nothing is changed then.
    pub fn apply(&mut self, recorded: &ChangeRecord) -> Result<(), Error> {
        let ChangeRecord { change, origin, time } = recorded;
        let position = self.position + 1;
        match change {
            Change::RulesetSeeded(set) => {
                // A seed never replaces a set that has revisions.
                if self.rulesets.get(&set.name).is_some_and(|known| !known.revisions.is_empty()) {
                    self.position = position;
                    return Ok(());
                }
                let set = RuleSet { revision: 1, ..set.clone() };
                let ruleset = VersionedRuleset::seeded(set, position, origin, *time);
                self.rulesets.insert(ruleset.set.name.clone(), Arc::new(ruleset));
            }
            Change::RulePut { ruleset, rule } => {
                let versioned = self.ruleset_mut(ruleset)?;
                let rules = &mut Arc::make_mut(&mut versioned.set).rules;
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
                versioned.add_revision(found, position, recorded);
            }
            Change::RuleRemoved { ruleset, rule_id } => {
                let versioned = self.ruleset_mut(ruleset)?;
                let rules = &mut Arc::make_mut(&mut versioned.set).rules;
                let index = rules.iter().position(|known| known.id == *rule_id);
                let removed = rules.remove(index.ok_or_else(|| rule_not_found(ruleset, rule_id))?);
                versioned.add_revision(differences(&[removed], &[]), position, recorded);
            }
            Change::RolledBack(set) | Change::RulesReplaced(set) => {
                let versioned = self.ruleset_mut(&set.name)?;
                let rules = &mut Arc::make_mut(&mut versioned.set).rules;
                let found = differences(rules, &set.rules);
                rules.clone_from(&set.rules);
                versioned.add_revision(found, position, recorded);
            }
            Change::ProviderSeeded(provider) | Change::ProviderPut(provider) => {
                let id = provider.provider_id.clone();
                // Before it is seeded, a provider was built into this process, and is no resource with a version.
                let known = self.providers.get(&id).filter(|_| matches!(change, Change::ProviderPut(_)));
                let created = known.map_or(*time, |known| known.version.created);
                let version = ResourceVersion { position, created, updated: *time };
                self.seen_providers.insert(id.clone());
                self.providers
                    .insert(id, Arc::new(VersionedProvider { provider: provider.clone(), version }));
            }
            Change::ProviderRemoved { provider_id } => {
                self.provider(provider_id)?;
                self.providers.remove(provider_id);
            }
            Change::KeyCreated(key) => {
                let version = ResourceVersion { position, created: *time, updated: *time };
                let versioned = Arc::new(VersionedKey { key: key.clone(), version });
                Arc::make_mut(&mut self.keys).insert(key.key_id.clone(), versioned);
            }
            Change::KeyRevoked { key_id } => {
                self.key(key_id)?;
                Arc::make_mut(&mut self.keys).remove(key_id);
            }
        }
        self.position = position;
        Ok(())
    }

    /// Forgets the revisions before the one that was the latest at this position: the journal was compacted.
    pub fn forget_revisions(&mut self, position: u64) {
        for ruleset in self.rulesets.values_mut() {
            let made = ruleset.revisions.partition_point(|revision| revision.position <= position);
            if let Some(oldest) = made.checked_sub(1) {
                let revisions = &mut Arc::make_mut(ruleset).revisions;
                revisions.drain(..oldest);
                Arc::make_mut(&mut revisions[0]).differences.clear();
            }
        }
    }

    /// Validates the result of a change.
    ///
    /// # Errors
    ///
    /// [`Error::RulesetInvalid`], [`Error::ProviderInvalid`], [`Error::KeyInvalid`], [`Error::TooManyKeys`].
    pub fn validate(&self, change: &Change) -> Result<(), Error> {
        match change {
            Change::ProviderSeeded(provider) | Change::ProviderPut(provider) => provider.validate(),
            Change::KeyCreated(key) => self.has_room(key).and_then(|()| key.validate()),
            _ => change.ruleset().map_or(Ok(()), |name| Ok(self.ruleset(name)?.set.validate()?)),
        }
    }

    /// Whether the keys, of which this one is the newest, are not too many.
    fn has_room(&self, key: &Key) -> Result<(), Error> {
        let is_of_tenant = |known: &&Arc<VersionedKey>| known.key.tenant == key.tenant;
        if self.keys.len() > MAX_KEYS {
            return Err(Error::TooManyKeys { owner: "the mesh", limit: MAX_KEYS });
        }
        if !key.tenant.is_empty() && self.keys.values().filter(is_of_tenant).count() > MAX_TENANT_KEYS {
            return Err(Error::TooManyKeys { owner: "the tenant", limit: MAX_TENANT_KEYS });
        }
        Ok(())
    }

    /// A rule set for modification: in place, or on a copy if it is shared.
    fn ruleset_mut(&mut self, name: &str) -> Result<&mut VersionedRuleset, Error> {
        let ruleset = self.rulesets.get_mut(name);
        ruleset.map(Arc::make_mut).ok_or_else(|| Error::RulesetNotFound { name: name.to_owned() })
    }
}

/// The error of a missing rule.
pub(crate) fn rule_not_found(ruleset: &str, rule: &str) -> Error {
    Error::RuleNotFound { ruleset: ruleset.to_owned(), rule: rule.to_owned() }
}

// === impl VersionedRuleset ===

impl VersionedRuleset {
    fn seeded(set: RuleSet, position: u64, origin: &Origin, time: SystemTime) -> Self {
        let found = differences(&[], &set.rules);
        let mut ruleset = Self { set: Arc::new(set), rule_versions: BTreeMap::new(), revisions: Vec::new() };
        ruleset.record_revision(found, position, origin, time);
        ruleset
    }

    /// Increments the revision after a change.
    fn add_revision(&mut self, differences: Vec<Difference>, position: u64, recorded: &ChangeRecord) {
        Arc::make_mut(&mut self.set).revision += 1;
        self.record_revision(differences, position, &recorded.origin, recorded.time);
    }

    /// Records the current revision.
    fn record_revision(
        &mut self,
        differences: Vec<Difference>,
        position: u64,
        origin: &Origin,
        time: SystemTime,
    ) {
        for Difference { rule_id, kind } in &differences {
            let created = self.rule_versions.remove(rule_id).map_or(time, |version| version.created);
            if *kind != DifferenceKind::Removed {
                self.rule_versions
                    .insert(rule_id.clone(), ResourceVersion { position, created, updated: time });
            }
        }
        let (revision, origin) = (self.set.revision, origin.clone());
        self.revisions.push(Arc::new(Revision { revision, position, time, origin, differences }));
    }

    /// The revision that the change at this position made.
    pub fn revision_at(&self, position: u64) -> Option<i64> {
        let found = self.revisions.binary_search_by_key(&position, |revision| revision.position).ok()?;
        Some(self.revisions[found].revision)
    }

    /// One rule and its version.
    pub fn rule(&self, rule_id: &str) -> Option<(&Rule, ResourceVersion)> {
        let rule = self.set.rules.iter().find(|rule| rule.id == rule_id)?;
        Some((rule, *self.rule_versions.get(rule_id)?))
    }
}
