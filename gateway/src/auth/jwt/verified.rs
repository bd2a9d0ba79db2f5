//! Remembers tokens that were verified, since a client sends the same one with every call, and a digest takes less time
//! than a signature. Separate from the verification, which has no state.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use moka::sync::Cache;
use ring::digest::{SHA256, digest};

use super::token::is_expired;
use crate::caller::Caller;

/// Age from which a token is verified again.
const MAX_AGE: Duration = Duration::from_secs(300);

/// The callers of tokens that were verified. They are found by the digest of the token (SHA-256), so that no token is
/// kept in memory.
#[derive(Debug)]
pub(crate) struct VerifiedTokens {
    tokens: Cache<Fingerprint, Verified>,
    epoch: AtomicU64,
    skew: Duration,
}

/// What a verified token says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verified {
    pub(crate) caller: Caller,
    /// By the clock of its issuer.
    pub(crate) expires: SystemTime,
}

/// Counts the key sets. What was verified with an earlier one is not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Epoch(u64);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Fingerprint {
    epoch: Epoch,
    digest: [u8; 32],
}

// === impl VerifiedTokens ===

impl VerifiedTokens {
    /// Remembers at most `capacity` tokens. `skew` is that of the verification.
    pub(crate) fn new(capacity: u64, skew: Duration) -> Self {
        let tokens = Cache::builder().max_capacity(capacity).time_to_live(MAX_AGE).build();
        Self { tokens, epoch: AtomicU64::default(), skew }
    }

    /// The caller of a token that was verified with the current key set and has not expired since.
    pub(crate) fn get(&self, token: &str, now: SystemTime) -> Option<Caller> {
        let Verified { caller, expires } = self.tokens.get(&Fingerprint::of(self.epoch(), token))?;
        (!is_expired(expires, now, self.skew)).then_some(caller)
    }

    /// The current epoch. Must be called before the key set is loaded with which a token is verified that is inserted
    /// here.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::SeqCst))
    }

    /// Remembers a token, unless the key set has changed since `epoch`.
    pub(crate) fn insert(&self, epoch: Epoch, token: &str, verified: Verified) {
        if epoch == self.epoch() {
            // If it changes just now, the entry is of the earlier epoch and never found.
            self.tokens.insert(Fingerprint::of(epoch, token), verified);
        }
    }

    /// Forgets all tokens. Must be called after the key set is replaced.
    pub(crate) fn clear(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.tokens.invalidate_all();
    }
}

// === impl Fingerprint ===

impl Fingerprint {
    fn of(epoch: Epoch, token: &str) -> Self {
        let digest = digest(&SHA256, token.as_bytes());
        Self { epoch, digest: digest.as_ref().try_into().expect("SHA-256 has 32 bytes") }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use dataflow_mesh::access::Scope;
    use dataflow_mesh::identity::Principal;

    use super::*;

    const SKEW: Duration = Duration::from_secs(60);
    const TOKEN: &str = "header.payload.signature";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn caller() -> Caller {
        Principal { subject: "ada".to_owned(), scope: Some(Scope::Read), ..Principal::default() }.into()
    }

    fn verified(expires: u64) -> Verified {
        Verified { caller: caller(), expires: at(expires) }
    }

    #[test]
    fn a_verified_token_is_found_until_it_expires() {
        let tokens = VerifiedTokens::new(10, SKEW);
        tokens.insert(tokens.epoch(), TOKEN, verified(1000));
        let check = |token: &str, now: SystemTime, is_found: bool| {
            assert_eq!(tokens.get(token, now), is_found.then(caller), "{token} {now:?}");
        };
        check(TOKEN, at(0), true);
        check(TOKEN, at(1060) - Duration::from_nanos(1), true);
        check(TOKEN, at(1060), false);
        check(TOKEN, at(9999), false);
        // At each read: the clock may be set back.
        check(TOKEN, at(1059), true);
        check("header.payload.signaturf", at(0), false);
        check("", at(0), false);
    }

    #[test]
    fn no_token_is_found_after_the_key_set_has_changed() {
        let tokens = VerifiedTokens::new(10, SKEW);
        let before = tokens.epoch();
        tokens.insert(before, TOKEN, verified(1000));
        tokens.clear();
        assert_eq!(tokens.get(TOKEN, at(0)), None);
        assert_eq!(tokens.tokens.iter().count(), 0);
        // Verified with the earlier key set while it was replaced.
        tokens.insert(before, TOKEN, verified(1000));
        assert_eq!(tokens.get(TOKEN, at(0)), None);
        tokens.insert(tokens.epoch(), TOKEN, verified(1000));
        assert!(tokens.get(TOKEN, at(0)).is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let tokens = VerifiedTokens::new(10, SKEW);
        for number in 0..1000 {
            tokens.insert(tokens.epoch(), &format!("{TOKEN}{number}"), verified(1000));
        }
        tokens.tokens.run_pending_tasks();
        assert!(tokens.tokens.entry_count() <= 10);
        assert_eq!(tokens.tokens.policy().time_to_live(), Some(MAX_AGE));
        // The token itself is nowhere.
        assert!(!format!("{:?}", tokens.tokens.iter().collect::<Vec<_>>()).contains(TOKEN));
    }
}
