//! The stored form of a state: the snapshot with which a trimmed log begins.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::stored_change::Change as Stored;
use prost::Message;

use super::versioned::{ruleset_from_wire, ruleset_to_wire, version_from_wire, version_to_wire};
use super::{KEY_RATE_VERSION, KEY_VERSION, TENANT_VERSION, TERMS_VERSION, THEME_VERSION, tenant, themes};
use crate::Error;
use crate::convert::{flag, key};
use crate::provider::Terms;
use crate::state::{OwnProvider, State, Tenant, VersionedFlag, VersionedKey, VersionedProvider};

/// The format version of a snapshot without keys, flags, themes and changes of tenants. A release that reads up to version 1 must not append to a log whose
/// beginning it cannot know.
const VERSION: u32 = 2;

/// The state at an earlier position of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The state. Of each rule set, and of a tenant's changes to it, it has the latest revision only.
    pub(crate) state: State,
    /// The bytes of the records between the position of the state and this record.
    pub(crate) remaining_bytes: u64,
}

/// Encodes a snapshot.
pub(crate) fn encode_snapshot(snapshot: &Snapshot) -> Bytes {
    let State { position, rulesets, themes: mapping, providers, seen_providers, keys, tenants, flags } =
        &snapshot.state;
    let stored = pb::StoredSnapshot {
        position: *position,
        remaining_bytes: snapshot.remaining_bytes,
        rulesets: rulesets.values().map(|ruleset| ruleset_to_wire(ruleset)).collect(),
        providers: providers.values().map(|provider| provider_to_wire(provider)).collect(),
        seen_providers: seen_providers.iter().cloned().collect(),
        keys: keys.values().map(|key| key_to_wire(key)).collect(),
        overlays: tenants.iter().flat_map(|(name, own)| tenant::overlays_to_wire(name, own)).collect(),
        own_providers: tenants.iter().flat_map(|(name, own)| tenant::providers_to_wire(name, own)).collect(),
        flags: flags.values().map(|flag| flag_to_wire(flag)).collect(),
        themes: themes::state_to_wire(mapping),
        theme_overlays: tenants.iter().filter_map(|(name, own)| themes::overlay_to_wire(name, own)).collect(),
    };
    let own = tenants.values().flat_map(|own| own.providers.values());
    let own = own.filter_map(|own| match own {
        OwnProvider::Put(own) => Some(&own.provider),
        OwnProvider::Removed(_) => None,
    });
    let mut all = providers.values().map(|known| &known.provider).chain(own);
    let format = match () {
        () if all.any(|provider| provider.terms != Terms::default()) => TERMS_VERSION,
        () if keys.values().any(|known| known.key.rate.is_some()) => KEY_RATE_VERSION,
        // Tenants change the mapping only once it is stored.
        () if stored.themes.is_some() => THEME_VERSION,
        () if !tenants.is_empty() || !flags.is_empty() => TENANT_VERSION,
        () if !keys.is_empty() => KEY_VERSION,
        () => VERSION,
    };
    let time = Some(prost_types::Timestamp::from(SystemTime::now()));
    let change = Some(Stored::Snapshot(stored));
    pb::StoredChange { format, time, change, ..pb::StoredChange::default() }.encode_to_vec().into()
}

/// Decodes a snapshot.
pub(super) fn decode(stored: pb::StoredSnapshot) -> Result<Snapshot, Error> {
    let pb::StoredSnapshot {
        position,
        remaining_bytes,
        rulesets,
        providers,
        seen_providers,
        keys,
        overlays,
        own_providers,
        flags,
        themes: mapping,
        theme_overlays,
    } = stored;
    let rulesets = rulesets.into_iter().map(|stored| {
        let ruleset = ruleset_from_wire(stored)?;
        Ok((ruleset.set.name.clone(), Arc::new(ruleset)))
    });
    let providers = providers.into_iter().map(|stored| {
        let provider = provider_from_wire(stored)?;
        Ok((provider.provider.provider_id.clone(), Arc::new(provider)))
    });
    let keys = keys.into_iter().map(|stored| {
        let key = key_from_wire(stored)?;
        Ok((key.key.key_id.clone(), Arc::new(key)))
    });
    let flags = flags.into_iter().map(|stored| {
        let flag = flag_from_wire(stored);
        (flag.flag.flag_id.clone(), Arc::new(flag))
    });
    let mut tenants: BTreeMap<String, Tenant> = BTreeMap::new();
    for overlay in overlays {
        let tenant = tenants.entry(overlay.tenant.clone()).or_default();
        tenant::overlay_from_wire(overlay, tenant)?;
    }
    for overlay in theme_overlays {
        let tenant = tenants.entry(overlay.tenant.clone()).or_default();
        themes::overlay_from_wire(overlay, tenant)?;
    }
    for provider in own_providers {
        let tenant = tenants.entry(provider.tenant.clone()).or_default();
        tenant::provider_from_wire(provider, tenant)?;
    }
    let state = State {
        position,
        rulesets: rulesets.collect::<Result<_, Error>>()?,
        themes: Arc::new(themes::state_from_wire(mapping)?),
        providers: providers.collect::<Result<_, Error>>()?,
        seen_providers: seen_providers.into_iter().collect(),
        keys: Arc::new(keys.collect::<Result<_, Error>>()?),
        tenants: Arc::new(tenants.into_iter().map(|(name, own)| (name, Arc::new(own))).collect()),
        flags: Arc::new(flags.collect()),
    };
    Ok(Snapshot { state, remaining_bytes })
}

fn provider_to_wire(versioned: &VersionedProvider) -> pb::StoredProviderState {
    let VersionedProvider { provider, version } = versioned;
    let version = version_to_wire(&provider.provider_id, *version);
    pb::StoredProviderState { provider: Some(provider.into()), version: Some(version) }
}

fn provider_from_wire(stored: pb::StoredProviderState) -> Result<VersionedProvider, Error> {
    let provider = stored.provider.unwrap_or_default().try_into()?;
    let (_, version) = version_from_wire(stored.version.unwrap_or_default());
    Ok(VersionedProvider { provider, version })
}

fn key_to_wire(versioned: &VersionedKey) -> pb::StoredKeyState {
    let VersionedKey { key, version } = versioned;
    let version = version_to_wire(&key.key_id, *version);
    pb::StoredKeyState { key: Some(key::to_stored(key)), version: Some(version) }
}

fn key_from_wire(stored: pb::StoredKeyState) -> Result<VersionedKey, Error> {
    let key = key::from_stored(stored.key.unwrap_or_default())?;
    let (_, version) = version_from_wire(stored.version.unwrap_or_default());
    Ok(VersionedKey { key, version })
}

fn flag_to_wire(versioned: &VersionedFlag) -> pb::StoredFlagState {
    let VersionedFlag { flag, version } = versioned;
    let version = Some(version_to_wire(&flag.flag_id, *version));
    pb::StoredFlagState { flag: Some(flag::to_wire(flag)), version }
}

fn flag_from_wire(stored: pb::StoredFlagState) -> VersionedFlag {
    let (_, version) = version_from_wire(stored.version.unwrap_or_default());
    VersionedFlag { flag: flag::from_wire(stored.flag.unwrap_or_default()), version }
}
