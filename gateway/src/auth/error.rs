//! Why a call is not admitted. No message has any part of a credential.

use std::collections::HashMap;
use std::time::Duration;

use dataflow_mesh::access::Scope;
use dataflow_mesh::status::{Describe, Kind};
use http::{HeaderName, HeaderValue};

use super::jwt::token::TokenError;

/// Why a call is not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthError {
    /// There are no credentials.
    #[error("the call has no credentials: send a token or an API key as `Authorization: Bearer ...`")]
    Missing,
    /// There are several, which may be of different callers.
    #[error("the call has several credentials: send one header, authorization or x-api-key, once")]
    Ambiguous,
    /// The scheme of `Authorization` is not `Bearer`.
    #[error("the header authorization must be `Bearer` and a token or an API key")]
    SchemeUnknown,
    /// No key set is configured, so that no token can be verified.
    #[error("tokens are not accepted here (--jwks names no key set)")]
    TokensUnknown,
    /// The token has expired: the client needs a new one.
    #[error("{}", TokenError::Expired)]
    Expired,
    /// The token is wrong.
    #[error(transparent)]
    Token(TokenError),
    /// The key set could not be fetched yet.
    #[error("the keys that verify tokens could not be fetched yet")]
    KeysUnavailable,
    /// The config service, which has the API keys, is out of reach.
    #[error("the config service, which knows the API keys, is out of reach")]
    ApiKeysUnavailable,
    /// There is no such API key.
    #[error("the API key is not known, has expired, or was revoked")]
    KeyUnknown,
    /// The client certificate is verified, and names no identity.
    #[error(
        "the client certificate names no identity: it needs a URI among its alternative names, or one common name \
         that is no URI, of at most 250 bytes"
    )]
    CertificateNameless,
    /// The header that names the peer can be read in several ways, or in none.
    #[error(
        "the header {header} must occur once and name one identity; only the proxy before the gateway sets it"
    )]
    PeerInvalid {
        /// The header.
        header: HeaderName,
    },
    /// The caller is authenticated, and nothing is granted to it.
    #[error("{subject} is not in the table of --subjects-file: have it added, or send a token or an API key")]
    SubjectUnknown {
        /// The subject.
        subject: String,
    },
    /// The caller lacks a scope.
    #[error("the caller needs the scope {needed}")]
    ScopeMissing {
        /// The scope.
        needed: Scope,
    },
    /// The method concerns all tenants, and the caller belongs to one.
    #[error("the method concerns all tenants, and the caller belongs to one")]
    OfMesh,
    /// The descriptor set has no such method.
    #[error("the gateway knows no such method")]
    MethodUnknown,
    /// The method is for services of the mesh.
    #[error("the method is for services of the mesh only")]
    Internal,
}

// === impl AuthError ===

impl AuthError {
    /// Whether a newer key set may have the key of the token.
    pub(crate) fn is_unknown_key(&self) -> bool {
        matches!(self, AuthError::Token(error) if error.is_unknown_key())
    }

    /// The value of `WWW-Authenticate` (RFC 6750, 3): what the client has to present. None if no credential would
    /// change the outcome.
    pub(crate) fn challenge(&self) -> Option<HeaderValue> {
        let challenge = match self {
            // A token or a key counts before the certificate or the peer.
            AuthError::Missing
            | AuthError::CertificateNameless
            | AuthError::PeerInvalid { .. }
            | AuthError::SubjectUnknown { .. } => "Bearer realm=\"dataflow\"",
            AuthError::Ambiguous | AuthError::SchemeUnknown => {
                "Bearer realm=\"dataflow\", error=\"invalid_request\""
            }
            AuthError::TokensUnknown | AuthError::Expired | AuthError::Token(_) | AuthError::KeyUnknown => {
                "Bearer realm=\"dataflow\", error=\"invalid_token\""
            }
            AuthError::ScopeMissing { needed: Scope::Read } => {
                "Bearer realm=\"dataflow\", error=\"insufficient_scope\", scope=\"read\""
            }
            AuthError::ScopeMissing { needed: Scope::Write } => {
                "Bearer realm=\"dataflow\", error=\"insufficient_scope\", scope=\"write\""
            }
            AuthError::ScopeMissing { needed: Scope::Admin } => {
                "Bearer realm=\"dataflow\", error=\"insufficient_scope\", scope=\"admin\""
            }
            AuthError::KeysUnavailable
            | AuthError::ApiKeysUnavailable
            | AuthError::OfMesh
            | AuthError::MethodUnknown
            | AuthError::Internal => return None,
        };
        Some(HeaderValue::from_static(challenge))
    }
}

impl From<TokenError> for AuthError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Expired => AuthError::Expired,
            error => AuthError::Token(error),
        }
    }
}

impl Describe for AuthError {
    fn domain(&self) -> &'static str {
        "dataflow.gateway.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            AuthError::SubjectUnknown { .. }
            | AuthError::ScopeMissing { .. }
            | AuthError::OfMesh
            | AuthError::Internal => Kind::Denied,
            AuthError::KeysUnavailable | AuthError::ApiKeysUnavailable => Kind::Unavailable,
            AuthError::MethodUnknown => Kind::Unimplemented,
            AuthError::Missing
            | AuthError::Ambiguous
            | AuthError::SchemeUnknown
            | AuthError::TokensUnknown
            | AuthError::Expired
            | AuthError::Token(_)
            | AuthError::KeyUnknown
            | AuthError::CertificateNameless
            | AuthError::PeerInvalid { .. } => Kind::Unauthenticated,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            AuthError::Missing => "CREDENTIALS_MISSING",
            AuthError::Ambiguous => "CREDENTIALS_AMBIGUOUS",
            AuthError::SchemeUnknown => "CREDENTIALS_UNSUPPORTED",
            AuthError::Expired => "TOKEN_EXPIRED",
            AuthError::TokensUnknown | AuthError::Token(_) => "TOKEN_INVALID",
            AuthError::KeysUnavailable => "TOKEN_KEYS_UNAVAILABLE",
            AuthError::ApiKeysUnavailable => "API_KEYS_UNAVAILABLE",
            AuthError::KeyUnknown => "API_KEY_UNKNOWN",
            AuthError::CertificateNameless => "CERTIFICATE_NAMELESS",
            AuthError::PeerInvalid { .. } => "PEER_INVALID",
            AuthError::SubjectUnknown { .. } => "SUBJECT_UNKNOWN",
            AuthError::ScopeMissing { .. } => "SCOPE_MISSING",
            AuthError::OfMesh => "METHOD_OF_MESH",
            AuthError::MethodUnknown => "METHOD_UNKNOWN",
            AuthError::Internal => "METHOD_INTERNAL",
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        let is_unavailable = matches!(self, AuthError::KeysUnavailable | AuthError::ApiKeysUnavailable);
        is_unavailable.then_some(Duration::from_secs(1))
    }

    fn metadata(&self) -> HashMap<String, String> {
        match self {
            AuthError::SubjectUnknown { subject } => HashMap::from([("subject".to_owned(), subject.clone())]),
            AuthError::ScopeMissing { needed } => HashMap::from([("scope".to_owned(), needed.to_string())]),
            _ => HashMap::new(),
        }
    }
}
