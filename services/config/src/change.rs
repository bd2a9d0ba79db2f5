//! A change of rule sets, themes, providers, keys or flags, and its audit record.

mod themes;

use std::sync::Arc;
use std::time::SystemTime;

use dataflow_rules::{Overlay, Rule, RuleSet};

use crate::flag::Flag;
use crate::key::Key;
use crate::provider::{Provider, Terms};

pub use themes::{TenantThemeChange, ThemeChange};

/// The change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A rule set was seeded by a release.
    RulesetSeeded(RuleSet),
    /// A rule was created, or replaced by identifier.
    RulePut {
        /// The set.
        ruleset: String,
        /// The rule.
        rule: Rule,
    },
    /// A rule was removed.
    RuleRemoved {
        /// The set.
        ruleset: String,
        /// The rule's identifier.
        rule_id: String,
    },
    /// A rule set was rolled back to this earlier revision.
    RolledBack(RuleSet),
    /// All rules of a rule set were replaced by those of this one.
    RulesReplaced(RuleSet),
    /// The mapping of themes was changed.
    Themes(ThemeChange),
    /// A provider was seeded by a release.
    ProviderSeeded(Provider),
    /// A provider was created, or replaced by identifier.
    ProviderPut(Provider),
    /// A provider was removed.
    ProviderRemoved {
        /// Its identifier.
        provider_id: String,
    },
    /// A key was created.
    KeyCreated(Key),
    /// A key was revoked.
    KeyRevoked {
        /// Its identifier.
        key_id: String,
        /// Its tenant; empty if it had none, or an earlier release has written the change.
        tenant: String,
    },
    /// A flag was set.
    FlagPut(Flag),
    /// A tenant changed something for itself.
    Tenant {
        /// The tenant.
        tenant: String,
        /// What it changed.
        change: TenantChange,
    },
}

/// What a tenant changed for itself, in rule sets, themes and providers that tenants share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantChange {
    /// A rule of its own was created, or replaced by identifier.
    RulePut {
        /// The set.
        ruleset: String,
        /// The rule.
        rule: Rule,
    },
    /// A rule was removed, its own or a shared one.
    RuleRemoved {
        /// The set.
        ruleset: String,
        /// The rule's identifier.
        rule_id: String,
    },
    /// What it had changed in a rule was dropped.
    RuleRestored {
        /// The set.
        ruleset: String,
        /// The rule's identifier.
        rule_id: String,
    },
    /// Its changes to a rule set were rolled back to these earlier ones.
    RolledBack {
        /// The set.
        ruleset: String,
        /// The changes.
        overlay: Arc<Overlay>,
    },
    /// All its changes to a rule set were replaced by these.
    Replaced {
        /// The set.
        ruleset: String,
        /// The changes.
        overlay: Arc<Overlay>,
    },
    /// The mapping of themes.
    Themes(TenantThemeChange),
    /// A provider of its own was created, or replaced by identifier.
    ProviderPut(Provider),
    /// A provider was removed, its own or a shared one.
    ProviderRemoved {
        /// Its identifier.
        provider_id: String,
    },
    /// What it had changed in a provider was dropped.
    ProviderRestored {
        /// Its identifier.
        provider_id: String,
    },
}

/// The author and the reason of a change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The authenticated subject of the call; empty without authentication.
    pub author: String,
    /// The reason that the author gives.
    pub reason: String,
    /// The address from which the author's connection came to the gateway; empty if unknown.
    pub peer: String,
    /// The id of the request, for the audit. Not an idempotency key: a retried creation whose first outcome was unknown
    /// is rejected as existing.
    pub request_id: String,
}

/// A change with its audit data, as stored in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRecord {
    /// The change.
    pub change: Change,
    /// The author and the reason.
    pub origin: Origin,
    /// The time of the change.
    pub time: SystemTime,
}

/// A change in the journal, with its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// The position, from 1.
    pub position: u64,
    /// The change with its audit data.
    pub record: ChangeRecord,
}

/// The author of changes that a release seeds.
pub const SYSTEM: &str = "system";

// === impl Change ===

