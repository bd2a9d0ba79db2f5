//! The form in which changes are written into the store's log.

use std::time::SystemTime;

use bytes::Bytes;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::stored_change::Change as Stored;
use prost::Message;

use crate::change::{Change, Origin, Recorded};

/// The layout that this release writes, and the newest it reads.
const FORMAT: u32 = 1;

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// A later release wrote it.
    #[error("its format is {found}, known are those up to {FORMAT}")]
    Format {
        /// The format.
        found: u32,
    },
    /// A later release wrote it, within a format that we know.
    #[error("it says something that this release does not know")]
    Unknown,
    /// It is no record of ours.
    #[error("{0}")]
    Malformed(String),
}

/// A change as it is written down.
pub(crate) fn encode(recorded: Recorded) -> Bytes {
    let Recorded { change, origin, time } = recorded;
    let Origin { author, reason, request_id } = origin;
    let change = match change {
        Change::RulesetSeeded(set) => Stored::RulesetSeeded((&set).into()),
        Change::RulePut { ruleset, rule } => {
            Stored::RulePut(pb::StoredRule { ruleset, rule: Some((&rule).into()) })
        }
        Change::RuleRemoved { ruleset, rule_id } => {
            Stored::RuleRemoved(pb::StoredRuleName { ruleset, rule_id })
        }
        Change::RolledBack(set) => Stored::RolledBack(pb::StoredRollback { ruleset: Some((&set).into()) }),
        Change::ProviderSeeded(provider) => Stored::ProviderSeeded((&provider).into()),
        Change::ProviderPut(provider) => Stored::ProviderPut((&provider).into()),
        Change::ProviderRemoved { provider_id } => Stored::ProviderRemoved(provider_id),
    };
    let time = Some(prost_types::Timestamp::from(time));
    let stored = pb::StoredChange { format: FORMAT, time, author, reason, request_id, change: Some(change) };
    stored.encode_to_vec().into()
}

/// Reads a change.
pub(crate) fn decode(record: Bytes) -> Result<Recorded, Unreadable> {
    let malformed = |error: &dyn std::fmt::Display| Unreadable::Malformed(error.to_string());
    let stored = pb::StoredChange::decode(record).map_err(|error| malformed(&error))?;
    if stored.format > FORMAT {
        return Err(Unreadable::Format { found: stored.format });
    }
    let pb::StoredChange { format: _, time, author, reason, request_id, change } = stored;
    let invalid = |error: crate::Error| malformed(&error);
    let change = match change.ok_or(Unreadable::Unknown)? {
        Stored::RulesetSeeded(set) => Change::RulesetSeeded(set.try_into().map_err(invalid)?),
        Stored::RulePut(pb::StoredRule { ruleset, rule }) => {
            Change::RulePut { ruleset, rule: rule.unwrap_or_default().try_into().map_err(invalid)? }
        }
        Stored::RuleRemoved(pb::StoredRuleName { ruleset, rule_id }) => {
            Change::RuleRemoved { ruleset, rule_id }
        }
        Stored::RolledBack(pb::StoredRollback { ruleset }) => {
            Change::RolledBack(ruleset.unwrap_or_default().try_into().map_err(invalid)?)
        }
        Stored::ProviderSeeded(provider) => Change::ProviderSeeded(provider.try_into().map_err(invalid)?),
        Stored::ProviderPut(provider) => Change::ProviderPut(provider.try_into().map_err(invalid)?),
        Stored::ProviderRemoved(provider_id) => Change::ProviderRemoved { provider_id },
    };
    let time = time.and_then(|time| SystemTime::try_from(time).ok()).unwrap_or(SystemTime::UNIX_EPOCH);
    Ok(Recorded { change, origin: Origin { author, reason, request_id }, time })
}
