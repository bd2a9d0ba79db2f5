//! The stored form of rule sets and of versions, with what is known of their past.

use std::sync::Arc;
use std::time::SystemTime;

use dataflow_proto::config::v1 as pb;

use crate::Error;
use crate::change::Origin;
use crate::convert::ruleset;
use crate::state::{History, ResourceVersion, Revision, VersionedRuleset};

pub(super) fn ruleset_to_wire(versioned: &VersionedRuleset) -> pb::StoredRulesetState {
    let versions =
        versioned.history.rule_versions.iter().map(|(id, version)| version_to_wire(id, *version)).collect();
    let ruleset = Some(ruleset::to_wire(&versioned.set));
    let Some(latest) = versioned.history.revisions.last() else {
        return pb::StoredRulesetState { ruleset, versions, ..Default::default() };
    };
    let Origin { author, reason, peer, request_id } = latest.origin.clone();
    let (position, time) = (latest.position, Some(latest.time.into()));
    pb::StoredRulesetState { ruleset, position, time, author, reason, request_id, versions, peer }
}

pub(super) fn ruleset_from_wire(stored: pb::StoredRulesetState) -> Result<VersionedRuleset, Error> {
    let pb::StoredRulesetState { ruleset, position, time, author, reason, request_id, versions, peer } =
        stored;
    let set = ruleset::from_wire(ruleset.unwrap_or_default())?;
    let revision = Revision {
        revision: set.revision,
        position,
        time: time_from_wire(time),
        origin: Origin { author, reason, peer, request_id },
        differences: Vec::new(),
    };
    let rule_versions = versions.into_iter().map(version_from_wire).collect();
    let history = History { rule_versions, revisions: vec![Arc::new(revision)] };
    Ok(VersionedRuleset { set: Arc::new(set), history })
}

pub(super) fn version_to_wire(id: &str, version: ResourceVersion) -> pb::StoredVersion {
    let ResourceVersion { position, created, updated } = version;
    pb::StoredVersion {
        id: id.to_owned(),
        position,
        created: Some(created.into()),
        updated: Some(updated.into()),
    }
}

pub(super) fn version_from_wire(stored: pb::StoredVersion) -> (String, ResourceVersion) {
    let pb::StoredVersion { id, position, created, updated } = stored;
    let (created, updated) = (time_from_wire(created), time_from_wire(updated));
    (id, ResourceVersion { position, created, updated })
}

fn time_from_wire(time: Option<prost_types::Timestamp>) -> SystemTime {
    time.and_then(|time| SystemTime::try_from(time).ok()).unwrap_or(SystemTime::UNIX_EPOCH)
}
