//! The digest of an API key, by which it is known: memory and store hold no key.

use ring::digest::{SHA256, digest};

/// The SHA-256 digest of a whole key. How long a comparison takes tells a caller nothing about the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

// === impl Digest ===

impl Digest {
    pub(super) fn of(key: &str) -> Self {
        Self(digest(&SHA256, key.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// The digest that these bytes are; none if they are no digest.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }
}
