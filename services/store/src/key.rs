//! Keys of the store: a space, which states whether the data is durable, and a name within it.

use std::fmt;
use std::hash::Hasher;

use fnv::FnvHasher;

/// The number of buckets that names are partitioned into. All keys of one atomic step are in one bucket, and a bucket
/// is in one slot, thus on one primary, of a Redis Cluster; more primaries than buckets are of no use. Part of every
/// key in Redis: it cannot change while a store is in use.
pub const BUCKETS: usize = 64;

/// A namespace for the state of one kind, owned by one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Space {
    /// The name of the space in the store's keys, of `a-z`.
    pub name: &'static str,
    /// Whether the data must survive a crash and a failover. Volatile data may be lost at any time.
    pub durable: bool,
}

/// A name in a space.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The space.
    pub space: Space,
    /// The name: any text without white space, which separates the fields of a message under
    /// [`CHANGES`](crate::signals::CHANGES).
    pub name: String,
}

// === impl Space ===

impl Space {
    /// A volatile space, for data that may be lost at any time, such as cache entries.
    pub const fn volatile(name: &'static str) -> Self {
        Self { name, durable: false }
    }

    /// A durable space, for data that must survive.
    pub const fn durable(name: &'static str) -> Self {
        Self { name, durable: true }
    }

    /// The key of `name` in this space.
    pub fn key(self, name: impl Into<String>) -> Key {
        let name = name.into();
        debug_assert!(!name.contains(char::is_whitespace), "{name:?} contains white space");
        Key { space: self, name }
    }
}

// === impl Key ===

impl Key {
    /// The bucket of the name, below [`BUCKETS`].
    pub fn bucket(&self) -> usize {
        bucket(&self.name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.space.name, self.name)
    }
}

/// The bucket of a name. FNV-1a, because every release must compute the same bucket.
fn bucket(name: &str) -> usize {
    let mut hasher = FnvHasher::default();
    hasher.write(name.as_bytes());
    usize::try_from(hasher.finish() % BUCKETS as u64).expect("a remainder of 64 is small")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_of_a_name_never_changes() {
        // Pinned: another release must find what this release wrote.
        let check = |name: &str, expected: usize| assert_eq!(bucket(name), expected, "{name}");
        check("", 37);
        check("a", 12);
        check("acme:user/greeting", 10);
    }

    #[test]
    fn names_are_spread_evenly_over_all_buckets() {
        let mut counts = [0; BUCKETS];
        for index in 0..6_400 {
            counts[bucket(&format!("acme:results/v1/{index}"))] += 1;
        }
        assert!(counts.iter().all(|count| (50..=150).contains(count)), "{counts:?}");
    }
}
