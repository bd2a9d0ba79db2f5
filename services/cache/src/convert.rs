//! Between the wire and the domain.

use std::time::Duration;

use bytes::Bytes;
use dataflow_proto::cache::v1 as pb;
use dataflow_store::entries::Entry;

use crate::Error;
use crate::args::CacheArgs;
use crate::key::Key;

/// Longest time to live.
const MAX_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Shortest time to live.
const MIN_TTL: Duration = Duration::from_millis(1);

/// Longest media type, in bytes.
const MAX_CONTENT_TYPE: usize = 255;

/// Media type of a value whose writer names none.
const OCTETS: &str = "application/octet-stream";

pub(crate) fn key(text: &str, field: &'static str) -> Result<Key, Error> {
    text.parse().map_err(|problem| Error::KeyInvalid { field, problem })
}

/// Checks an entry that somebody wants kept.
pub(crate) fn entry(given: Option<pb::Entry>, args: &CacheArgs) -> Result<(Key, Entry), Error> {
    let pb::Entry { key: name, value, content_type, ttl } = given.ok_or(Error::EntryMissing)?;
    let key = key(&name, "entry.key")?;
    let limit = args.max_entry_bytes.as_u64();
    if value.len() as u64 > limit {
        return Err(Error::EntryTooLarge { size: value.len(), limit });
    }
    let ttl = match ttl {
        Some(ttl) => Duration::try_from(ttl).map_err(|_| Error::TtlInvalid)?,
        None => args.default_ttl,
    };
    if !(MIN_TTL..=MAX_TTL).contains(&ttl) {
        return Err(Error::TtlInvalid);
    }
    let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if content_type.len() > MAX_CONTENT_TYPE || !content_type.bytes().all(printable) {
        return Err(Error::ContentTypeInvalid);
    }
    let content_type = if content_type.is_empty() { OCTETS.to_owned() } else { content_type };
    // What was received is a slice of a transport's buffer, and would keep all of it.
    let value = Bytes::copy_from_slice(&value);
    Ok((key, Entry { value, content_type, expires: tokio::time::Instant::now() + ttl }))
}

/// An entry as a reader sees it.
pub(crate) fn to_wire(key: &Key, entry: Entry) -> pb::Entry {
    // A Duration of at most 30 days always fits.
    let ttl = prost_types::Duration::try_from(entry.ttl()).ok();
    pb::Entry { key: key.to_string(), ttl, value: entry.value, content_type: entry.content_type }
}
