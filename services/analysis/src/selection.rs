//! Selects the rules of a call, the shared set that it names, and the mapping of themes: each with the changes of the
//! caller's tenant.

use std::sync::Arc;

use crate::Error;
use crate::flags::{self, Flags};
use crate::mappings::{Mapping, Mappings};
use crate::overlays::{Overlays, Shared};
use crate::rulesets::{Ruleset, Rulesets};

/// The set of a call that names none.
const DEFAULT: &str = "default";

/// The same for tenants with [`flags::LEGACY_RULES`].
const LEGACY: &str = "legacy";

/// The rules and the themes of all callers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Selection {
    pub(crate) rulesets: Arc<Rulesets>,
    pub(crate) overlays: Overlays<Ruleset>,
    pub(crate) mappings: Arc<Mappings>,
    pub(crate) theme_overlays: Overlays<Mapping>,
    pub(crate) flags: Flags,
}

/// The rules of one call.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The rules.
    pub ruleset: Arc<Ruleset>,
    /// Whether the tenant has changes which these rules lack.
    pub lacks_overlay: bool,
}

/// The mapping of themes of one call.
#[derive(Debug, Clone)]
pub struct SelectedThemes {
    /// The mapping.
    pub mapping: Arc<Mapping>,
    /// Whether the tenant has changes which this mapping lacks.
    pub lacks_overlay: bool,
}

// === impl Selection ===

impl Selection {
    /// The rules of a call by a tenant, which is empty for a caller that belongs to none, that names this set, or none.
    ///
    /// # Errors
    ///
    /// [`Error::RulesetNotFound`].
    pub async fn select(&self, tenant: &str, name: &str) -> Result<Selected, Error> {
        let name = match name {
            "" if self.flags.is_on(flags::LEGACY_RULES, tenant) => LEGACY,
            "" => DEFAULT,
            name => name,
        };
        let shared = self.rulesets.get(name)?;
        let (ruleset, lacks_overlay) = with_changes(&self.overlays, tenant, shared).await;
        Ok(Selected { ruleset, lacks_overlay })
    }

    /// The mapping of themes of a call by a tenant, which is empty for a caller that belongs to none.
    pub async fn select_themes(&self, tenant: &str) -> SelectedThemes {
        let shared = self.mappings.get();
        let (mapping, lacks_overlay) = with_changes(&self.theme_overlays, tenant, shared).await;
        SelectedThemes { mapping, lacks_overlay }
    }

    /// Whether the built-in sets are in use, because the config service has not sent any.
    pub fn is_built_in(&self) -> bool {
        self.rulesets.built_in()
    }
    /// Whether the built-in mapping of themes is in use, because the config service has not sent any.
    pub fn has_built_in_themes(&self) -> bool {
        self.mappings.is_built_in()
    }
}

/// A shared set with the changes of a tenant; or as it is, and whether it lacks them.
async fn with_changes<S: Shared>(overlays: &Overlays<S>, tenant: &str, shared: Arc<S>) -> (Arc<S>, bool) {
    if tenant.is_empty() {
        return (shared, false);
    }
    match overlays.over(tenant, &shared).await {
        Ok(changed) => (changed.unwrap_or(shared), false),
        Err(missing) => {
            tracing::debug!(%missing, set = shared.name(), "tenant changes: the shared set for a tenant");
            (shared, true)
        }
    }
}
