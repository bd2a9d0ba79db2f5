//! The stored format of entries.

use std::time::Duration;

use bytes::Bytes;
use dataflow_proto::cache::v1 as pb;
use dataflow_store::entries::Entry;
use dataflow_store::generations::Generation;
use prost::Message;
use tokio::time::Instant;

use crate::entry::{CachedEntry, New};
use crate::key::Namespace;

/// The format version that this release writes, and the newest that it reads.
const STORED_VERSION: u32 = 1;

/// Encodes an entry with the generations of its tags, in the same order.
pub(crate) fn encode(new: New, generations: &[Generation]) -> Bytes {
    let New { value, content_type, ttl: _, grace, tags } = new;
    let tags = tags.into_iter().zip(generations);
    let tags =
        tags.map(|(tag, generation)| pb::StoredTag { name: tag.name, generation: generation.number() });
    let grace_millis = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
    let stored =
        pb::StoredEntry { format: STORED_VERSION, value, content_type, tags: tags.collect(), grace_millis };
    stored.encode_to_vec().into()
}

/// Decodes an entry of a namespace; none if a later release or another application wrote it: an unreadable entry is a
/// cache miss.
pub(crate) fn decode(namespace: &Namespace, entry: Entry) -> Option<CachedEntry> {
    let stored =
        pb::StoredEntry::decode(entry.value).ok().filter(|stored| stored.format <= STORED_VERSION)?;
    let tag = |tag: pb::StoredTag| {
        Some((namespace.tag(&tag.name).ok()?.store_key, Generation::new(tag.generation)?))
    };
    let tags = stored.tags.into_iter().map(tag).collect::<Option<_>>()?;
    // This service never writes an entry without a time to live.
    let fresh = entry.ttl?.saturating_sub(Duration::from_millis(stored.grace_millis));
    let fresh_until = Instant::now() + fresh;
    let (value, content_type) = (stored.value, stored.content_type);
    Some(CachedEntry { value, content_type, revision: entry.revision, fresh_until, tags })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Caller;

    /// An entry of release 0.1.0.
    const RELEASE_0_1_0: &[u8] =
        b"\x08\x01\x12\x05hello\x1a\x0atext/plain\"\x10\x0a\x05istat\x11\xef\xcd\xab\x89\x67\x45\x23\x01\x28\x88\x27";

    fn namespace() -> Namespace {
        Caller::default().namespace("user").unwrap()
    }

    fn store_entry(value: &[u8], ttl: Option<Duration>) -> Entry {
        let revision = "00000000000000aa".parse().unwrap();
        Entry { value: Bytes::copy_from_slice(value), revision, ttl }
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_of_an_earlier_release_is_read() {
        let entry = decode(&namespace(), store_entry(RELEASE_0_1_0, Some(Duration::from_secs(7)))).unwrap();
        assert_eq!((&entry.value[..], entry.content_type.as_str()), (&b"hello"[..], "text/plain"));
        assert_eq!(entry.ttl(), Duration::from_secs(2), "stale for the last 5 s");
        let generation = "0123456789abcdef".parse().unwrap();
        assert_eq!(entry.tags, [(namespace().tag("istat").unwrap().store_key, generation)]);
    }

    #[test]
    fn the_encoding_is_that_of_the_earlier_release() {
        let new = New {
            value: Bytes::from_static(b"hello"),
            content_type: "text/plain".to_owned(),
            ttl: Duration::from_secs(2),
            grace: Duration::from_secs(5),
            tags: vec![namespace().tag("istat").unwrap()],
        };
        assert_eq!(encode(new, &["0123456789abcdef".parse().unwrap()]), RELEASE_0_1_0);
    }

    #[test]
    fn an_unreadable_entry_is_a_miss() {
        let ttl = Some(Duration::from_secs(7));
        assert!(decode(&namespace(), store_entry(RELEASE_0_1_0, ttl)).is_some());
        assert_eq!(decode(&namespace(), store_entry(RELEASE_0_1_0, None)), None);
        assert_eq!(decode(&namespace(), store_entry(&RELEASE_0_1_0[..RELEASE_0_1_0.len() - 1], ttl)), None);
        let later = [b"\x08\x02", &RELEASE_0_1_0[2..]].concat();
        assert_eq!(decode(&namespace(), store_entry(&later, ttl)), None);
    }
}
