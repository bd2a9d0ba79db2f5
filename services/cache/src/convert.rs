//! Conversion between wire and domain types.

use std::time::Duration;

use bytes::Bytes;
use dataflow_mesh::identity::Identity;
use dataflow_mesh::rate::{MAX_INTERVAL, MAX_PERMITS, RateLimit};
use dataflow_proto::cache::v1 as pb;
use dataflow_store::generations::Generation;
use dataflow_store::leases::Token;
use dataflow_store::permits::Taken;
use dataflow_store::revision::Revision;

use crate::Error;
use crate::args::CacheArgs;
use crate::entries::Over;
use crate::entry::{CachedEntry, New};
use crate::key::{Caller, Key, KeyError, Namespace, Tag, check_characters};
use crate::lease::LeaseOptions;
use crate::permits::{self, Take};
use crate::stats::Stats;

/// Shortest time to live of an entry, and of a lease: the resolution of the store.
const MIN_TTL: Duration = Duration::from_millis(1);

/// The longest key of a rate limit, in bytes.
const MAX_PERMITS_KEY: usize = 128;

/// The shortest time between two permits.
const MIN_INTERVAL: Duration = Duration::from_micros(1);

/// The default duration of a lease.
const DEFAULT_HOLD: Duration = Duration::from_secs(30);

/// Longest media type, in bytes.
const MAX_CONTENT_TYPE: usize = 255;

/// The default media type.
const DEFAULT_CONTENT_TYPE: &str = "application/octet-stream";

/// A request to write an entry.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) key: Key,
    pub(crate) new: New,
    /// In the order of the tags; none to use the current generations.
    pub(crate) generations: Option<Vec<Generation>>,
    pub(crate) over: Over,
}

/// The caller of a request.
pub(crate) fn caller(identity: Identity) -> Caller {
    Caller { tenant: identity.tenant, internal: identity.is_peer }
}

pub(crate) fn key(caller: &Caller, text: &str, field: &str) -> Result<Key, Error> {
    caller.key(text).map_err(|problem| Error::KeyInvalid { field: field.to_owned(), problem })
}

/// Parses the keys of a batch.
pub(crate) fn keys(caller: &Caller, texts: &[String], limit: usize) -> Result<Vec<Key>, Error> {
    at_most("keys", texts.len(), limit)?;
    texts.iter().enumerate().map(|(index, text)| key(caller, text, &format!("keys[{index}]"))).collect()
}

pub(crate) fn namespace(caller: &Caller, name: &str) -> Result<Namespace, Error> {
    caller.namespace(name).map_err(|problem| Error::KeyInvalid { field: "namespace".to_owned(), problem })
}

/// Parses the tags of a field.
pub(crate) fn tags(
    namespace: &Namespace,
    names: &[String],
    field: &'static str,
    args: &CacheArgs,
) -> Result<Vec<Tag>, Error> {
    at_most(field, names.len(), args.max_tags)?;
    let tag = |(index, name): (usize, &String)| {
        namespace
            .tag(name)
            .map_err(|problem| Error::TagInvalid { field: format!("{field}[{index}]"), problem })
    };
    names.iter().enumerate().map(tag).collect()
}

/// Validates a request to write an entry.
pub(crate) fn write(caller: &Caller, request: pb::SetEntryRequest, args: &CacheArgs) -> Result<Write, Error> {
    let pb::SetEntryRequest { entry, token: lease, generations } = request;
    let entry = entry.ok_or(Error::EntryMissing)?;
    let pb::Entry { key: name, value, content_type, ttl, tags: names, grace, etag, stale: _ } = entry;
    let key = key(caller, &name, "entry.key")?;
    let limit = args.max_entry_bytes.as_u64();
    if value.len() as u64 > limit {
        return Err(Error::EntryTooLarge { size: value.len(), limit });
    }
    let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if content_type.len() > MAX_CONTENT_TYPE || !content_type.bytes().all(printable) {
        return Err(Error::ContentTypeInvalid);
    }
    let tags = tags(key.namespace(), &names, "entry.tags", args)?;
    let generations = if generations.is_empty() { None } else { Some(generations_of(&tags, generations)?) };
    let over = match (lease.is_empty(), version(&etag, "entry.etag")?) {
        (true, None) => Over::Anything,
        (true, Some(version)) => Over::Version(version),
        (false, None) => Over::Lease(token(&lease)?),
        (false, Some(_)) => {
            let problem = "must be empty with a lease: any write of another caller ends the lease";
            return Err(Error::TokenInvalid { field: "entry.etag", problem });
        }
    };
    let new = New {
        // Copied: the received bytes are a slice of a transport buffer, and would keep all of it in memory.
        value: Bytes::copy_from_slice(&value),
        content_type: if content_type.is_empty() { DEFAULT_CONTENT_TYPE.to_owned() } else { content_type },
        ttl: duration(
            ttl,
            args.default_ttl.clamp(MIN_TTL, args.max_ttl),
            "entry.ttl",
            MIN_TTL,
            args.max_ttl,
        )?,
        grace: duration(grace, Duration::ZERO, "entry.grace", Duration::ZERO, args.max_ttl)?,
        tags,
    };
    Ok(Write { key, new, generations, over })
}

/// The options of a lease request.
pub(crate) fn lease_options(
    request: &pb::LeaseEntryRequest,
    args: &CacheArgs,
) -> Result<LeaseOptions, Error> {
    Ok(LeaseOptions {
        hold: duration(request.hold, DEFAULT_HOLD.min(args.max_lease), "hold", MIN_TTL, args.max_lease)?,
        wait: duration(request.wait, Duration::ZERO, "wait", Duration::ZERO, args.max_lease)?,
        accept_stale: request.accept_stale,
    })
}

