//! Tokens (JWT) of callers, and the key set that verifies them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

/// An issuer of tokens, with one key.
#[derive(Debug)]
pub struct Issuer {
    kid: String,
    key: Ed25519KeyPair,
    file: NamedTempFile,
}

impl Default for Issuer {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Issuer ===

impl Issuer {
    /// An issuer with a key of its own.
    ///
    /// # Panics
    ///
    /// If its key set cannot be written.
    pub fn new() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("there is randomness");
        let key = Ed25519KeyPair::from_pkcs8(key.as_ref()).expect("it is a key");
        let file = NamedTempFile::new().expect("a temporary file can be made");
        let issuer = Self { kid: format!("key-{}", fastrand::u64(..)), key, file };
        std::fs::write(issuer.file.path(), issuer.key_set()).expect("it can be written");
        issuer
    }

    /// Its key set.
    pub fn key_set(&self) -> String {
        let public = URL_SAFE_NO_PAD.encode(self.key.public_key());
        let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": public});
        json!({"keys": [key]}).to_string()
    }

    /// The file of the key set.
    ///
    /// # Panics
    ///
    /// If its path is not UTF-8.
    pub fn jwks(&self) -> &str {
        self.file.path().to_str().expect("temporary files have plain names")
    }

    /// A token with these claims, and the others that a token needs.
    pub fn token(&self, claims: &Value) -> String {
        let mut all = json!({"sub": "ada", "exp": 4_000_000_000_u64});
        for (name, value) in claims.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&json!({"alg": "EdDSA", "kid": self.kid})), encode(&all));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes())))
    }

    /// A token with these scopes, as the value of `authorization`.
    pub fn bearer(&self, scopes: &str) -> String {
        format!("Bearer {}", self.token(&json!({"scope": scopes})))
    }
}
