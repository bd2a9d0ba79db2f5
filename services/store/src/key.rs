//! Where something lies: a space, which says whether it must last, and a name within it.

use std::fmt;
use std::hash::Hasher;

use fnv::FnvHasher;

/// How many buckets all names are spread over. What one atomic step touches lies in one bucket, and a bucket lies whole
/// on one primary of a Redis Cluster, so that this is also the most primaries that help. Written into every key: it
/// cannot change while a store is in use.
pub const BUCKETS: usize = 64;

/// A kind of state, owned by one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Space {
    /// Its name in the store's keys, of `a-z`.
    pub name: &'static str,
    /// Whether it must survive every process and failover; otherwise it may be forgotten at any time.
    pub durable: bool,
}

/// One name in one space.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The space.
    pub space: Space,
    /// The name: any text without white space, which parts the words of a signal.
    pub name: String,
}

// === impl Space ===

impl Space {
    /// State that may be forgotten at any time, such as what a cache holds.
    pub const fn volatile(name: &'static str) -> Self {
        Self { name, durable: false }
    }

    /// State that must last.
    pub const fn durable(name: &'static str) -> Self {
        Self { name, durable: true }
    }

    /// A key of this space.
    pub fn key(self, name: impl Into<String>) -> Key {
        let name = name.into();
        debug_assert!(!name.contains(char::is_whitespace), "{name:?} would break signals");
        Key { space: self, name }
    }
}

// === impl Key ===

impl Key {
    /// The bucket that the name falls into, below [`BUCKETS`].
    pub fn bucket(&self) -> usize {
        bucket(&self.name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.space.name, self.name)
    }
}

/// The bucket of a name. FNV-1a, because every release must come to the same one.
fn bucket(name: &str) -> usize {
    let mut hasher = FnvHasher::default();
    hasher.write(name.as_bytes());
    usize::try_from(hasher.finish() % BUCKETS as u64).expect("a remainder of 64 is small")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_stay_where_they_are() {
        // Pinned: another release must find what this one wrote.
        let check = |name: &str, expected: usize| assert_eq!(bucket(name), expected, "{name}");
        check("", 37);
        check("a", 12);
        check("acme:user/greeting", 10);
    }

    #[test]
    fn names_spread_over_all_buckets() {
        let mut counts = [0; BUCKETS];
        for index in 0..6_400 {
            counts[bucket(&format!("acme:results/v1/{index}"))] += 1;
        }
        assert!(counts.iter().all(|count| (50..=150).contains(count)), "{counts:?}");
    }
}
