//! What a tenant has changed for itself: an overlay on each shared rule set, and on the shared providers.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use dataflow_rules::{Overlay, Rule};

use super::VersionedProvider;
use super::history::{History, ResourceVersion};
use super::ruleset::put;
use crate::Error;
use crate::change::{ChangeRecord, TenantChange};
use crate::difference::{Difference, differences};
use crate::provider::Provider;

/// The most tenants with changes of their own.
pub const MAX_TENANTS: usize = 10_000;

/// The most bytes of memory for the changes of one tenant to rule sets.
pub const MAX_TENANT_BYTES: usize = 512 << 10;

/// The same for those of all tenants, in each replica.
pub const MAX_TENANTS_BYTES: usize = 32 << 20;

/// The most rules of a rule set that a tenant changes.
pub const MAX_CHANGED_RULES: usize = 1_000;

/// The most providers that a tenant changes.
pub const MAX_CHANGED_PROVIDERS: usize = 200;

/// The changes of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tenant {
    /// Its changes to rule sets, by name.
    pub overlays: BTreeMap<String, Arc<VersionedOverlay>>,
    /// Its changes to providers, by identifier.
    pub providers: BTreeMap<String, OwnProvider>,
}

/// A tenant's changes to a rule set, with their past.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionedOverlay {
    /// The changes at their latest revision.
    pub overlay: Arc<Overlay>,
    /// Their past; the versions are those of the own rules.
    pub history: History,
    /// The bytes of memory for the changes.
    bytes: usize,
}

/// A tenant's change to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnProvider {
    /// A provider of its own, in place of a shared one with the same identifier if there is one.
    Put(Arc<VersionedProvider>),
    /// The shared provider is removed.
    Removed(ResourceVersion),
}

// === impl Tenant ===

impl Tenant {
    /// The bytes of memory for its changes to rule sets.
    pub fn bytes(&self) -> usize {
        self.overlays.values().map(|changes| changes.bytes).sum()
    }

    /// Whether it has changes: those that it has had leave their past.
    pub(super) fn has_changes(&self) -> bool {
        !self.providers.is_empty() || self.overlays.values().any(|changes| !changes.overlay.is_empty())
    }

    /// Whether nothing is known of it.
    pub(super) fn is_empty(&self) -> bool {
        self.overlays.is_empty() && self.providers.is_empty()
    }

    /// Applies a change of a rule set, of which `shared` are the shared rules; or of the providers, of which
    /// `is_shared` says whether there is a shared one.
    pub(super) fn apply(
        &mut self,
        change: &TenantChange,
        shared: &[Rule],
        is_shared: bool,
        at: (u64, &ChangeRecord),
    ) {
        match change {
            TenantChange::RulePut { ruleset, rule } => {
                self.overlay(ruleset).change_rule(&rule.id, shared, at, |overlay| {
                    overlay.removed.remove(&rule.id);
                    put(&mut overlay.rules, rule);
                });
            }
            TenantChange::RuleRemoved { ruleset, rule_id } => {
                self.overlay(ruleset).change_rule(rule_id, shared, at, |overlay| {
                    overlay.rules.retain(|rule| rule.id != *rule_id);
                    if shared.iter().any(|rule| rule.id == *rule_id) {
                        overlay.removed.insert(rule_id.clone());
                    }
                });
            }
            TenantChange::RuleRestored { ruleset, rule_id } => {
                self.overlay(ruleset).change_rule(rule_id, shared, at, |overlay| {
                    overlay.rules.retain(|rule| rule.id != *rule_id);
                    overlay.removed.remove(rule_id);
                });
            }
            TenantChange::RolledBack { ruleset, overlay } | TenantChange::Replaced { ruleset, overlay } => {
                self.overlay(ruleset).replace(overlay, shared, at);
            }
            TenantChange::ProviderPut(provider) => self.put_provider(provider, at),
            TenantChange::ProviderRemoved { provider_id } if is_shared => {
                let version = self.provider_version(provider_id, at);
                self.providers.insert(provider_id.clone(), OwnProvider::Removed(version));
            }
            TenantChange::ProviderRemoved { provider_id }
            | TenantChange::ProviderRestored { provider_id } => {
                self.providers.remove(provider_id);
            }
        }
    }

