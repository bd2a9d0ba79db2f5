//! What a caller sees: the shared rules and providers, with the changes of its tenant on top.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use dataflow_rules::{Overlay, Rule, RuleSet};

use super::history::{History, ResourceVersion};
use super::tenant::{OwnProvider, VersionedOverlay};
use super::{State, VersionedProvider, VersionedRuleset};
use crate::Error;

/// The owner of a rule or a provider, as the caller of a tenant sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// It is shared.
    Shared,
    /// The caller's tenant.
    Tenant,
}

/// A rule set as a caller sees it.
#[derive(Debug, Clone, Copy)]
pub struct RulesetView<'a> {
    shared: &'a VersionedRuleset,
    own: Option<&'a VersionedOverlay>,
    has_tenant: bool,
}

/// A rule as a caller sees it.
#[derive(Debug, Clone, Copy)]
pub struct RuleView<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Its version; none if it is built into this release.
    pub version: Option<ResourceVersion>,
    /// Its owner; none if the caller belongs to no tenant.
    pub owner: Option<Owner>,
}

/// A provider as a caller sees it.
#[derive(Debug, Clone, Copy)]
pub struct ProviderView<'a> {
    /// The provider.
    pub provider: &'a VersionedProvider,
    /// Its owner; none if the caller belongs to no tenant.
    pub owner: Option<Owner>,
}

// === impl State ===

impl State {
    /// A rule set as a caller of a tenant sees it, or one that belongs to none.
    ///
    /// # Errors
    ///
    /// [`Error::RulesetNotFound`].
    pub fn ruleset_of(&self, tenant: &str, name: &str) -> Result<RulesetView<'_>, Error> {
        Ok(self.view(tenant, self.ruleset(name)?))
    }

    /// All rule sets as a caller sees them.
    pub fn rulesets_of<'a>(&'a self, tenant: &str) -> impl Iterator<Item = RulesetView<'a>> {
        self.rulesets.values().map(move |shared| self.view(tenant, shared))
    }

    fn view<'a>(&'a self, tenant: &str, shared: &'a VersionedRuleset) -> RulesetView<'a> {
        let own = self.tenants.get(tenant).and_then(|tenant| tenant.overlays.get(&shared.set.name));
        RulesetView { shared, own: own.map(Arc::as_ref), has_tenant: !tenant.is_empty() }
    }

    /// A provider as a caller sees it.
    ///
    /// # Errors
    ///
    /// [`Error::ProviderNotFound`].
    pub fn provider_of(&self, tenant: &str, id: &str) -> Result<ProviderView<'_>, Error> {
        let has_tenant = !tenant.is_empty();
        let shared = || Some(ProviderView::shared(self.providers.get(id)?, has_tenant));
        let found = match self.tenants.get(tenant).and_then(|tenant| tenant.providers.get(id)) {
            Some(OwnProvider::Put(provider)) => Some(ProviderView::own(provider)),
            Some(OwnProvider::Removed(_)) => None,
            None => shared(),
        };
        found.ok_or_else(|| Error::ProviderNotFound { provider: id.to_owned() })
    }

    /// All providers as a caller sees them, by identifier.
    pub fn providers_of(&self, tenant: &str) -> impl Iterator<Item = ProviderView<'_>> {
        let has_tenant = !tenant.is_empty();
        let shared = self.providers.iter();
        let mut seen: BTreeMap<_, _> =
            shared.map(|(id, shared)| (id, ProviderView::shared(shared, has_tenant))).collect();
        for (id, own) in self.tenants.get(tenant).into_iter().flat_map(|tenant| &tenant.providers) {
            match own {
                OwnProvider::Put(provider) => seen.insert(id, ProviderView::own(provider)),
                OwnProvider::Removed(_) => seen.remove(id),
            };
        }
        seen.into_values()
    }
}

// === impl ProviderView ===

impl<'a> ProviderView<'a> {
    fn shared(provider: &'a VersionedProvider, has_tenant: bool) -> Self {
        Self { provider, owner: has_tenant.then_some(Owner::Shared) }
    }

    fn own(provider: &'a VersionedProvider) -> Self {
        Self { provider, owner: Some(Owner::Tenant) }
    }
}

// === impl RulesetView ===

impl<'a> RulesetView<'a> {
    /// The set.
    pub fn set(&self) -> Cow<'a, RuleSet> {
        match self.changes() {
            Some(overlay) => Cow::Owned(overlay.apply(&self.shared.set)),
            None => Cow::Borrowed(&self.shared.set),
        }
    }

    /// The shared set.
    pub fn shared(&self) -> &'a RuleSet {
        &self.shared.set
    }

    /// What the tenant has changed, if anything.
    pub fn changes(&self) -> Option<&'a Overlay> {
        self.own.map(|own| &*own.overlay).filter(|overlay| !overlay.is_empty())
    }

    /// The revision of the shared set, and that of the tenant's changes.
    pub fn revisions(&self) -> (i64, i64) {
        (self.shared.set.revision, self.own.map_or(0, |own| own.history.latest()))
    }

    /// The etag: opaque digits, which change with the shared set and with the tenant's changes.
    pub fn etag(&self) -> String {
        let (shared, own) = self.revisions();
        format!("{shared:x}-{own:x}")
    }

    /// The past of what the caller can change: of its tenant's changes, or of the shared set; none if its tenant has
    /// changed nothing yet.
    pub fn history(&self) -> Option<&'a History> {
        if self.has_tenant { self.own.map(|own| &own.history) } else { Some(&self.shared.history) }
    }

    /// The rules, in evaluation order.
    pub fn rules(&self) -> Vec<RuleView<'a>> {
        match self.changes() {
            Some(overlay) => {
                let rules = overlay.over(&self.shared.set.rules);
                rules.map(|(rule, is_own)| self.rule_view(rule, is_own)).collect()
            }
            None => self.shared.set.rules.iter().map(|rule| self.rule_view(rule, false)).collect(),
        }
    }

    /// One rule.
    pub fn rule(&self, id: &str) -> Option<RuleView<'a>> {
        let is_wanted = |rule: &&Rule| rule.id == id;
        if let Some(overlay) = self.changes() {
            if let Some(own) = overlay.rules.iter().find(is_wanted) {
                return Some(self.rule_view(own, true));
            }
            if overlay.removed.contains(id) {
                return None;
            }
        }
        self.shared.set.rules.iter().find(is_wanted).map(|rule| self.rule_view(rule, false))
    }

    fn rule_view(&self, rule: &'a Rule, is_own: bool) -> RuleView<'a> {
        let history = if is_own { self.own.map(|own| &own.history) } else { Some(&self.shared.history) };
        let version = history.and_then(|history| history.rule_versions.get(&rule.id)).copied();
        let owner = if is_own { Owner::Tenant } else { Owner::Shared };
        RuleView { rule, version, owner: self.has_tenant.then_some(owner) }
    }
}

// === impl RuleView ===

impl RuleView<'_> {
    /// The etag; empty if the rule is built into this release.
    pub fn etag(&self) -> String {
        self.version.map(|version| version.etag()).unwrap_or_default()
    }
}
