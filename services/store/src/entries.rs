//! Values under keys: with a time to live, changed by compare-and-set, read in batches.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Error;
use crate::key::{Key, Space};
use crate::leases::Token;

/// What names one write of one key. Random, so that a key which was deleted and written again never has one twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision(NonZeroU64);

/// What lies under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The bytes.
    pub value: Bytes,
    /// The write that put them there.
    pub revision: Revision,
    /// How long they will still be there; none for ever.
    pub ttl: Option<Duration>,
}

/// Under which condition a key may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Whatever is there.
    Always,
    /// Only if nothing is there.
    Absent,
    /// Only if this write is there.
    Revision(Revision),
    /// Only while this lease of the key is held. The change ends it.
    Lease(Token),
}

/// What came of a conditional change. A refusal is an answer: nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It was done.
    Done(T),
    /// The condition did not hold; the revision that is there, if any.
    Refused(Option<Revision>),
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Keys, in no order. Those that were there during the whole listing are named at least once; those that came or
    /// went may be.
    pub keys: Vec<Key>,
    /// Where the next page begins; none on the last one. A page may be empty and yet not the last.
    pub next: Option<Cursor>,
}

/// A place in a listing. It means something to the backend that made it, and to nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(crate) String);

/// Values under keys.
#[async_trait]
pub trait Entries {
    /// What lies under these keys, in their order.
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error>;

    /// Puts a value under a key, if `condition` holds. A `ttl` below a millisecond counts as one; without any the value
    /// stays. Whoever holds a lease of the key loses it, and everybody who listens to changes is told.
    async fn set(
        &self,
        key: &Key,
        value: Bytes,
        ttl: Option<Duration>,
        condition: Condition,
    ) -> Result<Outcome<Revision>, Error>;

    /// Removes what lies under a key, if `condition` holds; whether there was something. Whoever holds a lease of the key
    /// loses it, and everybody who listens to changes is told, also when there was nothing.
    async fn delete(&self, key: &Key, condition: Condition) -> Result<Outcome<bool>, Error>;

    /// Keys of a space whose names begin with `prefix`. Not one moment's picture: see [`Page`].
    async fn list(&self, space: Space, prefix: &str, from: Option<Cursor>) -> Result<Page, Error>;
}

// === impl Revision ===

impl Revision {
    /// A new one.
    pub(crate) fn random() -> Self {
        Self(NonZeroU64::new(fastrand::u64(1..)).expect("a number from 1 on is not 0"))
    }

    pub(crate) fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    pub(crate) fn number(self) -> u64 {
        self.0.get()
    }
}

/// As an etag shows it: 16 hexadecimal digits.
impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text is not a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 16 hexadecimal digits")]
pub struct NotARevision;

impl FromStr for Revision {
    type Err = NotARevision;

    fn from_str(text: &str) -> Result<Self, NotARevision> {
        let number =
            u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16 && !text.starts_with('+'));
        number.and_then(Self::new).ok_or(NotARevision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_reads_as_it_is_shown() {
        let revision = Revision::random();
        assert_eq!(revision.to_string().parse(), Ok(revision));
        for text in ["", "0000000000000000", "1", "+00000000000000f", "g000000000000000"] {
            assert_eq!(text.parse::<Revision>(), Err(NotARevision), "{text:?}");
        }
    }
}
