//! The stored format of the records in the journal.

use std::time::SystemTime;

use bytes::Bytes;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::stored_change::Change as Stored;
use prost::Message;

use crate::change::{Change, ChangeRecord, Origin, TenantChange};
use crate::convert::{flag, key, ruleset};

pub(crate) mod refusal;
mod snapshot;
mod tenant;
mod themes;
mod versioned;

pub(crate) use snapshot::{Snapshot, encode_snapshot};

/// The newest format version that this release reads.
const NEWEST_VERSION: u32 = 7;

/// The format version of changes.
const CHANGE_VERSION: u32 = 1;

/// The format version of everything that has keys. A release that reads up to version 2 would skip the changes, and its
/// snapshots would drop the keys.
const KEY_VERSION: u32 = 3;

/// The format version of everything that has flags, or changes of tenants for themselves. A release that reads up to
/// version 3 would take the rules of a tenant for shared ones.
const TENANT_VERSION: u32 = 4;

/// The format version of everything that has themes. A release that reads up to version 4 would skip the changes, and its
/// snapshots would drop them.
const THEME_VERSION: u32 = 5;

/// The format version of everything that has a key with a rate of its own. A release that reads up to version 5 would let
/// its callers make more calls, and its snapshots would drop the rate.
const KEY_RATE_VERSION: u32 = 6;

/// The format version of everything that has a provider with terms. A release that reads up to version 6 would drop them
/// with the next change of the provider, and its snapshots would too.
const TERMS_VERSION: u32 = 7;

/// A record of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// A change.
    Change(Box<ChangeRecord>),
    /// The state at an earlier position.
    Snapshot(Box<Snapshot>),
}

/// Why a record cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// A later release wrote it, in a later format version.
    #[error("format version {found}, this release reads up to {NEWEST_VERSION}")]
    Format {
        /// The format version.
        found: u32,
    },
    /// A later release wrote an unknown change, in a known format version.
    #[error("unknown kind of change")]
    Unknown,
    /// It is not a record of this service.
    #[error("{0}")]
    Malformed(String),
}

/// Encodes a change.
pub(crate) fn encode(recorded: ChangeRecord) -> Bytes {
    let ChangeRecord { change, origin, time } = recorded;
    let Origin { author, reason, peer, request_id } = origin;
    let format = match change {
        _ if change.has_terms() => TERMS_VERSION,
        _ if change.is_of_themes() => THEME_VERSION,
        Change::Tenant { .. } | Change::FlagPut(_) => TENANT_VERSION,
        Change::KeyCreated(ref key) if key.rate.is_some() => KEY_RATE_VERSION,
        Change::KeyCreated(_) | Change::KeyRevoked { .. } => KEY_VERSION,
        _ => CHANGE_VERSION,
    };
    let tenant = match &change {
        Change::Tenant { tenant, .. } | Change::KeyRevoked { tenant, .. } => tenant.clone(),
        _ => String::new(),
    };
    let change = match change {
        Change::RulesetSeeded(set) => Stored::RulesetSeeded(ruleset::to_wire(&set)),
        Change::RulePut { ruleset, rule } => {
            Stored::RulePut(pb::StoredRule { ruleset, rule: Some(ruleset::rule_to_wire(&rule)) })
        }
        Change::RuleRemoved { ruleset, rule_id } => {
            Stored::RuleRemoved(pb::StoredRuleName { ruleset, rule_id })
        }
        Change::RolledBack(set) => {
            Stored::RolledBack(pb::StoredRollback { ruleset: Some(ruleset::to_wire(&set)), replaced: false })
        }
        // A release that does not know the field applies it as what it is to the state: other rules.
        Change::RulesReplaced(set) => {
            Stored::RolledBack(pb::StoredRollback { ruleset: Some(ruleset::to_wire(&set)), replaced: true })
        }
        Change::Themes(change) => themes::encode(change),
        Change::ProviderSeeded(provider) => Stored::ProviderSeeded((&provider).into()),
        Change::ProviderPut(provider) => Stored::ProviderPut((&provider).into()),
        Change::ProviderRemoved { provider_id } => Stored::ProviderRemoved(provider_id),
        Change::KeyCreated(key) => Stored::KeyCreated(key::to_stored(&key)),
        Change::KeyRevoked { key_id, .. } => Stored::KeyRevoked(key_id),
        Change::FlagPut(flag) => Stored::FlagPut(flag::to_wire(&flag)),
        Change::Tenant { change, .. } => tenant::encode(change),
    };
    let time = Some(prost_types::Timestamp::from(time));
    let change = Some(change);
    let stored = pb::StoredChange { format, time, author, reason, request_id, tenant, peer, change };
    stored.encode_to_vec().into()
}

