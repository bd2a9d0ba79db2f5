//! The format of what earlier releases wrote, and what they read of this one.

use std::time::Duration;

use super::*;
use crate::state::State;
use dataflow_rules::{Category, Rule};

/// A record of release 0.1.0.
const RELEASE_0_1_0: &[u8] =
    b"\x08\x01\x12\x02\x08\x07\x1a\x03ada\"\x03why*\x03r-1Z+\n\x07default\x12 \n\x01r\x10\x06\
    \x1a\x04care \x05*\x08\n\x04care\x10\x022\x02en8\x01B\x01d";

/// A record with a key, of a release that knew no rates of keys.
const KEY_BEFORE_RATES: &[u8] =
    b"\x08\x03\x12\x02\x08\x07\x1a\x03ada\"\x03why*\x03r-1\xca\x01C\x0a\x1f\x0a\x03k-1\x12\x07\
    nightly\x18\x02\"\x04acme2\x02\x08\x09:\x03ada\x12 \
    \x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\
    \x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07";

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
        rate: None,
        creator: "ada".to_owned(),
        digest: [7; 32],
    };
    let with = |change: Change| ChangeRecord { change, ..recorded() };
    let limited = crate::key::Key {
        key_id: "k-2".to_owned(),
        rate: crate::key::KeyRate::read("50/m", 7).unwrap(),
        ..created.clone()
    };
    let (created, limited) = (with(Change::KeyCreated(created)), with(Change::KeyCreated(limited)));
    let revoked = with(Change::KeyRevoked { key_id: "k-1".to_owned(), tenant: "acme".to_owned() });
    let mut state = State::default();
    state.apply(&created).unwrap();
    let snapshot = |state: &State| Snapshot { state: state.clone(), remaining_bytes: 5 };
    let (change, keys) = (|record| Record::Change(Box::new(record)), Box::new(snapshot(&state)));
    for (record, bytes) in [
        (change(created.clone()), encode(created.clone())),
        (change(revoked.clone()), encode(revoked.clone())),
        (Record::Snapshot(keys), encode_snapshot(&snapshot(&state))),
    ] {
        assert_eq!(decode_up_to(2, bytes.clone()), Err(Unreadable::Format { found: 3 }));
        assert_eq!(decode(bytes), Ok(record));
    }
    // A key with a rate stops releases that know keys without one; the others are stored as before.
    state.apply(&limited).unwrap();
    let keys = Record::Snapshot(Box::new(snapshot(&state)));
    for (record, bytes) in
        [(change(limited.clone()), encode(limited)), (keys, encode_snapshot(&snapshot(&state)))]
    {
        assert_eq!(decode_up_to(5, bytes.clone()), Err(Unreadable::Format { found: 6 }));
        assert_eq!(decode(bytes), Ok(record));
    }
    assert_eq!(encode(created).as_ref(), KEY_BEFORE_RATES);
    let removed = Change::KeyRevoked { key_id: "k-2".to_owned(), tenant: "acme".to_owned() };
    state.apply(&with(removed)).unwrap();
    assert!(encode_snapshot(&snapshot(&state)).starts_with(b"\x08\x03"));
    state.apply(&revoked).unwrap();
    let without = encode_snapshot(&snapshot(&state));
    assert!(without.starts_with(b"\x08\x02"), "the version that earlier releases read");
    assert_eq!(decode_up_to(2, without), Ok(Record::Snapshot(Box::new(snapshot(&state)))));
}

#[test]
fn a_provider_with_terms_stops_earlier_releases() {
    let plain = crate::built_in::providers().remove(0);
    let mut provider = plain.clone();
    provider.terms.license = "CC-BY-4.0".to_owned();
    let shared = |provider| ChangeRecord { change: Change::ProviderPut(provider), ..recorded() };
    let own = Change::provider_put("acme", provider.clone());
    for record in [shared(provider.clone()), ChangeRecord { change: own, ..recorded() }] {
        let mut state = State::default();
        state.apply(&record).unwrap();
        let snapshot = Snapshot { state, remaining_bytes: 5 };
        let bytes = [encode(record.clone()), encode_snapshot(&snapshot)];
        let records = [Record::Change(Box::new(record)), Record::Snapshot(Box::new(snapshot))];
        for (bytes, record) in bytes.into_iter().zip(records) {
            assert_eq!(decode_up_to(6, bytes.clone()), Err(Unreadable::Format { found: 7 }));
            assert_eq!(decode(bytes), Ok(record));
        }
    }
    assert!(encode(shared(plain)).starts_with(b"\x08\x01"), "without terms it is stored as before");
}

#[test]
fn what_a_tenant_changes_stops_earlier_releases() {
    use crate::flag::Flag;
    let ChangeRecord { change: Change::RulePut { ruleset, rule }, .. } = recorded() else { unreachable!() };
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
    let later = [b"\x08\x08", &RELEASE_0_1_0[2..]].concat();
    assert_eq!(decode(later.into()), Err(Unreadable::Format { found: 8 }));
    let fields = [RELEASE_0_1_0, b"\x9a\x06\x01x"].concat();
    assert_eq!(decode(fields.into()), Ok(Record::Change(Box::new(recorded()))), "unknown fields are ignored");
    assert_eq!(decode(Bytes::from_static(b"\x08\x01")), Err(Unreadable::Unknown));
    assert!(matches!(decode(Bytes::from_static(b"\xff")), Err(Unreadable::Malformed(_))));
}