    fn overlay(&mut self, ruleset: &str) -> &mut VersionedOverlay {
        Arc::make_mut(self.overlays.entry(ruleset.to_owned()).or_default())
    }

    fn put_provider(&mut self, provider: &Provider, at: (u64, &ChangeRecord)) {
        let version = self.provider_version(&provider.provider_id, at);
        let versioned = VersionedProvider { provider: provider.clone(), version };
        self.providers.insert(provider.provider_id.clone(), OwnProvider::Put(Arc::new(versioned)));
    }

    /// The version of a provider that is changed now.
    fn provider_version(
        &self,
        provider: &str,
        (position, recorded): (u64, &ChangeRecord),
    ) -> ResourceVersion {
        let updated: SystemTime = recorded.time;
        let created = match self.providers.get(provider) {
            Some(OwnProvider::Put(known)) => known.version.created,
            Some(OwnProvider::Removed(_)) | None => updated,
        };
        ResourceVersion { position, created, updated }
    }

    /// Validates the size of its changes.
    pub(super) fn check_size(&self) -> Result<(), Error> {
        let limit = |limit: usize, found: usize, what: &'static str| {
            if found > limit { Err(Error::TenantTooLarge { what, limit }) } else { Ok(()) }
        };
        for changes in self.overlays.values() {
            let Overlay { rules, removed } = &*changes.overlay;
            limit(MAX_CHANGED_RULES, rules.len() + removed.len(), "changed rules in a rule set")?;
        }
        limit(MAX_TENANT_BYTES, self.bytes(), "bytes of changed rules, with 48 for each text")?;
        limit(MAX_CHANGED_PROVIDERS, self.providers.len(), "changed providers")
    }
}

// === impl VersionedOverlay ===

impl VersionedOverlay {
    /// These changes, with their past.
    pub fn new(overlay: Overlay, history: History) -> Self {
        let bytes = overlay.bytes();
        Self { overlay: Arc::new(overlay), history, bytes }
    }

    /// Changes what the tenant has of one rule.
    fn change_rule(
        &mut self,
        id: &str,
        shared: &[Rule],
        (position, recorded): (u64, &ChangeRecord),
        change: impl FnOnce(&mut Overlay),
    ) {
        let before = self.overlay.rule(shared, id).cloned();
        change(Arc::make_mut(&mut self.overlay));
        let after = self.overlay.rule(shared, id);
        let found = differences(before.as_slice(), after.cloned().as_slice());
        self.record(found, position, recorded);
    }

    /// Replaces all changes.
    fn replace(&mut self, new: &Arc<Overlay>, shared: &[Rule], (position, recorded): (u64, &ChangeRecord)) {
        let all = |overlay: &Overlay| overlay.over(shared).map(|(rule, _)| rule.clone()).collect::<Vec<_>>();
        let found = differences(&all(&self.overlay), &all(new));
        self.overlay = Arc::clone(new);
        self.record(found, position, recorded);
    }

    /// Records a revision, after which each own rule has a version, and no other rule.
    fn record(&mut self, differences: Vec<Difference>, position: u64, recorded: &ChangeRecord) {
        self.bytes = self.overlay.bytes();
        self.history.record(differences, position, recorded);
        let own: HashSet<_> = self.overlay.rules.iter().map(|rule| rule.id.as_str()).collect();
        let versions = &mut self.history.rule_versions;
        versions.retain(|id, _| own.contains(id.as_str()));
        // One that became its own without a difference to the shared rule.
        let (created, updated) = (recorded.time, recorded.time);
        for id in own.iter().filter(|id| !versions.contains_key(**id)).copied().collect::<Vec<_>>() {
            versions.insert(id.to_owned(), ResourceVersion { position, created, updated });
        }
    }
}
