//! One key of a JWK Set (RFC 7517, 7518 and 8037), with the only algorithm that it verifies. Separate from the set,
//! because only this file calls the cryptography.

use std::fmt;
use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::super::object::{Object, Value};
use super::{MAX_KID, Origin};

/// The bits of a modulus: at least as many as RFC 7518 (3.3) requires, at most as many as can be verified fast.
const RSA_BITS: RangeInclusive<usize> = 2048..=8192;

/// The public exponents that the cryptography takes; they are odd too.
const RSA_EXPONENTS: RangeInclusive<u64> = 3..=(1 << 33) - 1;

/// Bytes of a coordinate of P-256, and of a public key of Ed25519.
const COORDINATE: usize = 32;

/// Bytes of the shortest secret: those of the digest (RFC 7518, 3.2).
const MIN_SECRET: usize = 32;

/// A point follows in full (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// HMAC with SHA-256.
    Hs256,
}

/// A key that can verify signatures.
pub(crate) struct Key {
    kid: Option<String>,
    material: Material,
}

/// The type of a key, which fixes its algorithm.
enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    P256(UnparsedPublicKey<Vec<u8>>),
    Ed25519(UnparsedPublicKey<Vec<u8>>),
    Secret(hmac::Key),
}

// === impl Algorithm ===

impl Algorithm {
    /// The algorithm with this `alg`, in which case matters (RFC 7515, 4.1.1).
    pub(crate) fn named(alg: &str) -> Option<Self> {
        match alg {
            "RS256" => Some(Algorithm::Rs256),
            "ES256" => Some(Algorithm::Es256),
            "EdDSA" => Some(Algorithm::EdDsa),
            "HS256" => Some(Algorithm::Hs256),
            _ => None,
        }
    }
}

// === impl Key ===

impl Key {
    /// The key of a JWK; `None` if it is malformed, weak, of an unknown kind, or not for signatures.
    pub(super) fn read(jwk: &Object, origin: Origin) -> Option<Self> {
        if jwk.repeats() {
            return None;
        }
        let kid = jwk.text("kid").ok()?;
        let is_for_signatures = matches!(jwk.text("use"), Ok(None | Some("sig")));
        let can_verify = match jwk.get("key_ops") {
            None => true,
            Some(Value::Texts(operations)) => operations.iter().any(|operation| operation == "verify"),
            Some(_) => false,
        };
        if !is_for_signatures || !can_verify || kid.is_some_and(|kid| kid.len() > MAX_KID) {
            return None;
        }
        let key = Self { kid: kid.map(str::to_owned), material: Material::read(jwk, origin)? };
        match jwk.text("alg").ok()? {
            Some(alg) if Algorithm::named(alg) != Some(key.algorithm()) => None,
            _ => Some(key),
        }
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The only algorithm for which the key is used.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match &self.material {
            Material::Rsa(_) => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
            Material::Secret(_) => Algorithm::Hs256,
        }
    }

    /// Whether the key made this signature of a message.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.material {
            Material::Rsa(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
            Material::P256(key) | Material::Ed25519(key) => key.verify(message, signature),
            // In constant time.
            Material::Secret(key) => hmac::verify(key, message, signature),
        };
        verified.is_ok()
    }
}

/// Never the key itself, which may be a secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

// === impl Material ===

impl Material {
    fn read(jwk: &Object, origin: Origin) -> Option<Self> {
        let curve = jwk.text("crv").ok()?;
        match (jwk.text("kty").ok()??, curve) {
            ("RSA", _) => Self::rsa(bytes(jwk, "n")?, bytes(jwk, "e")?),
            ("EC", Some("P-256")) => {
                let (x, y) = (coordinate(jwk, "x")?, coordinate(jwk, "y")?);
                let point = [&[UNCOMPRESSED], &x[..], &y[..]].concat();
                Some(Material::P256(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)))
            }
            ("OKP", Some("Ed25519")) => {
                Some(Material::Ed25519(UnparsedPublicKey::new(&ED25519, coordinate(jwk, "x")?)))
            }
            // A secret that a URL serves to its readers is none.
            ("oct", _) if origin == Origin::File => {
                let secret = bytes(jwk, "k")?;
                (secret.len() >= MIN_SECRET)
                    .then(|| Material::Secret(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
            }
            _ => None,
        }
    }

    fn rsa(n: Vec<u8>, e: Vec<u8>) -> Option<Self> {
        let (n, e) = (without_zeros(n), without_zeros(e));
        let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        let exponent = e.iter().try_fold(0u64, |sum, byte| Some(sum.checked_mul(256)? | u64::from(*byte)))?;
        let is_valid =
            RSA_BITS.contains(&bits) && RSA_EXPONENTS.contains(&exponent) && is_odd(&n) && is_odd(&e);
        is_valid.then_some(Material::Rsa(RsaPublicKeyComponents { n, e }))
    }
}

/// The bytes of a member in base64url.
fn bytes(jwk: &Object, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(jwk.text(name).ok()??).ok()
}

fn coordinate(jwk: &Object, name: &str) -> Option<Vec<u8>> {
    bytes(jwk, name).filter(|bytes| bytes.len() == COORDINATE)
}

/// A number without leading zeros, which some providers send although RFC 7518 (2) forbids it. The number is the same.
fn without_zeros(number: Vec<u8>) -> Vec<u8> {
    number.into_iter().skip_while(|byte| *byte == 0).collect()
}
