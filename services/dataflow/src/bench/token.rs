//! A token (JWT) and the key set that verifies it, for a gateway that authenticates its callers.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

/// How long the token is valid: longer than any measurement.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// A key set in a file, and the value of `Authorization` with a token that it verifies.
pub(super) fn issue(directory: &Path) -> anyhow::Result<(PathBuf, String)> {
    let failed = |error: &dyn std::fmt::Display| anyhow::anyhow!("no key can be made: {error}");
    let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|error| failed(&error))?;
    let pair = Ed25519KeyPair::from_pkcs8(pair.as_ref()).map_err(|error| failed(&error))?;
    let public = URL_SAFE_NO_PAD.encode(pair.public_key());
    let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "bench", "x": public});
    let file = directory.join("jwks.json");
    std::fs::write(&file, json!({"keys": [key]}).to_string())?;

    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let expires = (SystemTime::now() + LIFETIME).duration_since(UNIX_EPOCH)?.as_secs();
    let claims = json!({"sub": "bench", "tenant": "acme", "scope": "read", "exp": expires});
    let signed = format!("{}.{}", encode(&json!({"alg": "EdDSA", "kid": "bench"})), encode(&claims));
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
    Ok((file, format!("Bearer {signed}.{signature}")))
}
