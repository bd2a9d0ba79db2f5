//! A change of rule sets, providers or keys, and its audit record.

use std::time::SystemTime;

use dataflow_rules::{Rule, RuleSet};

use crate::key::Key;
use crate::provider::Provider;

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
    },
}

/// The author and the reason of a change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The authenticated subject of the call; empty without authentication.
    pub author: String,
    /// The reason that the author gives.
    pub reason: String,
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
    /// The rule set of which this change makes a revision, if any.
    pub fn ruleset(&self) -> Option<&str> {
        match self {
            Change::RulesetSeeded(set) | Change::RolledBack(set) | Change::RulesReplaced(set) => {
                Some(&set.name)
            }
            Change::RulePut { ruleset, .. } | Change::RuleRemoved { ruleset, .. } => Some(ruleset),
            Change::ProviderSeeded(_)
            | Change::ProviderPut(_)
            | Change::ProviderRemoved { .. }
            | Change::KeyCreated(_)
            | Change::KeyRevoked { .. } => None,
        }
    }
}

// === impl Origin ===

impl Origin {
    /// The origin of a change by the release itself.
    pub fn system(reason: &str, request_id: String) -> Self {
        Self { author: SYSTEM.to_owned(), reason: reason.to_owned(), request_id }
    }
}
