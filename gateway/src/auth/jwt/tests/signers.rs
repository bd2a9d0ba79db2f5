//! Signers of test tokens, one for each algorithm, with the JWKs of their keys. Separate from the tests, because those
//! of key sets need the keys too.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};

/// A private RSA key of 2048 bits (PKCS#8), made for these tests and used nowhere else: the cryptography cannot make
/// one.
const RSA: &str = concat!(
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC6AiZg2hXYygrcipzXfejoRUrFJy+51ZirU88JQZt4IPWMkQcg",
    "uPBz0eUuXSwR4+T/0zSSDXoBMUxuDtNUEit82lKjdB//NE3ZO+8T5xWdGl0y3ecvav2jQr6sqJK/D0KD2cfyrJCJNcMLRCYP1aYr",
    "k8oyc/s82G9Byx/0Sm/1/pl9qq5b2qCDgjSc8QRnIXtNQ/8ykie0K1RqieZEtDQTmA72aKdMf4f1RDS3JH1bX/SBNESdsLR0H6Iw",
    "Y7/zSAARr7bNCY9Q4Yu8liZm8RGCvo4OeuyoIaw2UmdPrgm+vdBwYvf6T3WPPeWS2mm1jfyq5koltFKKmfycp3ejwZU/AgMBAAEC",
    "ggEAE5nKZYZVqwSPZHIO2P5hnqg+msvoUZLahaNNO9J4CY6fkXJu59nVLL8/gUU8MZ5sMTEWZxWYd6u0PBy/1Cod/wgakTLZdFEU",
    "qwGPze8Z7fYrQAL2K58An0WXRiZ1YEDBZ5d5ZG8ew/awWO2TfTOsUQc/1VU3ck/0WWCIO3vklG1TW0+rDeOUjLXHSkZdg0sKuldd",
    "DJYv6zxqspz95DR+j5avlQ6Po7Ige9yryNPuM0fwJ5HtsiZpOltqZ2Wx180yDgB34K3SSxbAcI4LMaEUvwwHhzJHhLVBLc03G7Oh",
    "TxG5Clp5yQERAPwLEzzFkmg7qapoX5OM2vREVG0U+G6PUQKBgQD63BhdJa1gQsxwTJkaSKi+Ykc9soW8g2n1mDjl/3Q8xRHr54Pj",
    "wJrMZpPpVVFT0PPMUe9/8KTpFaYGV0TI1E8Qt8Yi1bf7MnuVUlMxVWFqp/qwnEpLka1o/9d/Atr0kGIHHOc3vfJLMrgMUudJ1yq+",
    "fB6Wv13/qVYNdIm1tiVFhQKBgQC90d8va8FdAfoMX9njFqqh4ViP1ExOqyU8wPrCZQp73PjJI0a/wYEVfNpFGVP6DBXheY1ggxRq",
    "4u/B2dvS9cl94AJrOLhMZKSNiO/bgMIzRJskRuZ23cii4ulXB2dSd7ejzyoLlGioGSqU/rar8laQCQp/gOGwIJy0Vthi5pW48wKB",
    "gQDDDwbGzvgsBGTQ4U6fGGZVezen6ruApLJsbEu501N/uUDBLQjpvCbhztUuNtABG1WmxwMyeVzRfKrW/V6XxjYgarVe+s2PPmbH",
    "6faUQq5371vHng9LCWBMZ7sZoI++YNJIc5n6RvEytaJUutXrHaq36O0kDHM7y2EFH1vA9nuuvQKBgFF8lRkgYwPwY02IoFrSUjHo",
    "MUKdWpyy7+ti1MM66QM/WzXNhQOwqB93V6QuOVSwd3wx2DVEUDGKdm57fdjUVslIrwEkekmhMtrnnEBYyAWGQCuUnD8O+qCiVJVd",
    "wkcuyZDy0BPkhAEVvKf1qKmsAOkYWH9f7oLTnTH1zjK21jNtAoGANsnVcOtG/Q2pFIxPgWkoMYKU6CBTuifx34hlbfer5rg+nYku",
    "pLhhOE0aDEzluQpwu4w2ZzQ4Guyb4ohiQMociCGDIFkPfEXui9ZKjsFOS4BfYIb8hjlTzwcCXJjW6wf4y0czoa3MeK9NEfmzyKWl",
    "o4qUp1yu1Q5M2eqQheH2Dkg=",
);

