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
const NEWEST_VERSION: u32 = 5;

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
        _ if change.is_of_themes() => THEME_VERSION,
        Change::Tenant { .. } | Change::FlagPut(_) => TENANT_VERSION,
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
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::state::State;
    use dataflow_rules::{Category, Rule};

    /// A record of release 0.1.0.
    const RELEASE_0_1_0: &[u8] =
        b"\x08\x01\x12\x02\x08\x07\x1a\x03ada\"\x03why*\x03r-1Z+\n\x07default\x12 \n\x01r\x10\x06\
        \x1a\x04care \x05*\x08\n\x04care\x10\x022\x02en8\x01B\x01d";

    fn recorded() -> ChangeRecord {
        let rule = Rule {
            id: "r".to_owned(),
            category: Category::Health,
            keywords: vec!["care".to_owned()],
            priority: 5,
            weights: [("care".to_owned(), 2)].into(),
            languages: vec!["en".to_owned()],
            disabled: true,
            description: "d".to_owned(),
        };
        let origin = Origin {
            author: "ada".to_owned(),
            reason: "why".to_owned(),
            request_id: "r-1".to_owned(),
            ..Origin::default()
        };
        let change = Change::RulePut { ruleset: "default".to_owned(), rule };
        ChangeRecord { change, origin, time: SystemTime::UNIX_EPOCH + Duration::from_secs(7) }
    }

    #[test]
    fn a_record_of_an_earlier_release_is_read() {
        assert_eq!(decode(Bytes::from_static(RELEASE_0_1_0)), Ok(Record::Change(Box::new(recorded()))));
    }

    #[test]
    fn the_encoding_is_that_of_the_earlier_release() {
        assert_eq!(encode(recorded()), RELEASE_0_1_0);
    }

    #[test]
    fn what_has_keys_is_read_as_it_was_written_and_stops_earlier_releases() {
        let created = crate::key::Key {
            key_id: "k-1".to_owned(),
            display_name: "nightly".to_owned(),
            scope: dataflow_mesh::access::Scope::Write,
            tenant: "acme".to_owned(),
            expires: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(9)),
            creator: "ada".to_owned(),
            digest: [7; 32],
        };
        let with = |change: Change| ChangeRecord { change, ..recorded() };
        let created = with(Change::KeyCreated(created));
        let revoked = with(Change::KeyRevoked { key_id: "k-1".to_owned(), tenant: "acme".to_owned() });
        let mut state = State::default();
        state.apply(&created).unwrap();
        let snapshot = |state: &State| Snapshot { state: state.clone(), remaining_bytes: 5 };
        let (change, keys) = (|record| Record::Change(Box::new(record)), Box::new(snapshot(&state)));
        for (record, bytes) in [
            (change(created.clone()), encode(created)),
            (change(revoked.clone()), encode(revoked.clone())),
            (Record::Snapshot(keys), encode_snapshot(&snapshot(&state))),
        ] {
            assert_eq!(decode_up_to(2, bytes.clone()), Err(Unreadable::Format { found: 3 }));
            assert_eq!(decode(bytes), Ok(record));
        }
        state.apply(&revoked).unwrap();
        let without = encode_snapshot(&snapshot(&state));
        assert!(without.starts_with(b"\x08\x02"), "the version that earlier releases read");
        assert_eq!(decode_up_to(2, without), Ok(Record::Snapshot(Box::new(snapshot(&state)))));
    }

    #[test]
    fn what_a_tenant_changes_stops_earlier_releases() {
        use crate::flag::Flag;
        let ChangeRecord { change: Change::RulePut { ruleset, rule }, .. } = recorded() else {
            unreachable!()
        };
        let provider = crate::built_in::providers().remove(0);
        let (rule_id, provider_id) = ("r".to_owned(), "p".to_owned());
        let overlay = std::sync::Arc::new(dataflow_rules::Overlay {
            own: vec![rule.clone()],
            removed: ["other".to_owned()].into(),
        });
        let of_tenant = [
            TenantChange::RulePut { ruleset: ruleset.clone(), rule },
            TenantChange::RuleRemoved { ruleset: ruleset.clone(), rule_id: rule_id.clone() },
            TenantChange::RuleRestored { ruleset: ruleset.clone(), rule_id },
            TenantChange::RolledBack { ruleset: ruleset.clone(), overlay: overlay.clone() },
            TenantChange::Replaced { ruleset, overlay },
            TenantChange::ProviderPut(provider),
            TenantChange::ProviderRemoved { provider_id: provider_id.clone() },
            TenantChange::ProviderRestored { provider_id },
        ];
        let of_tenant = of_tenant.map(|change| change.of("acme"));
        for change in of_tenant.into_iter().chain([Change::FlagPut(Flag::off("legacy-rules"))]) {
            let record = ChangeRecord { change, ..recorded() };
            let bytes = encode(record.clone());
            assert_eq!(decode_up_to(3, bytes.clone()), Err(Unreadable::Format { found: 4 }), "{record:?}");
            assert_eq!(decode(bytes), Ok(Record::Change(Box::new(record))));
        }
    }

    #[test]
    fn what_has_themes_is_read_as_it_was_written_and_stops_earlier_releases() {
        use crate::change::{TenantThemeChange, ThemeChange};
        let mapping = dataflow_rules::themes::Mapping::built_in();
        let theme = mapping.themes[0].clone();
        let overlay = std::sync::Arc::new(dataflow_rules::Overlay {
            own: vec![theme.clone()],
            removed: ["other".to_owned()].into(),
        });
        let theme_id = || "t".to_owned();
        let shared = [
            ThemeChange::Seeded(mapping.clone()),
            ThemeChange::Put(theme.clone()),
            ThemeChange::Removed { theme_id: theme_id() },
            ThemeChange::RolledBack(mapping.clone()),
            ThemeChange::Replaced(mapping),
        ];
        let of_tenant = [
            TenantThemeChange::Put(theme),
            TenantThemeChange::Removed { theme_id: theme_id() },
            TenantThemeChange::Restored { theme_id: theme_id() },
            TenantThemeChange::RolledBack(overlay.clone()),
            TenantThemeChange::Replaced(overlay),
        ];
        let shared = shared.map(Change::Themes).into_iter();
        let mut state = State::default();
        let stops = |bytes: &Bytes| decode_up_to(4, bytes.clone()) == Err(Unreadable::Format { found: 5 });
        for change in shared.chain(of_tenant.map(|change| change.of("acme"))) {
            let record = ChangeRecord { change, ..recorded() };
            let bytes = encode(record.clone());
            assert!(stops(&bytes), "{record:?}");
            assert_eq!(decode(bytes), Ok(Record::Change(Box::new(record.clone()))));
            // What removes a theme that is not there is refused.
            let _ = state.apply(&record);
        }
        state.forget_revisions(state.position);
        let snapshot = |state: &State| Snapshot { state: state.clone(), remaining_bytes: 5 };
        let bytes = encode_snapshot(&snapshot(&state));
        assert!(stops(&bytes) && state.tenants["acme"].themes.is_some());
        assert_eq!(decode(bytes), Ok(Record::Snapshot(Box::new(snapshot(&state)))));
        let untouched = encode_snapshot(&snapshot(&State::default()));
        assert_eq!(decode_up_to(2, untouched), Ok(Record::Snapshot(Box::new(snapshot(&State::default())))));
    }

    #[test]
    fn records_of_a_later_release_are_recognized() {
        let later = [b"\x08\x06", &RELEASE_0_1_0[2..]].concat();
        assert_eq!(decode(later.into()), Err(Unreadable::Format { found: 6 }));
        let fields = [RELEASE_0_1_0, b"\x9a\x06\x01x"].concat();
        assert_eq!(
            decode(fields.into()),
            Ok(Record::Change(Box::new(recorded()))),
            "unknown fields are ignored"
        );
        assert_eq!(decode(Bytes::from_static(b"\x08\x01")), Err(Unreadable::Unknown));
        assert!(matches!(decode(Bytes::from_static(b"\xff")), Err(Unreadable::Malformed(_))));
    }
}
