//! Changes of the mapping of themes.

use std::sync::Arc;

use dataflow_rules::Overlay;
use dataflow_rules::themes::{Mapping, Theme};

use super::{Change, TenantChange};

/// A change of the mapping that all tenants share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThemeChange {
    /// The mapping of a release was stored, before its first change.
    Seeded(Mapping),
    /// A theme was created, or replaced by identifier.
    Put(Theme),
    /// A theme was removed.
    Removed {
        /// Its identifier.
        theme_id: String,
    },
    /// The mapping was rolled back to this earlier revision.
    RolledBack(Mapping),
    /// All themes were replaced by those of this mapping.
    Replaced(Mapping),
}

/// What a tenant changed for itself in the mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantThemeChange {
    /// A theme of its own was created, or replaced by identifier.
    Put(Theme),
    /// A theme was removed, its own or a shared one.
    Removed {
        /// Its identifier.
        theme_id: String,
    },
    /// What it had changed in a theme was dropped.
    Restored {
        /// Its identifier.
        theme_id: String,
    },
    /// Its changes were rolled back to these earlier ones.
    RolledBack(Arc<Overlay<Theme>>),
    /// All its changes were replaced by these.
    Replaced(Arc<Overlay<Theme>>),
}

// === impl Change ===

impl Change {
    /// The change of a theme by a caller: of a shared one, or, if the caller belongs to a tenant, for that tenant.
    pub(crate) fn theme_put(tenant: &str, theme: Theme) -> Self {
        match tenant {
            "" => Change::Themes(ThemeChange::Put(theme)),
            _ => TenantThemeChange::Put(theme).of(tenant),
        }
    }

    /// The removal of a theme by a caller.
    pub(crate) fn theme_removed(tenant: &str, theme: &str) -> Self {
        let theme_id = theme.to_owned();
        match tenant {
            "" => Change::Themes(ThemeChange::Removed { theme_id }),
            _ => TenantThemeChange::Removed { theme_id }.of(tenant),
        }
    }

    /// Whether it changes the mapping of themes, or what a tenant has changed in it.
    pub(crate) fn is_of_themes(&self) -> bool {
        matches!(self, Change::Themes(_) | Change::Tenant { change: TenantChange::Themes(_), .. })
    }
}

// === impl TenantThemeChange ===

impl TenantThemeChange {
    /// As a change of this tenant.
    pub(crate) fn of(self, tenant: &str) -> Change {
        TenantChange::Themes(self).of(tenant)
    }
}
