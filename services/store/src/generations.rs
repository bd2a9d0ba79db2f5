//! The generation of a tag: a unique value that changes each time the tag is invalidated.
//!
//! An entry stores the generations of its tags, read before its value was computed; a reader compares them with the
//! current ones. Replacing one generation thereby invalidates any number of entries at once, in any bucket.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Error;
use crate::key::Key;
use crate::revision::{NotARevision, Revision};

/// How long an unused generation is retained. No entry lives longer, so that expiry of a generation invalidates nothing
/// that is still stored.
pub const REMEMBERED: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// The generation of a tag. Unique instead of a counter: a generation that was lost and created again matches no entry
/// stored before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Generation(Revision);

/// Generations of tags.
#[async_trait]
pub trait Generations {
    /// Reads the current generations, in order; creates those that do not exist.
    async fn generations(&self, tags: &[Key]) -> Result<Vec<Generation>, Error>;

    /// Replaces the generation of a tag atomically, and publishes the change.
    async fn renew(&self, tag: &Key) -> Result<Generation, Error>;
}

// === impl Generation ===

impl Generation {
    pub(crate) fn random() -> Self {
        Self(Revision::random())
    }

    /// From the stored number; none for 0.
    pub fn new(number: u64) -> Option<Self> {
        Revision::new(number).map(Self)
    }

    /// The number to store, never 0.
    pub fn number(self) -> u64 {
        self.0.number()
    }
}

/// 16 hexadecimal digits.
impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Generation {
    type Err = NotARevision;

    fn from_str(text: &str) -> Result<Self, NotARevision> {
        text.parse().map(Self)
    }
}
