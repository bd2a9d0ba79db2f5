//! API keys, their secrets, and their validation.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use dataflow_mesh::access::Scope;
use dataflow_mesh::rate::{MAX_PERMITS, NotARate, Rate};
use sha2::{Digest, Sha256};

use crate::Error;

/// Most keys, expired ones included: what each replica of the gateway has in memory, and a watch sends at once.
pub const MAX_KEYS: usize = 10_000;

/// The most keys of one tenant, so that its administrators cannot take all of [`MAX_KEYS`].
pub const MAX_TENANT_KEYS: usize = 1_000;
/// Longest name, in characters.
pub const MAX_NAME: usize = 100;
/// Longest name of a tenant, in bytes.
pub const MAX_TENANT: usize = 63;
/// Shortest time for which a key is created.
pub const MIN_TTL: Duration = Duration::from_secs(60);
/// Longest time for which a key is created: 10 years of 365.25 days.
pub const MAX_TTL: Duration = Duration::from_secs(10 * 31_557_600);

/// By this, people recognize an identifier.
pub(crate) const ID_PREFIX: &str = "k-";

/// What the subject of a caller with a key begins with; no token can have such a subject.
pub(crate) const KEY_SUBJECT: &str = "key:";

/// By this, people and scanners of secrets recognize a key.
const SECRET_PREFIX: &str = "dfk_";

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Random, as [`random_id`] makes it.
    pub key_id: String,
    /// The display name: 1 to [`MAX_NAME`] characters.
    pub display_name: String,
    /// What is granted to a caller with the key.
    pub scope: Scope,
    /// The tenant of a caller with the key; empty means none.
    pub tenant: String,
    /// From when on it is not valid, if it expires.
    pub expires: Option<SystemTime>,
    /// Its own rate, in place of the usual one of the gateway.
    pub rate: Option<KeyRate>,
    /// The subject of the caller that created it.
    pub creator: String,
    /// The SHA-256 digest of the secret.
    pub digest: [u8; 32],
}

/// The most calls of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRate {
    /// The rate.
    pub rate: Rate,
    /// The calls that may come at once; the usual burst of the gateway, if there is none.
    pub burst: Option<u32>,
}

/// The secret of a new key. It has no `Debug`, so that no log can have it.
pub struct Secret(String);

// === impl KeyRate ===

impl KeyRate {
    /// The rate as requests and the store state it; none without one.
    ///
    /// # Errors
    ///
    /// [`Error::KeyInvalid`].
    pub fn read(rate: &str, burst: i32) -> Result<Option<Self>, Error> {
        let burst = u32::try_from(burst).ok().filter(|burst| *burst <= MAX_PERMITS);
        let burst = burst.ok_or_else(|| {
            invalid("rate_burst", &format!("must be from 1 to {MAX_PERMITS}, or 0 for the usual burst"))
        })?;
        let burst = (burst > 0).then_some(burst);
        if rate.is_empty() {
            require(burst.is_none(), "rate_burst", || "needs a rate_limit beside it".to_owned())?;
            return Ok(None);
        }
        let rate = rate.parse().map_err(|problem: NotARate| invalid("rate_limit", &problem.to_string()))?;
        Ok(Some(Self { rate, burst }))
    }
}

// === impl Key ===