impl Change {
    /// The rule set of which, or of a tenant's changes to which, this change makes a revision, if any.
    pub fn ruleset(&self) -> Option<&str> {
        match self {
            Change::RulesetSeeded(set) | Change::RolledBack(set) | Change::RulesReplaced(set) => {
                Some(&set.name)
            }
            Change::RulePut { ruleset, .. } | Change::RuleRemoved { ruleset, .. } => Some(ruleset),
            Change::Tenant { change, .. } => change.ruleset(),
            Change::Themes(_)
            | Change::ProviderSeeded(_)
            | Change::ProviderPut(_)
            | Change::ProviderRemoved { .. }
            | Change::KeyCreated(_)
            | Change::KeyRevoked { .. }
            | Change::FlagPut(_) => None,
        }
    }

    /// The tenant whose data it changes; empty for what all tenants share.
    pub fn tenant(&self) -> &str {
        match self {
            Change::Tenant { tenant, .. } | Change::KeyRevoked { tenant, .. } => tenant,
            Change::KeyCreated(key) => &key.tenant,
            _ => "",
        }
    }

    /// The change of a rule by a caller: of a shared one, or, if the caller belongs to a tenant, for that tenant.
    pub(crate) fn rule_put(tenant: &str, ruleset: &str, rule: Rule) -> Self {
        let ruleset = ruleset.to_owned();
        match tenant {
            "" => Change::RulePut { ruleset, rule },
            _ => TenantChange::RulePut { ruleset, rule }.of(tenant),
        }
    }

    /// The removal of a rule by a caller.
    pub(crate) fn rule_removed(tenant: &str, ruleset: &str, rule_id: &str) -> Self {
        let (ruleset, rule_id) = (ruleset.to_owned(), rule_id.to_owned());
        match tenant {
            "" => Change::RuleRemoved { ruleset, rule_id },
            _ => TenantChange::RuleRemoved { ruleset, rule_id }.of(tenant),
        }
    }

    /// Whether it has a provider with terms.
    pub(crate) fn has_terms(&self) -> bool {
        match self {
            Change::ProviderSeeded(provider)
            | Change::ProviderPut(provider)
            | Change::Tenant { change: TenantChange::ProviderPut(provider), .. } => {
                provider.terms != Terms::default()
            }
            _ => false,
        }
    }

    /// The change of a provider by a caller.
    pub(crate) fn provider_put(tenant: &str, provider: Provider) -> Self {
        match tenant {
            "" => Change::ProviderPut(provider),
            _ => TenantChange::ProviderPut(provider).of(tenant),
        }
    }

    /// The removal of a provider by a caller.
    pub(crate) fn provider_removed(tenant: &str, provider: &str) -> Self {
        let provider_id = provider.to_owned();
        match tenant {
            "" => Change::ProviderRemoved { provider_id },
            _ => TenantChange::ProviderRemoved { provider_id }.of(tenant),
        }
    }
}

// === impl TenantChange ===

impl TenantChange {
    /// As a change of this tenant.
    pub(crate) fn of(self, tenant: &str) -> Change {
        Change::Tenant { tenant: tenant.to_owned(), change: self }
    }

    /// The rule set that it concerns, if any.
    pub fn ruleset(&self) -> Option<&str> {
        match self {
            TenantChange::RulePut { ruleset, .. }
            | TenantChange::RuleRemoved { ruleset, .. }
            | TenantChange::RuleRestored { ruleset, .. }
            | TenantChange::RolledBack { ruleset, .. }
            | TenantChange::Replaced { ruleset, .. } => Some(ruleset),
            TenantChange::Themes(_)
            | TenantChange::ProviderPut(_)
            | TenantChange::ProviderRemoved { .. }
            | TenantChange::ProviderRestored { .. } => None,
        }
    }
}

// === impl Origin ===

impl Origin {
    /// The origin of a change by the release itself.
    pub fn system(reason: &str, request_id: String) -> Self {
        Self { author: SYSTEM.to_owned(), reason: reason.to_owned(), peer: String::new(), request_id }
    }
}
