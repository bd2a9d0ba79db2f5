//! The leases and the version counter of each bucket, under one lock: its holder reads and changes a key, its lease and
//! the counter atomically.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::entries::Condition;
use crate::key::{BUCKETS, Key};
use crate::leases::Token;
use crate::revision::Revision;
use crate::signals::{CHANGES, Change, Hub};

/// How long a key rejects leases if the commit of a change neither succeeds nor fails. No commit takes so long.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(60);

/// The limit of leases per bucket, 100,000 in total.
const MAX_LEASES: usize = 100_000 / BUCKETS;

/// All buckets, and the hub that publishes their changes.
pub(super) struct Buckets {
    buckets: [Mutex<Bucket>; BUCKETS],
    hub: Hub,
}

/// A key whose bucket is locked. Must not be kept across an await or a commit.
pub(super) struct LockedKey<'a> {
    key: &'a Key,
    index: usize,
    bucket: MutexGuard<'a, Bucket>,
    hub: &'a Hub,
}

#[derive(Default)]
struct Bucket {
    leases: HashMap<Key, Lease>,
    /// How many leases were alive after the last removal of expired ones.
    alive_after_removal: usize,
    changes: u64,
}

struct Lease {
    token: Token,
    /// None if beyond the range of the clock.
    expires: Option<Instant>,
}

// === impl Buckets ===

impl Buckets {
    pub(super) fn new() -> Self {
        Self { buckets: std::array::from_fn(|_| Mutex::default()), hub: Hub::new() }
    }

    pub(super) fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(super) fn lock<'a>(&'a self, key: &'a Key) -> LockedKey<'a> {
        let index = key.bucket();
        // No operation below can panic halfway, so that the data of a poisoned lock is consistent.
        let bucket = self.buckets[index].lock().unwrap_or_else(PoisonError::into_inner);
        LockedKey { key, index, bucket, hub: &self.hub }
    }
}

// === impl LockedKey ===

impl LockedKey<'_> {
    /// Whether `condition` is met, if the current revision is `found`.
    pub(super) fn meets(&self, condition: Condition, found: Option<Revision>, now: Instant) -> bool {
        match condition {
            Condition::Always => true,
            Condition::Absent => found.is_none(),
            Condition::Revision(revision) => found == Some(revision),
            Condition::Lease(token) => self.is_leased_by(token, now),
        }
    }

    /// Whether the lease of the key is held with this token.
    pub(super) fn is_leased_by(&self, token: Token, now: Instant) -> bool {
        self.bucket.leases.get(self.key).is_some_and(|lease| lease.token == token && lease.is_alive(now))
    }

    /// Acquires the lease of the key, unless another token holds it or there are too many leases; returns whether it is
    /// held with this token.
    pub(super) fn acquire(&mut self, token: Token, hold: Duration, now: Instant) -> bool {
        if let Some(lease) = self.bucket.leases.get(self.key).filter(|lease| lease.is_alive(now)) {
            return lease.token == token;
        }
        let has_capacity = self.bucket.has_capacity(now);
        if has_capacity {
            self.lease(token, hold, now);
        }
        has_capacity
    }

    /// A change of the key was written but is not yet committed: ends the current lease, and blocks new ones until the
    /// commit.
    pub(super) fn block_leases(&mut self, now: Instant) {
        self.lease(Token::random(), COMMIT_TIMEOUT, now);
    }

    /// The key was changed: ends its lease, increments the version counter and publishes the change. Under the lock, so
    /// that subscribers receive the counts in order.
    pub(super) fn publish_change(&mut self) {
        self.bucket.leases.remove(self.key);
        self.bucket.changes += 1;
        let mut change = Change::prefix(self.key.space.name, self.index, &self.key.name);
        change.push_str(&self.bucket.changes.to_string());
        self.hub.send(CHANGES, change.into());
    }

    fn lease(&mut self, token: Token, hold: Duration, now: Instant) {
        self.bucket.leases.insert(self.key.clone(), Lease { token, expires: now.checked_add(hold) });
    }
}

// === impl Bucket ===

impl Bucket {
    /// Whether one more lease may be acquired. Expired leases are removed when the limit is reached, or when there are
    /// twice as many as after the last removal, so that each lease is examined once or twice.
    fn has_capacity(&mut self, now: Instant) -> bool {
        if self.leases.len() >= MAX_LEASES.min(2 * self.alive_after_removal + 16) {
            self.leases.retain(|_, lease| lease.is_alive(now));
            self.alive_after_removal = self.leases.len();
        }
        self.leases.len() < MAX_LEASES
    }
}

// === impl Lease ===

impl Lease {
    fn is_alive(&self, now: Instant) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Space;

    /// Keys of the same bucket.
    fn keys_of_one_bucket() -> impl Iterator<Item = Key> {
        let key = |index: u32| Space::volatile("cache").key(index.to_string());
        (0..).map(key).filter(|key| key.bucket() == 7)
    }

    #[test]
    fn leases_are_limited_and_expired_ones_free_capacity() {
        let (buckets, now, hold) = (Buckets::new(), Instant::now(), Duration::from_secs(10));
        let keys: Vec<_> = keys_of_one_bucket().take(MAX_LEASES + 1).collect();
        let acquire = |key: &Key, at: Instant| buckets.lock(key).acquire(Token::random(), hold, at);
        let (last, rest) = keys.split_last().unwrap();
        assert!(rest.iter().all(|key| acquire(key, now)));
        assert!(!acquire(last, now), "the limit is reached");
        buckets.lock(&rest[0]).publish_change();
        assert!(acquire(last, now));
        let later = now + hold;
        assert!(rest.iter().all(|key| acquire(key, later)));
    }

    #[test]
    fn expired_leases_do_not_accumulate() {
        let (buckets, start) = (Buckets::new(), Instant::now());
        for (second, key) in (0..1000).zip(keys_of_one_bucket()) {
            let at = start + Duration::from_secs(second);
            assert!(buckets.lock(&key).acquire(Token::random(), Duration::from_secs(10), at));
            assert!(buckets.lock(&key).bucket.leases.len() <= 40, "10 live");
        }
    }
}