/// Decodes a record.
pub(crate) fn decode(record: Bytes) -> Result<Record, Unreadable> {
    decode_up_to(NEWEST_VERSION, record)
}

/// Decodes a record as a release does that reads up to this format version.
fn decode_up_to(newest: u32, record: Bytes) -> Result<Record, Unreadable> {
    let malformed = |error: &dyn std::fmt::Display| Unreadable::Malformed(error.to_string());
    let stored = pb::StoredChange::decode(record).map_err(|error| malformed(&error))?;
    if stored.format > newest {
        return Err(Unreadable::Format { found: stored.format });
    }
    let pb::StoredChange { format, time, author, reason, request_id, tenant, peer, change } = stored;
    let invalid = |error: crate::Error| malformed(&error);
    let change = change.ok_or(Unreadable::Unknown)?;
    let is_of_tenant = format >= TENANT_VERSION && !tenant.is_empty();
    let time = time.and_then(|time| SystemTime::try_from(time).ok()).unwrap_or(SystemTime::UNIX_EPOCH);
    let origin = Origin { author, reason, peer, request_id };
    let record = |change| Record::Change(Box::new(ChangeRecord { change, origin, time }));
    if is_of_tenant {
        let change: TenantChange = tenant::decode(change)?;
        return Ok(record(change.of(&tenant)));
    }
    let change = match change {
        Stored::RulesetSeeded(set) => Change::RulesetSeeded(ruleset::from_wire(set).map_err(invalid)?),
        Stored::RulePut(pb::StoredRule { ruleset, rule }) => {
            let rule = ruleset::rule_from_wire(rule.unwrap_or_default()).map_err(invalid)?;
            Change::RulePut { ruleset, rule }
        }
        Stored::RuleRemoved(pb::StoredRuleName { ruleset, rule_id }) => {
            Change::RuleRemoved { ruleset, rule_id }
        }
        Stored::RolledBack(pb::StoredRollback { ruleset, replaced }) => {
            let set = ruleset::from_wire(ruleset.unwrap_or_default()).map_err(invalid)?;
            if replaced { Change::RulesReplaced(set) } else { Change::RolledBack(set) }
        }
        change @ (Stored::ThemesSeeded(_)
        | Stored::ThemePut(_)
        | Stored::ThemeRemoved(_)
        | Stored::ThemesReplaced(_)) => Change::Themes(themes::decode(change)?),
        Stored::ProviderSeeded(provider) => Change::ProviderSeeded(provider.try_into().map_err(invalid)?),
        Stored::ProviderPut(provider) => Change::ProviderPut(provider.try_into().map_err(invalid)?),
        Stored::ProviderRemoved(provider_id) => Change::ProviderRemoved { provider_id },
        Stored::KeyCreated(key) => Change::KeyCreated(key::from_stored(key).map_err(invalid)?),
        Stored::KeyRevoked(key_id) => Change::KeyRevoked { key_id, tenant },
        Stored::FlagPut(flag) => Change::FlagPut(flag::from_wire(flag)),
        Stored::Snapshot(stored) => {
            return Ok(Record::Snapshot(Box::new(snapshot::decode(stored).map_err(invalid)?)));
        }
        // A tenant alone drops its own changes.
        Stored::RuleRestored(_)
        | Stored::OverlayReplaced(_)
        | Stored::ThemeRestored(_)
        | Stored::ThemeOverlayReplaced(_)
        | Stored::ProviderRestored(_) => {
            return Err(Unreadable::Malformed("a change of no tenant".to_owned()));
        }
    };
    Ok(record(change))
}

#[cfg(test)]
mod tests;
