//! The stored form of a state: the snapshot with which a trimmed log begins.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::stored_change::Change as Stored;
use prost::Message;

use super::KEY_VERSION;
use crate::Error;
use crate::change::Origin;
use crate::convert::{key, ruleset};
use crate::state::{ResourceVersion, Revision, State, VersionedKey, VersionedProvider, VersionedRuleset};

/// The format version of a snapshot without keys. A release that reads up to version 1 must not append to a log whose
/// beginning it cannot know.
const VERSION: u32 = 2;

/// The state at an earlier position of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The state. Of each rule set, it has the latest revision only.
    pub(crate) state: State,
    /// The bytes of the records between the position of the state and this record.
    pub(crate) remaining_bytes: u64,
}

/// Encodes a snapshot.
pub(crate) fn encode_snapshot(snapshot: &Snapshot) -> Bytes {
    let State { position, rulesets, providers, seen_providers, keys } = &snapshot.state;
    let stored = pb::StoredSnapshot {
        position: *position,
        remaining_bytes: snapshot.remaining_bytes,
        rulesets: rulesets.values().map(|ruleset| ruleset_to_wire(ruleset)).collect(),
        providers: providers.values().map(|provider| provider_to_wire(provider)).collect(),
        seen_providers: seen_providers.iter().cloned().collect(),
        keys: keys.values().map(|key| key_to_wire(key)).collect(),
    };
    let format = if keys.is_empty() { VERSION } else { KEY_VERSION };
    let time = Some(prost_types::Timestamp::from(SystemTime::now()));
    let change = Some(Stored::Snapshot(stored));
    pb::StoredChange { format, time, change, ..pb::StoredChange::default() }.encode_to_vec().into()
}

/// Decodes a snapshot.
pub(super) fn decode(stored: pb::StoredSnapshot) -> Result<Snapshot, Error> {
    let pb::StoredSnapshot { position, remaining_bytes, rulesets, providers, seen_providers, keys } = stored;
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
    let state = State {
        position,
        rulesets: rulesets.collect::<Result<_, Error>>()?,
        providers: providers.collect::<Result<_, Error>>()?,
        seen_providers: seen_providers.into_iter().collect(),
        keys: Arc::new(keys.collect::<Result<_, Error>>()?),
    };
    Ok(Snapshot { state, remaining_bytes })
}

fn ruleset_to_wire(versioned: &VersionedRuleset) -> pb::StoredRulesetState {
    let versions =
        versioned.rule_versions.iter().map(|(id, version)| version_to_wire(id, *version)).collect();
    let ruleset = Some(ruleset::to_wire(&versioned.set));
    let Some(latest) = versioned.revisions.last() else {
        return pb::StoredRulesetState { ruleset, versions, ..Default::default() };
    };
    let Origin { author, reason, request_id } = latest.origin.clone();
    let (position, time) = (latest.position, Some(latest.time.into()));
    pb::StoredRulesetState { ruleset, position, time, author, reason, request_id, versions }
}

fn ruleset_from_wire(stored: pb::StoredRulesetState) -> Result<VersionedRuleset, Error> {
    let pb::StoredRulesetState { ruleset, position, time, author, reason, request_id, versions } = stored;
    let set = ruleset::from_wire(ruleset.unwrap_or_default())?;
    let revision = Revision {
        revision: set.revision,
        position,
        time: time_from_wire(time),
        origin: Origin { author, reason, request_id },
        differences: Vec::new(),
    };
    let rule_versions = versions.into_iter().map(version_from_wire).collect();
    Ok(VersionedRuleset { set: Arc::new(set), rule_versions, revisions: vec![Arc::new(revision)] })
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

fn version_to_wire(id: &str, version: ResourceVersion) -> pb::StoredVersion {
    let ResourceVersion { position, created, updated } = version;
    pb::StoredVersion {
        id: id.to_owned(),
        position,
        created: Some(created.into()),
        updated: Some(updated.into()),
    }
}

fn version_from_wire(stored: pb::StoredVersion) -> (String, ResourceVersion) {
    let pb::StoredVersion { id, position, created, updated } = stored;
    let (created, updated) = (time_from_wire(created), time_from_wire(updated));
    (id, ResourceVersion { position, created, updated })
}

fn time_from_wire(time: Option<prost_types::Timestamp>) -> SystemTime {
    time.and_then(|time| SystemTime::try_from(time).ok()).unwrap_or(SystemTime::UNIX_EPOCH)
}
