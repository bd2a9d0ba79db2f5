//! One change of what the service owns, and what is on record about it.

use std::time::SystemTime;

use crate::provider::Provider;
use dataflow_rules::{Rule, RuleSet};

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A set is there, whole, as a release brought it.
    RulesetSeeded(RuleSet),
    /// A rule was put into a set, new or over the one of its identifier.
    RulePut {
        /// The set.
        ruleset: String,
        /// The rule.
        rule: Rule,
    },
    /// A rule was removed from a set.
    RuleRemoved {
        /// The set.
        ruleset: String,
        /// The rule's identifier.
        rule_id: String,
    },
    /// A set was made what it was: this, at the revision that it says.
    RolledBack(RuleSet),
    /// A provider is there, as a release brought it.
    ProviderSeeded(Provider),
    /// A provider was put, new or over the one of its identifier.
    ProviderPut(Provider),
    /// A provider was removed.
    ProviderRemoved {
        /// Its identifier.
        provider_id: String,
    },
}

/// Who made a change, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The subject of the call; empty without authentication.
    pub author: String,
    /// Why, as the author says.
    pub reason: String,
    /// The request by which it was made, for the record. It is no key: who repeats a creation whose outcome was unknown is
    /// told that what it creates exists.
    pub request_id: String,
}

/// A change as it is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRecord {
    /// What was done.
    pub change: Change,
    /// By whom.
    pub origin: Origin,
    /// When.
    pub time: SystemTime,
}

/// Who brings what a release brings.
pub const SYSTEM: &str = "system";

// === impl Change ===

impl Change {
    /// The rule set of which it makes a revision, if any.
    pub fn ruleset(&self) -> Option<&str> {
        match self {
            Change::RulesetSeeded(set) | Change::RolledBack(set) => Some(&set.name),
            Change::RulePut { ruleset, .. } | Change::RuleRemoved { ruleset, .. } => Some(ruleset),
            Change::ProviderSeeded(_) | Change::ProviderPut(_) | Change::ProviderRemoved { .. } => None,
        }
    }
}

// === impl Origin ===

impl Origin {
    /// What the release itself does.
    pub fn system(reason: &str, request_id: String) -> Self {
        Self { author: SYSTEM.to_owned(), reason: reason.to_owned(), request_id }
    }
}
