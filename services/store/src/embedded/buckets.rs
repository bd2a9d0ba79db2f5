//! The leases of each bucket and the count of its changes, under one lock: whoever holds it sees and changes a key, its
//! lease and the count at one moment.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::entries::{Condition, Revision};
use crate::key::{BUCKETS, Key};
use crate::leases::Token;
use crate::signals::{CHANGES, Change, Hub};

/// How long a key stays closed to leases when the commit of a change neither succeeds nor fails. None takes so long.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(60);

/// How many leases a bucket has at most, and all of them thereby 100,000.
const MAX_LEASES: usize = 100_000 / BUCKETS;

/// All buckets, and whom their changes are told.
pub(super) struct Buckets {
    buckets: [Mutex<Bucket>; BUCKETS],
    hub: Hub,
}

/// A key whose bucket is locked. Never to be held over an await or a commit.
pub(super) struct LockedKey<'a> {
    key: &'a Key,
    index: usize,
    bucket: MutexGuard<'a, Bucket>,
    hub: &'a Hub,
}

#[derive(Default)]
struct Bucket {
    leases: HashMap<Key, Lease>,
    /// As many leases as alive_after_sweep when those that had ended were last dropped.
    alive_after_sweep: usize,
    changes: u64,
}

struct Lease {
    token: Token,
    /// None when further away than the clock counts.
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
        // No step below can panic half done, so that a poisoned bucket is a whole one.
        let bucket = self.buckets[index].lock().unwrap_or_else(PoisonError::into_inner);
        LockedKey { key, index, bucket, hub: &self.hub }
    }
}

// === impl LockedKey ===

impl LockedKey<'_> {
    /// Whether the key, where `found` lies, may be changed.
    pub(super) fn meets(&self, condition: Condition, found: Option<Revision>, now: Instant) -> bool {
        match condition {
            Condition::Always => true,
            Condition::Absent => found.is_none(),
            Condition::Revision(revision) => found == Some(revision),
            Condition::Lease(token) => self.is_leased_by(token, now),
        }
    }

    /// Whether this lease of the key is held.
    pub(super) fn is_leased_by(&self, token: Token, now: Instant) -> bool {
        self.bucket.leases.get(self.key).is_some_and(|lease| lease.token == token && lease.is_alive(now))
    }

    /// Takes the lease of the key, unless somebody else holds it or there are too many; whether it is held with this token.
    pub(super) fn acquire(&mut self, token: Token, hold: Duration, now: Instant) -> bool {
        if let Some(lease) = self.bucket.leases.get(self.key).filter(|lease| lease.is_alive(now)) {
            return lease.token == token;
        }
        let has_room = self.bucket.has_room(now);
        if has_room {
            self.lease(token, hold, now);
        }
        has_room
    }

    /// A change of the key was written but is not yet committed: until then whoever holds its lease has lost it, and
    /// nobody else gets it.
    pub(super) fn block_leases(&mut self, now: Instant) {
        self.lease(Token::random(), COMMIT_TIMEOUT, now);
    }

    /// The key was changed: ends its lease and tells everybody. In the lock, so that counts arrive in order.
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
    /// Whether one more lease may be taken. Those whose holders died are dropped whenever there are twice as many as
    /// after the last time, so that each costs a look or two, or when there is no room.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.leases.len() >= MAX_LEASES.min(2 * self.alive_after_sweep + 16) {
            self.leases.retain(|_, lease| lease.is_alive(now));
            self.alive_after_sweep = self.leases.len();
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

    /// Keys that all fall into one bucket.
    fn keys_of_one_bucket() -> impl Iterator<Item = Key> {
        let key = |index: u32| Space::volatile("cache").key(index.to_string());
        (0..).map(key).filter(|key| key.bucket() == 7)
    }

    #[test]
    fn leases_are_bounded_and_those_that_ended_make_room() {
        let (buckets, now, hold) = (Buckets::new(), Instant::now(), Duration::from_secs(10));
        let keys: Vec<_> = keys_of_one_bucket().take(MAX_LEASES + 1).collect();
        let acquire = |key: &Key, at: Instant| buckets.lock(key).acquire(Token::random(), hold, at);
        let (last, rest) = keys.split_last().unwrap();
        assert!(rest.iter().all(|key| acquire(key, now)));
        assert!(!acquire(last, now), "there are too many");
        buckets.lock(&rest[0]).publish_change();
        assert!(acquire(last, now));
        let later = now + hold;
        assert!(rest.iter().all(|key| acquire(key, later)));
    }

    #[test]
    fn leases_that_ended_do_not_pile_up() {
        let (buckets, start) = (Buckets::new(), Instant::now());
        for (second, key) in (0..1000).zip(keys_of_one_bucket()) {
            let at = start + Duration::from_secs(second);
            assert!(buckets.lock(&key).acquire(Token::random(), Duration::from_secs(10), at));
            assert!(buckets.lock(&key).bucket.leases.len() <= 40, "10 live");
        }
    }
}
