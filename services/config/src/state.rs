//! The state of the service: the result of all changes up to a position of the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dataflow_rules::{RuleError, Set};

use crate::Error;
use crate::change::{Change, ChangeRecord, TenantChange, TenantThemeChange, ThemeChange};
use crate::flag::Flag;
use crate::key::{Key, MAX_KEYS, MAX_TENANT_KEYS};
use crate::provider::Provider;

use self::tenant::Shared;

pub use self::history::{History, ResourceVersion, Revision};
pub use self::overlay::VersionedOverlay;
pub use self::tenant::{
    MAX_CHANGED_PROVIDERS, MAX_CHANGED_RULES, MAX_CHANGED_THEMES, MAX_TENANT_BYTES, MAX_TENANTS,
    MAX_TENANTS_BYTES, OwnProvider, Tenant,
};
pub use self::versioned::{Versioned, VersionedMapping, VersionedRuleset};
pub use self::view::{ItemView, Owner, ProviderView, RuleView, RulesetView, SetView, ThemeView, ThemesView};

mod etag;
mod history;
mod overlay;
mod tenant;
mod versioned;
mod view;

/// The state after the change at `position`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The number of changes.
    pub position: u64,
    /// The shared rule sets by name.
    pub rulesets: BTreeMap<String, Arc<VersionedRuleset>>,
    /// The shared mapping of themes; that of this release if the journal has none.
    pub themes: Arc<VersionedMapping>,
    /// The shared providers by identifier.
    pub providers: BTreeMap<String, Arc<VersionedProvider>>,
    /// The identifiers of all providers that ever existed: a removed provider is not seeded again by the next release.
    pub seen_providers: BTreeSet<String>,
    /// The keys that were not revoked, by identifier. Shared, so that a watch sees without a search that none changed.
    pub keys: Arc<BTreeMap<String, Arc<VersionedKey>>>,
    /// What tenants have changed for themselves, by tenant. Shared for the same reason.
    pub tenants: Arc<BTreeMap<String, Arc<Tenant>>>,
    /// The flags that were set, by identifier. Shared for the same reason.
    pub flags: Arc<BTreeMap<String, Arc<VersionedFlag>>>,
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

