//! The etags of what a release brings with it. No change made it, so no number tells its version: another release, or the
//! same store with another release, may have other content. A digest of the content does.

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

/// The etag of this content, which is that of no revision: those have fewer digits.
pub(super) fn of_content(content: impl Hash) -> String {
    let mut hasher = DigestHasher(Sha256::new());
    content.hash(&mut hasher);
    let digest = hasher.0.finalize();
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_of_content_has_sixteen_digits_and_changes_with_it() {
        let [one, same, other] = ["a", "a", "b"].map(of_content);
        assert_eq!((one.len(), one == same, one == other), (16, true, false));
    }
}
