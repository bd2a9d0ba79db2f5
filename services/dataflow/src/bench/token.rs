//! Tokens (JWT) of every algorithm, and the key set that verifies them, for gateways that authenticate their callers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use ring::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
};
use serde_json::{Value, json};

/// How long a token is valid: longer than any measurement.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Signs a message.
type Sign = dyn Fn(&[u8]) -> anyhow::Result<Vec<u8>> + Send + Sync;

/// An issuer with one key.
pub(super) struct Issuer {
    /// The algorithm, which is the name of its key too.
    pub(super) algorithm: &'static str,
    jwk: Value,
    sign: Box<Sign>,
    expires: u64,
}

/// A key set in a file, and the value of `Authorization` with a token that it verifies.
pub(super) fn issue(directory: &Path) -> anyhow::Result<(PathBuf, String)> {
    let issuer = Issuer::ed25519()?;
    Ok((key_set(&[&issuer], directory)?, issuer.bearer(0)?))
}

/// A file with the keys of these issuers.
pub(super) fn key_set(issuers: &[&Issuer], directory: &Path) -> anyhow::Result<PathBuf> {
    let keys: Vec<_> = issuers.iter().map(|issuer| &issuer.jwk).collect();
    let file = directory.join("jwks.json");
    std::fs::write(&file, json!({ "keys": keys }).to_string())?;
    Ok(file)
}

/// Part of a token.
pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("no key can be made: {error}")
}

// === impl Issuer ===

impl Issuer {
    /// One for each algorithm that the gateway knows.
    pub(super) fn of_each_algorithm() -> anyhow::Result<[Self; 4]> {
        Ok([Self::rsa()?, Self::p256()?, Self::ed25519()?, Self::secret()?])
    }

    /// RSA with 2048 bits, as most issuers have it. The cryptography of this project verifies with such keys and makes
    /// none.
    pub(super) fn rsa() -> anyhow::Result<Self> {
        let made = Command::new("openssl")
            .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
            .args(["-outform", "DER"])
            .output()
            .context("cannot run openssl, which makes the RSA key")?;
        ensure!(made.status.success(), "openssl made no key: {}", String::from_utf8_lossy(&made.stderr));
        // PKCS#8 or PKCS#1, by its version.
        let pair = RsaKeyPair::from_pkcs8(&made.stdout).or_else(|_| RsaKeyPair::from_der(&made.stdout));
        let pair = pair.map_err(failed)?;
        let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
        let jwk = json!({"kty": "RSA", "kid": "RS256", "n": encode(&public.n), "e": encode(&public.e)});
        let sign = move |message: &[u8]| {
            let mut signature = vec![0; pair.public().modulus_len()];
            let random = SystemRandom::new();
            pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(failed)?;
            Ok(signature)
        };
        Self::new("RS256", jwk, sign)
    }

    fn p256() -> anyhow::Result<Self> {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(failed)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).map_err(failed)?;
        let point = pair.public_key().as_ref().get(1..).context("an uncompressed point")?;
        let (x, y) = point.split_at(point.len() / 2);
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "ES256", "x": encode(x), "y": encode(y)});
        Self::new("ES256", jwk, move |message| {
            Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec())
        })
    }

    fn ed25519() -> anyhow::Result<Self> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(failed)?;
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(failed)?;
        let public = encode(pair.public_key());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "EdDSA", "x": public});
        Self::new("EdDSA", jwk, move |message| Ok(pair.sign(message).as_ref().to_vec()))
    }

    fn secret() -> anyhow::Result<Self> {
        let mut secret = [0; 32];
        SystemRandom::new().fill(&mut secret).map_err(failed)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let jwk = json!({"kty": "oct", "kid": "HS256", "k": encode(secret)});
        Self::new("HS256", jwk, move |message| Ok(hmac::sign(&key, message).as_ref().to_vec()))
    }

    fn new(
        algorithm: &'static str,
        jwk: Value,
        sign: impl Fn(&[u8]) -> anyhow::Result<Vec<u8>> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let expires = (SystemTime::now() + LIFETIME).duration_since(UNIX_EPOCH)?.as_secs();
        Ok(Self { algorithm, jwk, sign: Box::new(sign), expires })
    }

    /// The value of `Authorization` with a token; another one for each number, of the same caller.
    pub(super) fn bearer(&self, number: u64) -> anyhow::Result<String> {
        let signed = self.unsigned(number);
        let signature = encode((self.sign)(signed.as_bytes())?);
        Ok(format!("Bearer {signed}.{signature}"))
    }

    /// The same with a signature that is none: of the right length, and a number below that of the key, so that it is
    /// found out by the whole verification only.
    pub(super) fn forged(&self, number: u64) -> anyhow::Result<String> {
        let length = (self.sign)(b"")?.len();
        let mut signature = vec![1; length];
        if let Some(first) = signature.get_mut(..8) {
            first.copy_from_slice(&number.to_be_bytes());
        }
        Ok(format!("Bearer {}.{}", self.unsigned(number), encode(signature)))
    }

    /// Header and claims of a token.
    fn unsigned(&self, number: u64) -> String {
        let header = json!({"alg": self.algorithm, "kid": self.algorithm});
        let claims = json!({
            "sub": "bench", "tenant": "acme", "scope": "read", "exp": self.expires, "jti": number.to_string(),
        });
        format!("{}.{}", encode(header.to_string()), encode(claims.to_string()))
    }
}
