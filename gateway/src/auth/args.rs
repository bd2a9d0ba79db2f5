//! The flags by which callers are authenticated.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;

use super::jwt::token::{DEFAULT_SKEW, Expected};
use super::key_source::location::Location;
use super::peer::PeerIdentity;

/// How callers are authenticated. With any of these sources of credentials, anonymous callers are refused, on loopback
/// too, unless `--allow-anonymous` lets them read.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AuthArgs {
    /// JWK Set with the keys that sign the tokens (JWT) of callers, a file or an http(s) URL: RS256, ES256, EdDSA, and
    /// in a file HS256. A file is read again every second, a URL every 5 minutes and when a token names an unknown key.
    #[arg(long, env = "DATAFLOW_JWKS", value_name = "FILE|URL")]
    pub jwks: Option<Location>,

    /// The issuer that tokens must have (`iss`). Default: any.
    #[arg(long, env = "DATAFLOW_JWT_ISSUER", value_name = "ISSUER")]
    pub jwt_issuer: Option<String>,

    /// The audience of which tokens must have one (`aud`); further ones follow after commas, or as further flags.
    /// Default: any.
    #[arg(long, env = "DATAFLOW_JWT_AUDIENCE", value_delimiter = ',', value_name = "AUDIENCE")]
    pub jwt_audience: Vec<String>,

    /// The claim of tokens that names the tenant. A token without it belongs to no tenant.
    #[arg(long, env = "DATAFLOW_JWT_TENANT_CLAIM", default_value = "tenant", value_name = "CLAIM")]
    pub jwt_tenant_claim: String,

    /// File with the first API key, `dfk_` and at least 32 further characters: its callers have the scope `admin` and
    /// belong to no tenant. Read again when it changes.
    #[arg(long, env = "DATAFLOW_ADMIN_KEY_FILE", value_name = "FILE")]
    pub admin_key_file: Option<PathBuf>,

    /// File with PEM certificates that verify those of clients: the public port then asks clients for one. Its first
    /// URI among the alternative names, or else its common name, is the identity of a caller without a token or a key.
    /// Needs `--tls-cert` and `--subjects-file`. Reloaded when it changes.
    #[arg(long, env = "DATAFLOW_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,

    /// The mesh whose proxy names the peer of each call in a header, which is the identity of a caller without other
    /// credentials. Only if no call can reach the port past that proxy. Needs `--subjects-file`.
    #[arg(long, env = "DATAFLOW_PEER_IDENTITY", default_value = "none", value_name = "WHICH")]
    pub peer_identity: PeerIdentity,

    /// JSON file with the scope and the tenant of callers known by a certificate or by the mesh: `{"subjects":
    /// [{"subject": "cert:...", "scope": "read", "tenant": "..."}]}`, at most 10,000, with subjects that begin with
    /// `cert:` or `peer:`. Reloaded when it changes.
    #[arg(long, env = "DATAFLOW_SUBJECTS_FILE", value_name = "FILE")]
    pub subjects_file: Option<PathBuf>,

    /// Let callers without credentials read the descriptors of the services by reflection.
    #[arg(long, env = "DATAFLOW_PUBLIC_DOCS", value_parser = FalseyValueParser::new())]
    pub public_docs: bool,
}

// === impl AuthArgs ===

impl AuthArgs {
    /// Whether callers are authenticated.
    pub(crate) fn is_on(&self) -> bool {
        self.jwks.is_some() || self.admin_key_file.is_some() || self.by_table().is_some()
    }

    /// The first flag by which callers are known that only the table of subjects grants something.
    pub(super) fn by_table(&self) -> Option<&'static str> {
        if self.tls_client_ca.is_some() {
            return Some("--tls-client-ca");
        }
        (self.peer_identity != PeerIdentity::None).then_some("--peer-identity")
    }

    /// What tokens must say.
    pub(super) fn expected(&self) -> Expected {
        Expected {
            issuer: self.jwt_issuer.clone(),
            audiences: self.jwt_audience.clone(),
            tenant_claim: self.jwt_tenant_claim.clone(),
            skew: DEFAULT_SKEW,
        }
    }
}
