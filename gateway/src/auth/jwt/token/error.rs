//! Why a token is rejected. Separate from the checks, because callers match on it without reading them. No message has
//! any part of the token except names that RFC 7515 and RFC 7519 define: messages are logged and returned to clients.

use super::super::key_set::MAX_KID;
use super::MAX_TOKEN;
use crate::auth::names::MAX_TENANT;

/// Why a token is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    /// It has too many bytes.
    #[error("the token has {length} bytes, more than the {MAX_TOKEN} allowed")]
    TooLong {
        /// Its bytes.
        length: usize,
    },
    /// It is no JWS in the compact form (RFC 7515, 7.1).
    #[error("a token has three parts with dots between them, and this one has {found}")]
    NotThreeParts {
        /// How many there are.
        found: usize,
    },
    /// A part cannot be decoded.
    #[error("the {part} of the token is {problem}")]
    Malformed {
        /// The header, the payload or the signature.
        part: &'static str,
        /// What it is.
        problem: &'static str,
    },
    /// A parameter of the header is missing, or of another type.
    #[error("the header of the token has {problem}")]
    HeaderInvalid {
        /// What it has.
        problem: &'static str,
    },
    /// The token can only be understood with extensions (RFC 7515, 4.1.11), of which there are none.
    #[error("the token requires an extension by crit, and none is supported")]
    Critical,
    /// The `kid` is longer than any key has.
    #[error("the kid of the token has more than {MAX_KID} bytes")]
    KidTooLong,
    /// The key that verifies the token is not in the key set.
    #[error("no key is known with the kid of the token or, if it has none, with its alg")]
    UnknownKey,
    /// The token names another algorithm than that of the key, or one that no key has.
    #[error("the alg of the token is not the algorithm of the key")]
    AlgorithmMismatch,
    /// The key did not make this signature.
    #[error("the signature of the token is not one of the key for this content")]
    SignatureInvalid,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not begun.
    #[error("the token is not valid yet, by its nbf")]
    NotYetValid,
    /// Another issuer made it.
    #[error("the iss of the token is not the expected one")]
    IssuerMismatch,
    /// It is for others.
    #[error("the aud of the token has none of the expected ones")]
    AudienceMismatch,
    /// A claim is missing, of another type, or out of its range.
    #[error("the claim {claim} of the token {problem}")]
    ClaimInvalid {
        /// Its name.
        claim: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The claim of the tenant is no name of a tenant.
    #[error(
        "the tenant of the token is not a string of 1 to {MAX_TENANT} letters, digits, dots, hyphens and underscores \
         that begins with a letter or a digit"
    )]
    TenantInvalid,
}

// === impl TokenError ===

impl TokenError {
    /// Whether a newer key set may have the key of the token.
    pub(crate) fn is_unknown_key(&self) -> bool {
        matches!(self, TokenError::UnknownKey)
    }
}
