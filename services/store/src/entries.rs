//! Key-value entries: time to live, compare-and-set by revision, batch reads.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Error;
use crate::key::{Key, Space};
use crate::leases::Token;
use crate::revision::Revision;

/// The value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The bytes.
    pub value: Bytes,
    /// The revision of the write.
    pub revision: Revision,
    /// The remaining time to live; none if the entry does not expire.
    pub ttl: Option<Duration>,
}

/// The precondition of a change: compare-and-set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Unconditional.
    Always,
    /// Only if the key has no value.
    Absent,
    /// Only if the value has this revision.
    Revision(Revision),
    /// Only while this lease of the key is held. The change ends the lease.
    Lease(Token),
}

/// The result of a conditional change. `Refused` is not an error: nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The change was made.
    Done(T),
    /// The condition was not met. Contains the current revision, if the key has a value.
    Refused(Option<Revision>),
}

/// One page of a list of keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Keys, in no particular order. A key that exists during the whole listing appears at least once; a key that is
    /// created or deleted meanwhile may appear.
    pub keys: Vec<Key>,
    /// The cursor of the next page; none on the last page. A page may be empty without being the last.
    pub next: Option<Cursor>,
}

/// A position in a listing. Opaque; only valid for the backend that issued it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(crate) String);

/// Key-value entries.
#[async_trait]
pub trait Entries {
    /// Reads the values of these keys, in their order.
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error>;

    /// Writes a value if `condition` is met. A `ttl` below 1 ms counts as 1 ms; without one the entry does not expire.
    /// Ends the lease of the key, and publishes the change.
    async fn set(
        &self,
        key: &Key,
        value: Bytes,
        ttl: Option<Duration>,
        condition: Condition,
    ) -> Result<Outcome<Revision>, Error>;

    /// Deletes a key if `condition` is met; returns whether it had a value. Ends the lease of the key, and publishes
    /// the change, also if there was no value.
    async fn delete(&self, key: &Key, condition: Condition) -> Result<Outcome<bool>, Error>;

    /// Lists the keys of a space whose names begin with `prefix`. Not a snapshot: see [`Page`].
    async fn list(&self, space: Space, prefix: &str, from: Option<Cursor>) -> Result<Page, Error>;
}
