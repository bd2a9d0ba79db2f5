//! API keys on the wire and in the store.

use std::time::{Duration, SystemTime};

use dataflow_mesh::access::Scope;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::mesh::v1 as mesh;

use super::timestamp;
use crate::Error;
use crate::key::{Key, KeyRate, invalid};
use crate::state::VersionedKey;

/// The last second that JSON can state: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// The wire form of a key, with its version.
pub(crate) fn key(registered: &VersionedKey) -> pb::ApiKey {
    let VersionedKey { key, version } = registered;
    pb::ApiKey { create_time: timestamp(version.created), etag: version.etag(), ..key_to_wire(key) }
}

/// The form of a key that the gateway watches.
pub(crate) fn watched(key: &Key) -> pb::WatchedKey {
    pb::WatchedKey {
        digest: key.digest.to_vec().into(),
        key_id: key.key_id.clone(),
        scope: mesh::Scope::from(key.scope).into(),
        tenant: key.tenant.clone(),
        subject: key.subject(),
        expire_time: key.expires.and_then(timestamp),
        rate_limit: rate_limit(key),
        rate_burst: rate_burst(key),
    }
}

/// The stored form of a key.
pub(crate) fn to_stored(key: &Key) -> pb::StoredKey {
    pb::StoredKey { key: Some(key_to_wire(key)), digest: key.digest.to_vec().into() }
}

/// Reads the stored form of a key.
///
/// # Errors
///
/// [`Error::KeyInvalid`].
pub(crate) fn from_stored(stored: pb::StoredKey) -> Result<Key, Error> {
    let pb::StoredKey { key, digest } = stored;
    let key = key.unwrap_or_default();
    Ok(Key {
        scope: scope(key.scope)?,
        expires: key.expire_time.map(time).transpose()?,
        rate: KeyRate::read(&key.rate_limit, key.rate_burst)?,
        digest: digest.as_ref().try_into().map_err(|_| invalid("digest", "must be 32 bytes"))?,
        key_id: key.key_id,
        display_name: key.display_name,
        tenant: key.tenant,
        creator: key.creator,
    })
}

/// The scope that a request names.
///
/// # Errors
///
/// [`Error::KeyInvalid`] if it is missing, or no scope of callers.
pub(crate) fn scope(number: i32) -> Result<Scope, Error> {
    Scope::from_wire(number).ok_or_else(|| invalid("scope", "must be READ, WRITE or ADMIN"))
}

/// The time at which a key expires.
///
/// # Errors
///
/// [`Error::KeyInvalid`] if it is no time, or after the year 9999.
pub(crate) fn time(time: prost_types::Timestamp) -> Result<SystemTime, Error> {
    let is_time = (0..1_000_000_000).contains(&time.nanos) && (0..=LAST_SECOND).contains(&time.seconds);
    let time = is_time.then(|| SystemTime::try_from(time).ok()).flatten();
    time.ok_or_else(|| invalid("expire_time", "must be a time between the years 1970 and 9999"))
}

/// The time for which a key is valid.
///
/// # Errors
///
/// [`Error::KeyInvalid`] if it is negative or malformed.
pub(crate) fn ttl(ttl: prost_types::Duration) -> Result<Duration, Error> {
    let nanos = u32::try_from(ttl.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let read = u64::try_from(ttl.seconds).ok().zip(nanos);
    let (seconds, nanos) = read.ok_or_else(|| invalid("ttl", "must be a positive duration"))?;
    Ok(Duration::new(seconds, nanos))
}

fn key_to_wire(key: &Key) -> pb::ApiKey {
    pb::ApiKey {
        key_id: key.key_id.clone(),
        display_name: key.display_name.clone(),
        scope: mesh::Scope::from(key.scope).into(),
        tenant: key.tenant.clone(),
        expire_time: key.expires.and_then(timestamp),
        creator: key.creator.clone(),
        rate_limit: rate_limit(key),
        rate_burst: rate_burst(key),
        ..pb::ApiKey::default()
    }
}

/// The rate of a key; empty without one.
fn rate_limit(key: &Key) -> String {
    key.rate.map(|own| own.rate.to_string()).unwrap_or_default()
}

/// The burst of a key; 0 without one.
fn rate_burst(key: &Key) -> i32 {
    key.rate.and_then(|own| own.burst).and_then(|burst| i32::try_from(burst).ok()).unwrap_or_default()
}
