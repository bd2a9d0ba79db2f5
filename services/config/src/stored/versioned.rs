//! The stored form of rule sets and of versions, with what is known of their past.

use std::sync::Arc;
use std::time::SystemTime;

use dataflow_proto::config::v1 as pb;

use crate::Error;
use crate::change::Origin;
use crate::convert::ruleset;
use crate::state::{History, ResourceVersion, Revision, VersionedRuleset};

pub(super) fn ruleset_to_wire(versioned: &VersionedRuleset) -> pb::StoredRulesetState {
    let history = history_to_wire(&versioned.history);
    let pb::StoredHistory { revision: _, position, time, author, reason, request_id, peer, versions } =
        history;
    let ruleset = Some(ruleset::to_wire(&versioned.set));
    pb::StoredRulesetState { ruleset, position, time, author, reason, request_id, versions, peer }
}

pub(super) fn ruleset_from_wire(stored: pb::StoredRulesetState) -> Result<VersionedRuleset, Error> {
    let pb::StoredRulesetState { ruleset, position, time, author, reason, request_id, versions, peer } =
        stored;
    let set = ruleset::from_wire(ruleset.unwrap_or_default())?;
    let revision = set.revision;
    let stored = pb::StoredHistory { revision, position, time, author, reason, request_id, peer, versions };
    Ok(VersionedRuleset { set: Arc::new(set), history: history_from_wire(stored) })
}

/// The latest revision, and the versions; a past without revisions is at revision 0.
pub(super) fn history_to_wire(history: &History) -> pb::StoredHistory {
    let versions = history.versions.iter().map(|(id, version)| version_to_wire(id, *version)).collect();
    let Some(latest) = history.revisions.last() else {
        return pb::StoredHistory { versions, ..Default::default() };
    };
    let Revision { revision, position, time, origin, differences: _ } = Revision::clone(latest);
    let (Origin { author, reason, peer, request_id }, time) = (origin, Some(time.into()));
    pb::StoredHistory { revision, position, time, author, reason, request_id, peer, versions }
}

pub(super) fn history_from_wire(stored: pb::StoredHistory) -> History {
    let pb::StoredHistory { revision, position, time, author, reason, request_id, peer, versions } = stored;
    let latest = Revision {
        revision,
        position,
        time: time_from_wire(time),
        origin: Origin { author, reason, peer, request_id },
        differences: Vec::new(),
    };
    let versions = versions.into_iter().map(version_from_wire).collect();
    History { versions, revisions: vec![Arc::new(latest)] }
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
