//! Audited reads on the wire and in the store.

use dataflow_proto::config::v1 as pb;

use super::refusal::required_time;
use super::{invalid, timestamp};
use crate::Error;
use crate::audited_read::AuditedRead;
use crate::key::KEY_SUBJECT;

/// The wire form of a read.
pub(crate) fn to_wire(read: &AuditedRead) -> pb::AuditedRead {
    let AuditedRead { time, subject, tenant, peer, request_id, action, resource, left_out } = read.clone();
    let (time, left_out) = (timestamp(time), i64::try_from(left_out).unwrap_or(i64::MAX));
    let key_id = subject.strip_prefix(KEY_SUBJECT).unwrap_or_default().to_owned();
    pb::AuditedRead { time, subject, tenant, key_id, peer, request_id, action, resource, left_out }
}

/// Reads the stored form of a read.
///
/// # Errors
///
/// [`Error::FieldInvalid`] if it has no time, or its count is negative.
pub(crate) fn from_wire(read: pb::AuditedRead) -> Result<AuditedRead, Error> {
    let pb::AuditedRead { time, subject, tenant, key_id: _, peer, request_id, action, resource, left_out } =
        read;
    let time = required_time(time, "time")?;
    let left_out = u64::try_from(left_out).map_err(|_| invalid("left_out", "must not be negative"))?;
    Ok(AuditedRead { time, subject, tenant, peer, request_id, action, resource, left_out })
}
