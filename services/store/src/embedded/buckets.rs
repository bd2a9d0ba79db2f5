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
const COMMIT: Duration = Duration::from_secs(60);

/// All buckets, and whom their changes are told.
pub(super) struct Buckets {
    buckets: [Mutex<Bucket>; BUCKETS],
    hub: Hub,
}

/// A key whose bucket is locked. Never to be held over an await or a commit.
pub(super) struct Locked<'a> {
    key: &'a Key,
    index: usize,
    bucket: MutexGuard<'a, Bucket>,
    hub: &'a Hub,
}

#[derive(Default)]
struct Bucket {
    leases: HashMap<Key, Lease>,
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

    pub(super) fn lock<'a>(&'a self, key: &'a Key) -> Locked<'a> {
        let index = key.bucket();
        // No step below can panic half done, so that a poisoned bucket is a whole one.
        let bucket = self.buckets[index].lock().unwrap_or_else(PoisonError::into_inner);
        Locked { key, index, bucket, hub: &self.hub }
    }
}

// === impl Locked ===

impl Locked<'_> {
    /// Whether the key, where `found` lies, may be changed.
    pub(super) fn meets(&self, condition: Condition, found: Option<Revision>, now: Instant) -> bool {
        match condition {
            Condition::Always => true,
            Condition::Absent => found.is_none(),
            Condition::Revision(revision) => found == Some(revision),
            Condition::Lease(token) => self.holds(token, now),
        }
    }

    /// Whether this lease of the key is held.
    pub(super) fn holds(&self, token: Token, now: Instant) -> bool {
        self.bucket.leases.get(self.key).is_some_and(|lease| lease.token == token && lease.lives(now))
    }

    /// Takes the lease of the key, unless it is held.
    pub(super) fn acquire(&mut self, hold: Duration, now: Instant) -> Option<Token> {
        // Here, because leases whose holders died would pile up otherwise. A bucket has few.
        self.bucket.leases.retain(|_, lease| lease.lives(now));
        (!self.bucket.leases.contains_key(self.key)).then(|| self.lease(hold, now))
    }

    /// A change of the key was written but is not yet committed: until then whoever holds its lease has lost it, and
    /// nobody else gets it.
    pub(super) fn changing(&mut self, now: Instant) {
        self.lease(COMMIT, now);
    }

    /// The key was changed: ends its lease and tells everybody. In the lock, so that counts arrive in order.
    pub(super) fn changed(&mut self) {
        self.bucket.leases.remove(self.key);
        self.bucket.changes += 1;
        let mut change = Change::announce(self.key.space.name, self.index, &self.key.name);
        change.push_str(&self.bucket.changes.to_string());
        self.hub.send(CHANGES, change.into());
    }

    fn lease(&mut self, hold: Duration, now: Instant) -> Token {
        let token = Token::random();
        self.bucket.leases.insert(self.key.clone(), Lease { token, expires: now.checked_add(hold) });
        token
    }
}

// === impl Lease ===

impl Lease {
    fn lives(&self, now: Instant) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}
