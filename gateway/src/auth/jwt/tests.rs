//! Whole tokens, from the text to the claims. Those that are rejected by their form or their signature are in the
//! modules below.

mod forged;
mod form;
pub(crate) mod signers;
mod standards;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::key_set::{KeySet, Origin};
use super::token::{Claims, DEFAULT_SKEW, Expected, TokenError, verify};
use signers::{SIGNERS, Signer};

const CLAIMS: &str = concat!(
    r#"{"iss":"https://id.example","sub":"ada","aud":["dataflow"],"exp":1700000100,"nbf":1700000000,"#,
    r#""iat":1700000000,"org":"acme","scope":"read write","scp":["admin"]}"#
);

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn keys(jwks: &[String]) -> KeySet {
    KeySet::parse(format!(r#"{{"keys":[{}]}}"#, jwks.join(",")).as_bytes(), Origin::File).unwrap()
}

/// The keys of all signers.
fn all() -> KeySet {
    keys(&SIGNERS.iter().map(Signer::jwk).collect::<Vec<_>>())
}

fn expected() -> Expected {
    Expected {
        issuer: Some("https://id.example".to_owned()),
        audiences: vec!["dataflow".to_owned()],
        tenant_claim: "org".to_owned(),
        skew: DEFAULT_SKEW,
    }
}

fn verified(keys: &KeySet, token: &str) -> Result<Claims, TokenError> {
    verify(keys, &expected(), token, at(1_700_000_000))
}

#[track_caller]
fn is_rejected(keys: &KeySet, token: &str, error: &TokenError) {
    assert_eq!(verified(keys, token).as_ref(), Err(error), "{}", token.escape_debug());
}

fn malformed(part: &'static str, problem: &'static str) -> TokenError {
    TokenError::Malformed { part, problem }
}

#[test]
fn a_token_of_each_algorithm_is_verified() {
    let claims = Claims {
        subject: "ada".to_owned(),
        tenant: Some("acme".to_owned()),
        scopes: ["read", "write", "admin"].map(str::to_owned).to_vec(),
        rate: None,
        expires: at(1_700_000_100),
    };
    for signer in SIGNERS.iter() {
        let alg = signer.alg;
        let bare = format!(r#"{{"alg":"{alg}"}}"#);
        let spaced =
            format!(r#"{{ "typ": "JWT", "cty": "JWT", "kid": "{alg}", "alg": "{alg}", "other": [1] }}"#);
        for token in [
            signer.token(CLAIMS),
            signer.compact(&bare, CLAIMS.as_bytes()),
            signer.compact(&spaced, CLAIMS.as_bytes()),
        ] {
            assert_eq!(verified(&all(), &token), Ok(claims.clone()), "{token}");
        }
        // A key without kid is found by its algorithm only.
        let unnamed = keys(&[format!("{{{}}}", signer.key)]);
        assert_eq!(verified(&unnamed, &signer.compact(&bare, CLAIMS.as_bytes())), Ok(claims.clone()));
        is_rejected(&unnamed, &signer.token(CLAIMS), &TokenError::UnknownKey);
    }
}

#[test]
fn the_claims_are_checked() {
    let signer = &SIGNERS[3];
    let check = |from: &str, to: &str, error: &TokenError| {
        assert!(CLAIMS.contains(from));
        is_rejected(&all(), &signer.token(&CLAIMS.replace(from, to)), error);
    };
    check("1700000100", "1699999940", &TokenError::Expired);
    check(r#""nbf":1700000000"#, r#""nbf":1700000061"#, &TokenError::NotYetValid);
    check("https://id.example", "https://evil.example", &TokenError::IssuerMismatch);
    check(r#"["dataflow"]"#, r#"["other"]"#, &TokenError::AudienceMismatch);
    check(r#""aud""#, r#""AUD""#, &TokenError::ClaimInvalid { claim: "aud", problem: "is missing" });
    check("ada", "", &TokenError::ClaimInvalid { claim: "sub", problem: "is empty" });
    check("acme", "../acme", &TokenError::TenantInvalid);
    check(
        r#""org":"acme""#,
        r#""org":"acme","org":"evil""#,
        &malformed("payload", "a JSON object in which a name occurs twice"),
    );
}