/// A flag with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedFlag {
    /// The flag.
    pub flag: Flag,
    /// Its version.
    pub version: ResourceVersion,
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
        let ChangeRecord { change, time, .. } = recorded;
        let position = self.position + 1;
        let version = |created| ResourceVersion { position, created, updated: *time };
        match change {
            Change::RulesetSeeded(set) => {
                // A seed never replaces a set that has revisions.
                let has_revisions = |known: &Arc<VersionedRuleset>| !known.history.revisions.is_empty();
                if !self.rulesets.get(&set.name).is_some_and(has_revisions) {
                    let ruleset = VersionedRuleset::seeded(set.clone(), position, recorded);
                    self.rulesets.insert(set.name.clone(), Arc::new(ruleset));
                }
            }
            Change::RulePut { ruleset, rule } => self.ruleset_mut(ruleset)?.put(rule, position, recorded),
            Change::RuleRemoved { ruleset, rule_id } => {
                if !self.ruleset_mut(ruleset)?.remove(rule_id, position, recorded) {
                    return Err(rule_not_found(ruleset, rule_id));
                }
            }
            Change::RolledBack(set) | Change::RulesReplaced(set) => {
                self.ruleset_mut(&set.name)?.replace(&set.rules, position, recorded);
            }
            Change::Themes(change) => self.apply_themes(change, position, recorded)?,
            Change::ProviderSeeded(provider) | Change::ProviderPut(provider) => {
                let id = provider.provider_id.clone();
                // Before it is seeded, a provider was built into this process, and is no resource with a version.
                let known = self.providers.get(&id).filter(|_| matches!(change, Change::ProviderPut(_)));
                let version = version(known.map_or(*time, |known| known.version.created));
                self.seen_providers.insert(id.clone());
                self.providers
                    .insert(id, Arc::new(VersionedProvider { provider: provider.clone(), version }));
            }
            Change::ProviderRemoved { provider_id } => {
                self.provider(provider_id)?;
                self.providers.remove(provider_id);
            }
            Change::KeyCreated(key) => {
                let versioned = Arc::new(VersionedKey { key: key.clone(), version: version(*time) });
                Arc::make_mut(&mut self.keys).insert(key.key_id.clone(), versioned);
            }
            Change::KeyRevoked { key_id, .. } => {
                self.key(key_id)?;
                Arc::make_mut(&mut self.keys).remove(key_id);
            }
            Change::FlagPut(flag) => {
                let known = self.flags.get(&flag.flag_id);
                let version = version(known.map_or(*time, |known| known.version.created));
                let versioned = Arc::new(VersionedFlag { flag: flag.clone(), version });
                Arc::make_mut(&mut self.flags).insert(flag.flag_id.clone(), versioned);
            }
            Change::Tenant { tenant, change } => self.apply_tenant(tenant, change, (position, recorded))?,
        }
        self.position = position;
        Ok(())
    }

    fn apply_themes(
        &mut self,
        change: &ThemeChange,
        position: u64,
        recorded: &ChangeRecord,
    ) -> Result<(), Error> {
        let themes = Arc::make_mut(&mut self.themes);
        match change {
            // Another release, at the same time, has not replaced what was stored first.
            ThemeChange::Seeded(_) if !themes.is_built_in() => {}
            ThemeChange::Seeded(mapping) => {
                *themes = VersionedMapping::stored(mapping.clone(), position, recorded);
            }
            ThemeChange::Put(theme) => themes.put(theme, position, recorded),
            ThemeChange::Removed { theme_id } => {
                if !themes.remove(theme_id, position, recorded) {
                    return Err(theme_not_found(theme_id));
                }
            }
            ThemeChange::RolledBack(mapping) | ThemeChange::Replaced(mapping) => {
                themes.replace(&mapping.themes, position, recorded);
            }
        }
        Ok(())
    }

    fn apply_tenant(
        &mut self,
        tenant: &str,
        change: &TenantChange,
        at: (u64, &ChangeRecord),
    ) -> Result<(), Error> {
        let ruleset = change.ruleset().map(|name| self.ruleset(name)).transpose()?;
        let ruleset = ruleset.map(|ruleset| Arc::clone(&ruleset.set));
        let has_provider = match change {
            TenantChange::ProviderRemoved { provider_id } => self.providers.contains_key(provider_id),
            _ => false,
        };
        let shared = Shared {
            rules: ruleset.as_ref().map_or(&[][..], |set| &set.rules),
            themes: &self.themes.set.themes,
            has_provider,
        };
        let tenants = Arc::make_mut(&mut self.tenants);
        let changed = Arc::make_mut(tenants.entry(tenant.to_owned()).or_default());
        changed.apply(change, shared, at);
        if changed.is_empty() {
            tenants.remove(tenant);
        }
        Ok(())
    }

    /// Forgets the revisions before those that were the latest at this position: the journal was compacted.
    pub fn forget_revisions(&mut self, position: u64) {
        for ruleset in self.rulesets.values_mut() {
            Arc::make_mut(ruleset).history.forget(position);
        }
        Arc::make_mut(&mut self.themes).history.forget(position);
        for tenant in Arc::make_mut(&mut self.tenants).values_mut() {
            Arc::make_mut(tenant).histories_mut().for_each(|history| history.forget(position));
        }
    }

    /// Validates the result of a change.
    ///
    /// # Errors
    ///
    /// [`Error::RulesetInvalid`], [`Error::ThemeInvalid`], [`Error::ProviderInvalid`], [`Error::KeyInvalid`],
    /// [`Error::TooManyKeys`], [`Error::FlagInvalid`], [`Error::TenantTooLarge`], [`Error::TooManyTenants`].
    pub fn validate(&self, change: &Change) -> Result<(), Error> {
        match change {
            Change::ProviderSeeded(provider) | Change::ProviderPut(provider) => provider.validate(),
            Change::KeyCreated(key) => self.has_room(key).and_then(|()| key.validate()),
            Change::FlagPut(flag) => flag.validate(),
            Change::Themes(_) => self.themes.set.validate().map_err(theme_invalid),
            Change::Tenant { tenant, change } => self.validate_tenant(tenant, change),
            _ => change.ruleset().map_or(Ok(()), |name| Ok(self.ruleset(name)?.set.validate()?)),
        }
    }

    fn validate_tenant(&self, tenant: &str, change: &TenantChange) -> Result<(), Error> {
        if let Some(changed) = self.tenants.get(tenant) {
            changed.check_size()?;
        }
        let bytes: usize = self.tenants.values().map(|tenant| tenant.bytes()).sum();
        let changing = self.tenants.values().filter(|tenant| tenant.has_changes()).count();
        if changing > MAX_TENANTS || bytes > MAX_TENANTS_BYTES {
            return Err(Error::TooManyTenants);
        }
        if let TenantChange::ProviderPut(provider) = change {
            provider.validate()?;
        }
        match change {
            // A set that has become too large, because the shared one has grown, gets smaller.
            TenantChange::RuleRemoved { .. } | TenantChange::RuleRestored { .. } => Ok(()),
            TenantChange::Themes(TenantThemeChange::Removed { .. } | TenantThemeChange::Restored { .. }) => {
                Ok(())
            }
            TenantChange::Themes(_) => self.themes_of(tenant).set().validate().map_err(theme_invalid),
            _ => {
                change.ruleset().map_or(Ok(()), |name| Ok(self.ruleset_of(tenant, name)?.set().validate()?))
            }
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

/// The error of a missing theme.
pub(crate) fn theme_not_found(theme: &str) -> Error {
    Error::ThemeNotFound { theme: theme.to_owned() }
}

/// The error of a mapping of themes that is not valid.
pub(crate) fn theme_invalid(RuleError { field, problem }: RuleError) -> Error {
    Error::ThemeInvalid { field, problem }
}
