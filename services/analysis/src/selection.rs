//! Selects the rules of a call: the shared set that it names, with the changes of the caller's tenant.

use std::sync::Arc;

use crate::Error;
use crate::flags::{self, Flags};
use crate::overlays::Overlays;
use crate::rulesets::{Ruleset, Rulesets};

/// The set of a call that names none.
const DEFAULT: &str = "default";

/// The same for tenants with [`flags::LEGACY_RULES`].
const LEGACY: &str = "legacy";

/// The rules of all callers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Selection {
    pub(crate) rulesets: Arc<Rulesets>,
    pub(crate) overlays: Overlays,
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
        if tenant.is_empty() {
            return Ok(Selected { ruleset: shared, lacks_overlay: false });
        }
        Ok(match self.overlays.over(tenant, &shared).await {
            Ok(changed) => Selected { ruleset: changed.unwrap_or(shared), lacks_overlay: false },
            Err(missing) => {
                tracing::debug!(%missing, ruleset = shared.name, "rule sets: shared rules for a tenant");
                Selected { ruleset: shared, lacks_overlay: true }
            }
        })
    }

    /// Whether the built-in sets are in use, because the config service has not sent any.
    pub fn is_built_in(&self) -> bool {
        self.rulesets.built_in()
    }
}
