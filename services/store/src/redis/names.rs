//! Names of keys and channels in Redis. All have the prefix, so that installations can share a database, and a hash
//! tag, so that in a Cluster all keys of a script are in one slot.

use std::sync::LazyLock;

use crc16::{State, XMODEM};

use crate::collections::ContentId;
use crate::key::{BUCKETS, Key, Space};

/// The number of hash slots in a Redis Cluster.
const SLOTS: u16 = 16384;

/// The hash tag of each bucket: the smallest number whose slot is in that bucket's share of all slots. Buckets are
/// thereby spread evenly over primaries, which usually have contiguous ranges.
static HASH_TAGS: LazyLock<[u16; BUCKETS]> = LazyLock::new(|| {
    std::array::from_fn(|bucket| {
        let is_in_share =
            |tag: &u16| usize::from(slot(&tag.to_string())) * BUCKETS / usize::from(SLOTS) == bucket;
        (0..=u16::MAX).find(is_in_share).expect("65,536 numbers hash into every 64th of the slots")
    })
});

/// Names with one prefix.
#[derive(Debug, Clone)]
pub(super) struct KeyNames {
    prefix: String,
}

// === impl KeyNames ===

impl KeyNames {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The name of a key's value.
    pub(super) fn entry(&self, key: &Key) -> String {
        self.in_bucket(key.bucket(), &format!("{}:{}", key.space.name, key.name))
    }

    /// The name of a key's lease.
    pub(super) fn lease(&self, key: &Key) -> String {
        self.in_bucket(key.bucket(), &format!("lease:{}:{}", key.space.name, key.name))
    }

    /// The name of a tag's generation.
    pub(super) fn generation(&self, tag: &Key) -> String {
        self.in_bucket(tag.bucket(), &format!("generation:{}:{}", tag.space.name, tag.name))
    }

    /// The name of the state of a rate limit.
    pub(super) fn permits(&self, key: &Key) -> String {
        self.in_bucket(key.bucket(), &format!("permits:{}:{}", key.space.name, key.name))
    }

    /// The names of a log, of the position of its last record, and of an idempotency id.
    pub(super) fn log(&self, log: &Key, id: &str) -> [String; 3] {
        let name = format!("log:{}:{}", log.space.name, log.name);
        let [last, id] = [format!("{name}:last"), format!("{name}:id:{id}")];
        [name, last, id].map(|name| self.in_bucket(log.bucket(), &name))
    }

    /// The names of a collection's items, and of its version.
    pub(super) fn collection(&self, collection: &Key) -> [String; 2] {
        let name = format!("collection:{}:{}", collection.space.name, collection.name);
        let version = format!("{name}:version");
        [name, version].map(|name| self.in_bucket(collection.bucket(), &name))
    }

    /// The name of a content of a collection.
    pub(super) fn content(&self, collection: &Key, content: ContentId) -> String {
        let name = format!("collection:{}:{}:content:{content}", collection.space.name, collection.name);
        self.in_bucket(collection.bucket(), &name)
    }

    /// The name of a bucket's version counter.
    pub(super) fn version_counter(&self, bucket: usize) -> String {
        self.in_bucket(bucket, "changes")
    }

    /// The pub/sub channel of all messages.
    pub(super) fn channel(&self) -> String {
        format!("{}signals", self.prefix)
    }

    /// A SCAN pattern for the keys of a space whose names begin with `prefix`.
    pub(super) fn pattern(&self, space: Space, prefix: &str) -> String {
        let literal = |text: &str| {
            text.chars().fold(String::new(), |mut escaped, each| {
                if "*?[]\\^-".contains(each) {
                    escaped.push('\\');
                }
                escaped.push(each);
                escaped
            })
        };
        format!("{}{{*}}{}:{}*", literal(&self.prefix), space.name, literal(prefix))
    }

    /// The key of a value's name, if it is in the space.
    pub(super) fn key(&self, space: Space, name: &str) -> Option<Key> {
        let (_, name) = name.strip_prefix(&self.prefix)?.split_once('}')?;
        Some(space.key(name.strip_prefix(space.name)?.strip_prefix(':')?))
    }

    fn in_bucket(&self, bucket: usize, name: &str) -> String {
        format!("{}{{{}}}{name}", self.prefix, HASH_TAGS[bucket])
    }
}

/// The slot of a hash tag, as specified by Redis Cluster.
pub(super) fn slot(tag: &str) -> u16 {
    State::<XMODEM>::calculate(tag.as_bytes()) % SLOTS
}

/// The slot of a bucket.
pub(super) fn slot_of(bucket: usize) -> u16 {
    slot(&HASH_TAGS[bucket].to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_match_the_redis_specification() {
        // From the example of the specification, and from CLUSTER KEYSLOT.
        assert_eq!(State::<XMODEM>::calculate(b"123456789"), 0x31c3);
        assert_eq!(slot("foo"), 12182);
    }

    #[test]
    fn buckets_are_spread_evenly_over_slots_and_never_move() {
        let shares: Vec<_> = (0..BUCKETS).map(|bucket| usize::from(slot_of(bucket)) / 256).collect();
        assert_eq!(shares, (0..BUCKETS).collect::<Vec<_>>());
        // Pinned: another release must find what this release wrote.
        assert_eq!(HASH_TAGS[..4], [10, 18, 113, 342]);
    }

    #[test]
    fn names_have_prefix_hash_tag_and_space() {
        let names = KeyNames::new("dataflow:");
        let key = Space::volatile("cache").key("acme:user/a");
        let tag = HASH_TAGS[key.bucket()];
        assert_eq!(names.entry(&key), format!("dataflow:{{{tag}}}cache:acme:user/a"));
        assert_eq!(names.lease(&key), format!("dataflow:{{{tag}}}lease:cache:acme:user/a"));
        assert_eq!(names.key(key.space, &names.entry(&key)), Some(key.clone()));
        assert_eq!(names.key(key.space, &names.lease(&key)), None);
        assert_eq!(names.pattern(key.space, "a*[b"), r"dataflow:{*}cache:a\*\[b*");
    }
}
