//! Revisions: random numbers that identify writes.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// Identifies one write of one key. Random, so that a key that is deleted and written again never has the same revision
/// twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision(NonZeroU64);

// === impl Revision ===

impl Revision {
    /// A new random revision.
    pub(crate) fn random() -> Self {
        Self(NonZeroU64::new(fastrand::u64(1..)).expect("the range starts at 1"))
    }

    pub(crate) fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    pub(crate) fn number(self) -> u64 {
        self.0.get()
    }
}

/// As in an etag: 16 hexadecimal digits.
impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The text is not a revision.
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
    fn a_displayed_revision_parses_to_the_same() {
        let revision = Revision::random();
        assert_eq!(revision.to_string().parse(), Ok(revision));
        for text in ["", "0000000000000000", "1", "+00000000000000f", "g000000000000000"] {
            assert_eq!(text.parse::<Revision>(), Err(NotARevision), "{text:?}");
        }
    }
}
