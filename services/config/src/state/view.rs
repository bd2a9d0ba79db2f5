//! What a caller sees: the shared rules, themes and providers, with the changes of its tenant on top.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::SystemTime;

use dataflow_rules::themes::{Mapping, Theme};
use dataflow_rules::{Item, Overlay, Rule, RuleSet, Set};

use super::etag;
use super::history::{History, ResourceVersion};
use super::overlay::VersionedOverlay;
use super::tenant::OwnProvider;
use super::{State, Versioned, VersionedProvider};
use crate::Error;

/// The owner of a rule, a theme or a provider, as the caller of a tenant sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// It is shared.
    Shared,
    /// The caller's tenant.
    Tenant,
}

/// A set as a caller sees it.
#[derive(Debug)]
pub struct SetView<'a, S: Set> {
    shared: &'a Versioned<S>,
    own: Option<&'a VersionedOverlay<S::Item>>,
    has_tenant: bool,
}

/// A rule set as a caller sees it.
pub type RulesetView<'a> = SetView<'a, RuleSet>;

/// The mapping of themes as a caller sees it.
pub type ThemesView<'a> = SetView<'a, Mapping>;

/// An item of a set as a caller sees it.
#[derive(Debug)]
pub struct ItemView<'a, T> {
    /// The item.
    pub item: &'a T,
    /// Its version; none if it is built into this release.
    pub version: Option<ResourceVersion>,
    /// Its owner; none if the caller belongs to no tenant.
    pub owner: Option<Owner>,
}

/// A rule as a caller sees it.
pub type RuleView<'a> = ItemView<'a, Rule>;

/// A theme as a caller sees it.
pub type ThemeView<'a> = ItemView<'a, Theme>;

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

    /// The mapping of themes as a caller of a tenant sees it, or one that belongs to none.
    pub fn themes_of(&self, tenant: &str) -> ThemesView<'_> {
        let own = self.tenants.get(tenant).and_then(|tenant| tenant.themes.as_deref());
        SetView { shared: &self.themes, own, has_tenant: !tenant.is_empty() }
    }

    /// All rule sets as a caller sees them.
    pub fn rulesets_of<'a>(&'a self, tenant: &str) -> impl Iterator<Item = RulesetView<'a>> {
        self.rulesets.values().map(move |shared| self.view(tenant, shared))
    }

    fn view<'a>(&'a self, tenant: &str, shared: &'a Versioned<RuleSet>) -> RulesetView<'a> {
        let own = self.tenants.get(tenant).and_then(|tenant| tenant.overlays.get(&shared.set.name));
        SetView { shared, own: own.map(Arc::as_ref), has_tenant: !tenant.is_empty() }
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

// === impl SetView ===

impl<'a, S: Set> SetView<'a, S> {
    /// The set.
    pub fn set(&self) -> Cow<'a, S> {
        match self.changes() {
            Some(overlay) => Cow::Owned(overlay.apply(&*self.shared.set)),
            None => Cow::Borrowed(&self.shared.set),
        }
    }

    /// The shared set.
    pub fn shared(&self) -> &'a S {
        &self.shared.set
    }

    /// What the tenant has changed, if anything.
    pub fn changes(&self) -> Option<&'a Overlay<S::Item>> {
        self.own.map(|own| &*own.overlay).filter(|overlay| !overlay.is_empty())
    }

    /// The revision of the shared set, and that of the tenant's changes.
    pub fn revisions(&self) -> (i64, i64) {
        (self.shared.set.revision(), self.own.map_or(0, |own| own.history.latest()))
    }

    /// The etag: opaque digits, which change with the shared set and with the tenant's changes.
    pub fn etag(&self) -> String {
        let (shared, own) = self.revisions();
        // What is built in becomes revision 1 when it is stored, and stays what it is; but every release has its own.
        let shared = match shared {
            0 | 1 => etag::of_content(self.shared.set.items()),
            changed => format!("{changed:x}"),
        };
        format!("{shared}-{own:x}")
    }

    /// The past of what the caller can change: of its tenant's changes, or of the shared set; none if its tenant has
    /// changed nothing yet.
    pub fn history(&self) -> Option<&'a History> {
        if self.has_tenant { self.own.map(|own| &own.history) } else { Some(&self.shared.history) }
    }

    /// The items, in their order.
    pub fn items(&self) -> Vec<ItemView<'a, S::Item>> {
        let shared = self.shared.set.items();
        match self.changes() {
            Some(overlay) => overlay.over(shared).map(|(item, is_own)| self.view(item, is_own)).collect(),
            None => shared.iter().map(|item| self.view(item, false)).collect(),
        }
    }

    /// One item.
    pub fn item(&self, id: &str) -> Option<ItemView<'a, S::Item>> {
        let is_wanted = |item: &&S::Item| item.id() == id;
        if let Some(overlay) = self.changes() {
            if let Some(own) = overlay.own.iter().find(is_wanted) {
                return Some(self.view(own, true));
            }
            if overlay.removed.contains(id) {
                return None;
            }
        }
        self.shared.set.items().iter().find(is_wanted).map(|item| self.view(item, false))
    }

    fn view(&self, item: &'a S::Item, is_own: bool) -> ItemView<'a, S::Item> {
        let history = if is_own { self.own.map(|own| &own.history) } else { Some(&self.shared.history) };
        let version = history.and_then(|history| history.versions.get(item.id())).copied();
        let owner = if is_own { Owner::Tenant } else { Owner::Shared };
        ItemView { item, version, owner: self.has_tenant.then_some(owner) }
    }
}

// === impl ItemView ===

impl<T: Hash> ItemView<'_, T> {
    /// The etag; empty if the item has no version.
    pub fn etag(&self) -> String {
        match self.version {
            Some(version) if version.position == ResourceVersion::BUILT_IN => etag::of_content(self.item),
            Some(version) => version.etag(),
            None => String::new(),
        }
    }

    /// When a change created it, and when one last changed it; none for what is built into a release.
    pub fn times(&self) -> Option<(SystemTime, SystemTime)> {
        let made = self.version.filter(|version| version.position != ResourceVersion::BUILT_IN);
        made.map(|version| (version.created, version.updated))
    }
}

#[cfg(test)]
mod tests {
    use dataflow_rules::Category;

    use super::*;
    use crate::state::VersionedMapping;

    #[test]
    fn what_a_release_brings_has_the_etag_of_its_content() {
        let etags = |shared: &VersionedMapping| {
            let view = SetView { shared, own: None, has_tenant: false };
            let items = view.items();
            [view.etag(), items[0].etag(), items[1].etag()]
        };
        let this = VersionedMapping::default();
        let mut other = this.clone();
        let first = &mut Arc::make_mut(&mut other.set).themes[0];
        first.category = if first.category == Category::Other { Category::Health } else { Category::Other };
        let ([whole, one, two], [other_whole, other_one, other_two]) = (etags(&this), etags(&other));
        assert_eq!((whole == other_whole, one == other_one, two == other_two), (false, false, true));
        // Stored before its first change, it stays what it is; a change makes a revision.
        let at = |revision: i64| {
            let mut stored = this.clone();
            Arc::make_mut(&mut stored.set).set_revision(revision);
            etags(&stored)[0].clone()
        };
        assert_eq!((at(1) == whole, at(2).as_str()), (true, "2-0"));
    }
}
