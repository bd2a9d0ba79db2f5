//! The generation of a tag: a unique value that stands for everything computed since the tag was last invalidated.
//!
//! Whoever stores a value notes the generations of its tags, taken before it was computed; a reader compares. Replacing
//! one generation thereby invalidates any number of values at once, wherever they lie.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::entries::{NotARevision, Revision};
use crate::error::Error;
use crate::key::Key;

/// How long an unused generation is remembered. Nothing stored lives longer, so that forgetting one costs nothing.
pub const REMEMBERED: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// The state of a tag. Unique and no count: one that was lost and made anew matches nothing stored before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Generation(Revision);

/// Generations of tags.
#[async_trait]
pub trait Generations {
    /// The present generations, in order; where there is none, a new one is made.
    async fn generations(&self, tags: &[Key]) -> Result<Vec<Generation>, Error>;

    /// Replaces a tag's generation at one moment, and tells everybody who listens to changes.
    async fn renew(&self, tag: &Key) -> Result<Generation, Error>;
}

// === impl Generation ===

impl Generation {
    pub(crate) fn random() -> Self {
        Self(Revision::random())
    }

    /// From the number that was stored; none for 0.
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
