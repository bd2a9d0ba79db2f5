//! Flags on the wire and in the store.

use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::flag::Rollout as Wire;

use super::timestamp;
use crate::flag::{Flag, Rollout, describe};
use crate::state::VersionedFlag;

/// The etag of a flag that was never set: no change has this position.
pub(crate) const NEVER_SET: &str = "0";

/// The wire form of a flag, without what is known of its last change.
pub(crate) fn to_wire(flag: &Flag) -> pb::Flag {
    let rollout = match flag.rollout {
        Rollout::All(enabled) => Wire::Enabled(enabled),
        Rollout::Percentage(percentage) => Wire::Percentage(percentage.into()),
    };
    let (flag_id, tenants) = (flag.flag_id.clone(), flag.tenants.clone());
    pb::Flag { flag_id, rollout: Some(rollout), tenants, ..pb::Flag::default() }
}

/// The wire form of a flag for people, with what is known of its last change.
pub(crate) fn flag(flag: &Flag, set: Option<&VersionedFlag>) -> pb::Flag {
    // A later release may have set one that this release does not know.
    let description = describe(&flag.flag_id).unwrap_or_default().to_owned();
    let etag = set.map_or_else(|| NEVER_SET.to_owned(), |set| set.version.etag());
    let update_time = set.and_then(|set| timestamp(set.version.updated));
    pb::Flag { description, etag, update_time, ..to_wire(flag) }
}

/// Reads a flag; without a rollout, it is off. What is no percentage becomes one that is not valid.
pub(crate) fn from_wire(flag: pb::Flag) -> Flag {
    let rollout = match flag.rollout {
        None => Rollout::All(false),
        Some(Wire::Enabled(enabled)) => Rollout::All(enabled),
        Some(Wire::Percentage(percentage)) => Rollout::Percentage(percentage.try_into().unwrap_or(u8::MAX)),
    };
    Flag { flag_id: flag.flag_id, rollout, tenants: flag.tenants }
}