/// The first bytes of a public key of RSA with 2048 bits as PEM files have it (RFC 5280, 4.1): up to its PKCS#1 form.
const SPKI: [u8; 24] = [
    0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00,
];

/// One for each algorithm, the same for all tests of a run.
pub(crate) static SIGNERS: LazyLock<[Signer; 4]> =
    LazyLock::new(|| [Signer::rsa(), Signer::p256(), Signer::ed25519(), Signer::secret(&[7; 32])]);

/// Signs a message.
type Sign = dyn Fn(&[u8]) -> Vec<u8> + Send + Sync;

/// A private key, and how others find its public one.
pub(crate) struct Signer {
    pub(crate) alg: &'static str,
    /// The members of its JWK that are specific to the key, without braces.
    pub(crate) key: String,
    sign: Box<Sign>,
}

// === impl Signer ===

impl Signer {
    fn rsa() -> Self {
        let pair = rsa();
        let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
        let key = format!(r#""kty":"RSA","n":"{}","e":"{}""#, base64(&public.n), base64(&public.e));
        let sign = move |message: &[u8]| {
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        };
        Self { alg: "RS256", key, sign: Box::new(sign) }
    }

    fn p256() -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let key = format!(r#""kty":"EC","crv":"P-256","x":"{}","y":"{}""#, base64(x), base64(y));
        let sign = move |message: &[u8]| pair.sign(&random, message).unwrap().as_ref().to_vec();
        Self { alg: "ES256", key, sign: Box::new(sign) }
    }

    fn ed25519() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let key = format!(r#""kty":"OKP","crv":"Ed25519","x":"{}""#, base64(pair.public_key().as_ref()));
        Self { alg: "EdDSA", key, sign: Box::new(move |message| pair.sign(message).as_ref().to_vec()) }
    }

    /// A signer with a secret, which may be any bytes.
    pub(crate) fn secret(secret: &[u8]) -> Self {
        let pair = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let key = format!(r#""kty":"oct","k":"{}""#, base64(secret));
        Self {
            alg: "HS256",
            key,
            sign: Box::new(move |message| hmac::sign(&pair, message).as_ref().to_vec()),
        }
    }

    /// The JWK of its key, with the name of the algorithm as `kid`.
    pub(crate) fn jwk(&self) -> String {
        format!(r#"{{"kid":"{}",{}}}"#, self.alg, self.key)
    }

    /// A token with these claims and the usual header.
    pub(crate) fn token(&self, claims: &str) -> String {
        self.compact(&format!(r#"{{"alg":"{0}","kid":"{0}"}}"#, self.alg), claims.as_bytes())
    }

    /// A token with any header and payload, with a signature that is right.
    pub(crate) fn compact(&self, header: &str, payload: &[u8]) -> String {
        let signed = format!("{}.{}", base64(header.as_bytes()), base64(payload));
        let signature = (self.sign)(signed.as_bytes());
        format!("{signed}.{}", base64(&signature))
    }
}

/// What others know of the RSA key, as bytes of which they may make a secret: DER, PEM and the modulus.
pub(crate) fn public_rsa() -> Vec<Vec<u8>> {
    let pair = rsa();
    let pkcs1 = pair.public().as_ref().to_vec();
    let spki = [&SPKI[..], &pkcs1].concat();
    let text = STANDARD.encode(&spki);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
    let modulus = PublicKeyComponents::<Vec<u8>>::from(pair.public()).n;
    vec![
        pkcs1,
        spki,
        pem.trim().as_bytes().to_vec(),
        pem.into_bytes(),
        base64(&modulus).into_bytes(),
        modulus,
    ]
}

fn rsa() -> RsaKeyPair {
    RsaKeyPair::from_pkcs8(&STANDARD.decode(RSA).unwrap()).unwrap()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