pub(crate) fn token(text: &str) -> Result<Token, Error> {
    text.parse()
        .map_err(|_| Error::TokenInvalid { field: "token", problem: "was not issued by this service" })
}

/// The version of an etag; none if it is empty.
pub(crate) fn version(text: &str, field: &'static str) -> Result<Option<Revision>, Error> {
    let invalid = |_| Error::TokenInvalid { field, problem: "was not issued by this service" };
    (!text.is_empty()).then(|| text.parse().map_err(invalid)).transpose()
}

/// The generations of these tags, in the order of the tags.
fn generations_of(tags: &[Tag], given: Vec<pb::TagGeneration>) -> Result<Vec<Generation>, Error> {
    let invalid = |problem| Error::TokenInvalid { field: "generations", problem };
    let of = |tag: &Tag| {
        let found = given.iter().find(|given| given.tag == tag.name);
        let found = found.ok_or(invalid("must have one for each tag of the entry"))?;
        found.generation.parse().map_err(|_| invalid("has one that was not issued by this service"))
    };
    tags.iter().map(of).collect()
}

/// Validates a request for permits.
pub(crate) fn take(request: &pb::TakePermitsRequest) -> Result<Take, Error> {
    let pb::TakePermitsRequest { key, interval, burst, permits } = request;
    let invalid = |problem| Error::KeyInvalid { field: "key".to_owned(), problem };
    if key.is_empty() || key.len() > MAX_PERMITS_KEY {
        return Err(invalid(KeyError::Length { length: key.len(), max: MAX_PERMITS_KEY }));
    }
    check_characters(key).map_err(invalid)?;
    // Without one it is below the least.
    let interval = duration(*interval, Duration::ZERO, "interval", MIN_INTERVAL, MAX_INTERVAL)?;
    let limit = RateLimit { interval, burst: number(*burst, "burst", MAX_PERMITS)? };
    Ok(Take { key: permits::key(key), limit, most: number(*permits, "permits", MAX_PERMITS)? })
}

/// The wire form of permits that were taken.
pub(crate) fn taken(taken: Taken) -> pb::TakePermitsResponse {
    pb::TakePermitsResponse {
        permits: i32::try_from(taken.permits).unwrap_or(i32::MAX),
        total: i64::try_from(taken.total).unwrap_or(i64::MAX),
        wait: wire_duration(taken.wait),
    }
}

/// A number from 1 to `max`.
fn number(given: i32, field: &'static str, max: u32) -> Result<u32, Error> {
    let given = u32::try_from(given).ok().filter(|given| (1..=max).contains(given));
    given.ok_or(Error::NumberInvalid { field, max })
}

fn at_most(field: &'static str, count: usize, limit: usize) -> Result<(), Error> {
    if count > limit { Err(Error::TooMany { field, count, limit }) } else { Ok(()) }
}

fn duration(
    given: Option<prost_types::Duration>,
    default: Duration,
    field: &'static str,
    min: Duration,
    max: Duration,
) -> Result<Duration, Error> {
    let invalid = || Error::TtlInvalid { field, min, max };
    let given = match given {
        None => default,
        // Not left to the conversion, which cannot negate the lowest number.
        Some(given) if given.seconds < 0 => return Err(invalid()),
        Some(given) => Duration::try_from(given).map_err(|_| invalid())?,
    };
    if (min..=max).contains(&given) { Ok(given) } else { Err(invalid()) }
}

/// The wire form of an entry.
pub(crate) fn entry(key: &Key, entry: CachedEntry) -> pb::Entry {
    let ttl = entry.ttl();
    let CachedEntry { value, content_type, revision, fresh_until: _, tags } = entry;
    let name = |store_key: &dataflow_store::key::Key| {
        store_key.name.split_once('/').map(|(_, name)| name).unwrap_or_default().to_owned()
    };
    pb::Entry {
        key: key.to_string(),
        value,
        content_type,
        ttl: wire_duration(ttl),
        tags: tags.iter().map(|(store_key, _)| name(store_key)).collect(),
        grace: None,
        etag: revision.to_string(),
        stale: false,
    }
}

/// A duration on the wire. Never fails, because durations here are limited to days.
pub(crate) fn wire_duration(duration: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(duration).ok()
}

/// The wire form of tags and their generations, both in the same order.
pub(crate) fn generations(tags: &[Tag], generations: &[Generation]) -> Vec<pb::TagGeneration> {
    let pairs = tags.iter().zip(generations);
    let wire = |(tag, generation): (&Tag, &Generation)| pb::TagGeneration {
        tag: tag.name.clone(),
        generation: generation.to_string(),
    };
    pairs.map(wire).collect()
}

/// The wire form of the statistics.
pub(crate) fn stats(stats: Stats) -> pb::GetStatsResponse {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    pb::GetStatsResponse {
        first_level_hits: count(stats.l1_hits),
        store_hits: count(stats.store_hits),
        stale_hits: count(stats.stale_hits),
        misses: count(stats.misses),
        degraded_reads: count(stats.degraded_reads),
        hit_rate: stats.hit_rate(),
        first_level_entries: count(stats.l1_entries),
        first_level_bytes: count(stats.l1_bytes),
        first_level_trusted: stats.l1_coherent,
    }
}