impl Key {
    /// Validates all fields that a caller chooses, except for the expiry, which depends on the time.
    ///
    /// # Errors
    ///
    /// [`Error::KeyInvalid`] with the first invalid field.
    pub fn validate(&self) -> Result<(), Error> {
        let name = &self.display_name;
        let is_name =
            (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(|each| each.is_control());
        require(is_name, "display_name", || {
            format!("must be 1 to {MAX_NAME} characters, none of them a control character")
        })?;
        require(self.tenant.is_empty() || is_tenant(&self.tenant), "tenant", || {
            format!(
                "must be at most {MAX_TENANT} characters of A-Z a-z 0-9 . _ -, the first a letter or a digit"
            )
        })
    }

    /// Whether it has expired.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// The subject of a caller with the key.
    pub fn subject(&self) -> String {
        format!("{KEY_SUBJECT}{}", self.key_id)
    }
}

/// When a key expires that is created now: at a time, after a while, or never.
///
/// # Errors
///
/// [`Error::KeyInvalid`].
pub fn expiry(
    at: Option<SystemTime>,
    ttl: Option<Duration>,
    now: SystemTime,
) -> Result<Option<SystemTime>, Error> {
    match (at, ttl) {
        (Some(_), Some(_)) => Err(invalid("ttl", "must be absent if expire_time is given")),
        (Some(at), None) => {
            require(at > now, "expire_time", || "must be in the future".to_owned())?;
            Ok(Some(at))
        }
        (None, Some(ttl)) => {
            require((MIN_TTL..=MAX_TTL).contains(&ttl), "ttl", || {
                "must be from 1 minute to 10 years".to_owned()
            })?;
            Ok(Some(now + ttl))
        }
        (None, None) => Ok(None),
    }
}

/// A new identifier. Of [`MAX_KEYS`] keys, two have the same one with a probability below 10^-11.
pub fn random_id() -> String {
    format!("{ID_PREFIX}{:016x}", u64::from_ne_bytes(random()))
}

/// Whether this may be the name of a tenant.
pub(crate) fn is_tenant(text: &str) -> bool {
    text.len() <= MAX_TENANT
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system provides random numbers");
    bytes
}

fn require(condition: bool, field: &str, problem: impl FnOnce() -> String) -> Result<(), Error> {
    if condition { Ok(()) } else { Err(invalid(field, &problem())) }
}

/// The error of an invalid field.
pub(crate) fn invalid(field: &str, problem: &str) -> Error {
    Error::KeyInvalid { field: field.to_owned(), problem: problem.to_owned() }
}

// === impl Secret ===

impl Secret {
    /// A new secret, of 256 random bits: no search finds it, so that a fast digest protects it enough.
    pub fn random() -> Self {
        Self(format!("{SECRET_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random::<32>())))
    }

    /// The digest by which a caller that presents it is recognized.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The text, for the response that creates the key.
    pub fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key {
            key_id: "k-0000000000000001".to_owned(),
            display_name: "nightly".to_owned(),
            scope: Scope::Read,
            tenant: "acme".to_owned(),
            expires: None,
            rate: None,
            creator: String::new(),
            digest: [0; 32],
        }
    }

    /// The field that an error names.
    fn field<T>(result: Result<T, Error>) -> Option<String> {
        match result {
            Ok(_) => None,
            Err(Error::KeyInvalid { field, .. }) => Some(field),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn every_limit_is_enforced_and_the_error_names_the_field() {
        let name = |name: &str| field(Key { display_name: name.to_owned(), ..key() }.validate());
        let check_name = |text: &str, is_valid: bool| {
            assert_eq!(name(text).as_deref(), (!is_valid).then_some("display_name"), "{text:?}");
        };
        check_name("x", true);
        check_name("Nächtliche Läufe / CI", true);
        check_name(&"ü".repeat(MAX_NAME), true);
        check_name(&"x".repeat(MAX_NAME + 1), false);
        check_name("", false);
        check_name("a\nb", false);
        check_name("a\u{85}b", false);
        let tenant = |tenant: &str| field(Key { tenant: tenant.to_owned(), ..key() }.validate());
        let check_tenant = |text: &str, is_valid: bool| {
            assert_eq!(tenant(text).as_deref(), (!is_valid).then_some("tenant"), "{text:?}");
        };
        check_tenant("", true);
        check_tenant("a", true);
        check_tenant("0A.b_c-d", true);
        check_tenant(&"x".repeat(MAX_TENANT), true);
        check_tenant(&"x".repeat(MAX_TENANT + 1), false);
        check_tenant("-a", false);
        check_tenant(".", false);
        check_tenant("a/b", false);
        check_tenant("a b", false);
        check_tenant("ä", false);
    }

    #[test]
    fn a_key_expires_at_a_time_or_after_a_while_or_never() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let second = Duration::from_secs(1);
        let check = |at: Option<SystemTime>, ttl: Option<Duration>, expected: Result<Option<u64>, &str>| {
            let found = expiry(at, ttl, now);
            match (found, expected) {
                (Ok(found), Ok(expected)) => {
                    let after = found.map(|found| found.duration_since(now).unwrap().as_secs());
                    assert_eq!(after, expected, "{at:?} {ttl:?}");
                }
                (found, Err(expected)) => assert_eq!(field(found).as_deref(), Some(expected)),
                (Err(error), Ok(_)) => panic!("{at:?} {ttl:?}: {error}"),
            }
        };
        check(None, None, Ok(None));
        check(Some(now + second), None, Ok(Some(1)));
        check(Some(now), None, Err("expire_time"));
        check(Some(now - second), None, Err("expire_time"));
        check(None, Some(MIN_TTL), Ok(Some(60)));
        check(None, Some(MIN_TTL - second), Err("ttl"));
        check(None, Some(MAX_TTL), Ok(Some(MAX_TTL.as_secs())));
        check(None, Some(MAX_TTL + second), Err("ttl"));
        check(Some(now + second), Some(MIN_TTL), Err("ttl"));
        let expiring = Key { expires: Some(now), ..key() };
        assert!(expiring.is_expired(now) && !expiring.is_expired(now - second) && !key().is_expired(now));
    }

    #[test]
    fn a_key_may_have_a_rate_and_with_it_a_burst() {
        let check = |rate: &str, burst: i32, expected: Result<Option<u32>, &str>| {
            let found = KeyRate::read(rate, burst);
            let found = found.map(|found| found.map(|found| found.rate.with_burst(found.burst).burst));
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{rate} {burst}"),
                (found, Err(expected)) => {
                    assert_eq!(field(found).as_deref(), Some(expected), "{rate} {burst}")
                }
                (Err(error), Ok(_)) => panic!("{rate} {burst}: {error}"),
            }
        };
        check("", 0, Ok(None));
        check("1/h", 0, Ok(Some(1)));
        check("1000000/s", 1, Ok(Some(1)));
        check("50/s", 1_000_000, Ok(Some(1_000_000)));
        check("50/s", 1_000_001, Err("rate_burst"));
        check("50/s", -1, Err("rate_burst"));
        check("", 1, Err("rate_burst"));
        check("0/s", 0, Err("rate_limit"));
        check("1000001/s", 0, Err("rate_limit"));
        check("50", 0, Err("rate_limit"));
        check("fast", 1, Err("rate_limit"));
    }

    #[test]
    fn secrets_and_identifiers_are_random_and_have_their_form() {
        let (one, other) = (Secret::random(), Secret::random());
        assert_ne!(one.digest(), other.digest());
        assert_ne!(random_id(), random_id());
        let digest = one.digest();
        let text = one.into_text();
        let random = text.strip_prefix("dfk_").unwrap();
        assert_eq!((random.len(), BASE64_URL_SAFE_NO_PAD.decode(random).unwrap().len()), (43, 32));
        assert_eq!(digest, <[u8; 32]>::from(Sha256::digest(&text)));
        let id = random_id();
        let digits = id.strip_prefix("k-").unwrap();
        assert!(digits.len() == 16 && digits.bytes().all(|byte| b"0123456789abcdef".contains(&byte)), "{id}");
    }
}
