//! Tokens in the compact form (RFC 7515, 7.1): their parts, their key and their signature. Separate from the claims,
//! which nothing reads before the signature is verified.

mod claims;
mod error;

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::key_set::{Algorithm, KeySet, MAX_KID};
use super::object::Object;
pub(crate) use claims::{Claims, is_expired};
pub(crate) use error::TokenError;

/// The most bytes of a token.
pub(crate) const MAX_TOKEN: usize = 8 * 1024;

/// The difference between the clocks of the issuer and of this machine that is allowed unless the operator says
/// otherwise.
pub(crate) const DEFAULT_SKEW: Duration = Duration::from_secs(60);

/// The most keys that are tried for a token without `kid`, which bounds the time that one token takes.
const MAX_TRIED: usize = 8;

/// What a token must say.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// The `iss`; any if there is none.
    pub(crate) issuer: Option<String>,
    /// The `aud`, one of which the token must have; any if there are none.
    pub(crate) audiences: Vec<String>,
    /// The name of the claim with the tenant.
    pub(crate) tenant_claim: String,
    /// How far the clock of the issuer may be ahead or behind.
    pub(crate) skew: Duration,
}

/// The parts of a token, decoded.
struct Compact<'a> {
    /// What the signature is for.
    signed: &'a str,
    header: Object,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// The claims of a token, if a key of the set signed it and it says what is expected.
///
/// # Errors
///
/// [`TokenError`] for the first check that fails.
pub(crate) fn verify(
    keys: &KeySet,
    expected: &Expected,
    token: &str,
    now: SystemTime,
) -> Result<Claims, TokenError> {
    let token = Compact::parse(token)?;
    token.authenticate(keys)?;
    Claims::read(&token.payload, expected, now)
}

// === impl Compact ===

impl<'a> Compact<'a> {
    fn parse(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLong { length: token.len() });
        }
        let parts: Vec<_> = token.split('.').collect();
        let [header, payload, signature] = parts[..] else {
            return Err(TokenError::NotThreeParts { found: parts.len() });
        };
        let signed = &token[..header.len() + 1 + payload.len()];
        let (header, payload) = (decode("header", header)?, decode("payload", payload)?);
        let signature = decode("signature", signature)?;
        let malformed = |problem| TokenError::Malformed { part: "header", problem };
        let header = Object::parse(&header).map_err(malformed)?;
        Ok(Self { signed, header, payload, signature })
    }

    /// Verifies the signature. The header only chooses among the keys of the set: it names neither a key of its own
    /// (`jwk`, `jku`, `x5c`, `x5u`) nor how a key is used.
    fn authenticate(&self, keys: &KeySet) -> Result<(), TokenError> {
        let invalid = |problem| TokenError::HeaderInvalid { problem };
        let alg = self.header.text("alg").map_err(|_| invalid("an alg that is not a string"))?;
        let alg = alg.ok_or_else(|| invalid("no alg"))?;
        if self.header.get("crit").is_some() {
            return Err(TokenError::Critical);
        }
        let kid = self.header.text("kid").map_err(|_| invalid("a kid that is not a string"))?;
        if kid.is_some_and(|kid| kid.len() > MAX_KID) {
            return Err(TokenError::KidTooLong);
        }
        // No key has another algorithm, so that a newer key set would not help.
        let algorithm = Algorithm::named(alg).ok_or(TokenError::AlgorithmMismatch)?;
        let candidates = match kid {
            Some(kid) => {
                let key = keys.with_kid(kid).ok_or(TokenError::UnknownKey)?;
                if key.algorithm() != algorithm {
                    return Err(TokenError::AlgorithmMismatch);
                }
                vec![key]
            }
            None => {
                let of_algorithm = keys.keys().iter().filter(|key| key.algorithm() == algorithm);
                of_algorithm.take(MAX_TRIED).collect()
            }
        };
        if candidates.is_empty() {
            return Err(TokenError::UnknownKey);
        }
        if candidates.iter().any(|key| key.verifies(self.signed.as_bytes(), &self.signature)) {
            Ok(())
        } else {
            Err(TokenError::SignatureInvalid)
        }
    }
}

/// The bytes of a part. Bits that are not used must be zero, so that a token has one spelling.
fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, TokenError> {
    let problem = "not base64url without padding";
    URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed { part, problem })
}
