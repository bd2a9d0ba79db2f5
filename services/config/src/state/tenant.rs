//! What a tenant has changed for itself: an overlay on each shared rule set, on the mapping of themes, and on the shared
//! providers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use dataflow_rules::Rule;
use dataflow_rules::themes::Theme;

use super::VersionedProvider;
use super::history::{History, ResourceVersion};
use super::overlay::{At, VersionedOverlay};
use crate::Error;
use crate::change::{TenantChange, TenantThemeChange};
use crate::provider::Provider;

/// The most tenants with changes of their own.
pub const MAX_TENANTS: usize = 10_000;

/// The most bytes of memory for the changes of one tenant to rule sets and themes.
pub const MAX_TENANT_BYTES: usize = 512 << 10;

/// The same for those of all tenants, in each replica.
pub const MAX_TENANTS_BYTES: usize = 32 << 20;

/// The most rules of a rule set that a tenant changes.
pub const MAX_CHANGED_RULES: usize = 1_000;

/// The most themes that a tenant changes.
pub const MAX_CHANGED_THEMES: usize = 1_000;

/// The most providers that a tenant changes.
pub const MAX_CHANGED_PROVIDERS: usize = 200;

/// The changes of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tenant {
    /// Its changes to rule sets, by name.
    pub overlays: BTreeMap<String, Arc<VersionedOverlay>>,
    /// Its changes to the mapping of themes, if there were any.
    pub themes: Option<Arc<VersionedOverlay<Theme>>>,
    /// Its changes to providers, by identifier.
    pub providers: BTreeMap<String, OwnProvider>,
}

/// A tenant's change to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnProvider {
    /// A provider of its own, in place of a shared one with the same identifier if there is one.
    Put(Arc<VersionedProvider>),
    /// The shared provider is removed.
    Removed(ResourceVersion),
}

/// What tenants share, as far as a change concerns it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared<'a> {
    /// The rules of the rule set.
    pub(super) rules: &'a [Rule],
    /// The themes.
    pub(super) themes: &'a [Theme],
    /// Whether there is a shared provider with the identifier.
    pub(super) has_provider: bool,
}

// === impl Tenant ===

impl Tenant {
    /// The bytes of memory for its changes to rule sets and themes.
    pub fn bytes(&self) -> usize {
        let rules = self.overlays.values().map(|changes| changes.bytes());
        rules.sum::<usize>() + self.themes.as_ref().map_or(0, |changes| changes.bytes())
    }

    /// The pasts of all its changes to sets.
    pub(super) fn histories_mut(&mut self) -> impl Iterator<Item = &mut History> {
        let rules = self.overlays.values_mut().map(|changes| &mut Arc::make_mut(changes).history);
        rules.chain(self.themes.as_mut().map(|changes| &mut Arc::make_mut(changes).history))
    }

    /// Whether it has changes: those that it has had leave their past.
    pub(super) fn has_changes(&self) -> bool {
        !self.providers.is_empty()
            || self.overlays.values().any(|changes| !changes.overlay.is_empty())
            || self.themes.as_ref().is_some_and(|changes| !changes.overlay.is_empty())
    }

    /// Whether nothing is known of it.
    pub(super) fn is_empty(&self) -> bool {
        self.overlays.is_empty() && self.providers.is_empty() && self.themes.is_none()
    }

    /// Applies a change.
    pub(super) fn apply(&mut self, change: &TenantChange, shared: Shared<'_>, at: At<'_>) {
        let Shared { rules, themes, has_provider } = shared;
        match change {
            TenantChange::RulePut { ruleset, rule } => self.overlay(ruleset).put(rule, rules, at),
            TenantChange::RuleRemoved { ruleset, rule_id } => {
                self.overlay(ruleset).remove(rule_id, rules, at);
            }
            TenantChange::RuleRestored { ruleset, rule_id } => {
                self.overlay(ruleset).restore(rule_id, rules, at);
            }
            TenantChange::RolledBack { ruleset, overlay } | TenantChange::Replaced { ruleset, overlay } => {
                self.overlay(ruleset).replace(overlay, rules, at);
            }
            TenantChange::Themes(change) => self.apply_themes(change, themes, at),
            TenantChange::ProviderPut(provider) => self.put_provider(provider, at),
            TenantChange::ProviderRemoved { provider_id } if has_provider => {
                let version = self.provider_version(provider_id, at);
                self.providers.insert(provider_id.clone(), OwnProvider::Removed(version));
            }
            TenantChange::ProviderRemoved { provider_id }
            | TenantChange::ProviderRestored { provider_id } => {
                self.providers.remove(provider_id);
            }
        }
    }

    fn apply_themes(&mut self, change: &TenantThemeChange, shared: &[Theme], at: At<'_>) {
        let changes = Arc::make_mut(self.themes.get_or_insert_default());
        match change {
            TenantThemeChange::Put(theme) => changes.put(theme, shared, at),
            TenantThemeChange::Removed { theme_id } => changes.remove(theme_id, shared, at),
            TenantThemeChange::Restored { theme_id } => changes.restore(theme_id, shared, at),
            TenantThemeChange::RolledBack(overlay) | TenantThemeChange::Replaced(overlay) => {
                changes.replace(overlay, shared, at);
            }
        }
    }

    fn overlay(&mut self, ruleset: &str) -> &mut VersionedOverlay {
        Arc::make_mut(self.overlays.entry(ruleset.to_owned()).or_default())
    }

    fn put_provider(&mut self, provider: &Provider, at: At<'_>) {
        let version = self.provider_version(&provider.provider_id, at);
        let versioned = VersionedProvider { provider: provider.clone(), version };
        self.providers.insert(provider.provider_id.clone(), OwnProvider::Put(Arc::new(versioned)));
    }

    /// The version of a provider that is changed now.
    fn provider_version(&self, provider: &str, (position, recorded): At<'_>) -> ResourceVersion {
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
            limit(MAX_CHANGED_RULES, changes.changed(), "changed rules in a rule set")?;
        }
        if let Some(changes) = &self.themes {
            limit(MAX_CHANGED_THEMES, changes.changed(), "changed themes")?;
        }
        limit(MAX_TENANT_BYTES, self.bytes(), "bytes of changed rules and themes, with 48 for each text")?;
        limit(MAX_CHANGED_PROVIDERS, self.providers.len(), "changed providers")
    }
}
