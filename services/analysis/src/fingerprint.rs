//! Identifies the content of what results depend on, on every replica.

use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

/// Feeds a digest.
struct DigestHasher(Sha256);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("only the SHA-256 digest is used")
    }
}

/// A digest of a value: the same value has the same digest on every replica. Another release may compute another digest,
/// which only causes a cache miss.
pub(crate) fn fingerprint(value: impl Hash) -> [u8; 32] {
    let mut hasher = DigestHasher(Sha256::new());
    value.hash(&mut hasher);
    hasher.0.finalize().into()
}
