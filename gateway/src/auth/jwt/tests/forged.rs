//! Forged tokens: what an attacker writes into a header, and signs with what is public. Separate, because all of them
//! try to choose the key or the algorithm, which only the key set may.

use super::super::key_set::MAX_KID;
use super::super::token::TokenError;
use super::signers::{SIGNERS, Signer, base64, public_rsa};
use super::{CLAIMS, all, is_rejected, keys, verified};

#[test]
fn the_key_chooses_the_algorithm() {
    let (mismatch, unknown) = (TokenError::AlgorithmMismatch, TokenError::UnknownKey);
    let forged = |signer: &Signer, header: &str| signer.compact(header, CLAIMS.as_bytes());
    for signer in SIGNERS.iter() {
        let kid = signer.alg;
        for alg in [
            "none", "None", "NONE", "", "RS384", "RS512", "PS256", "ES384", "HS384", "EdDSA ", "Ed25519",
            "RSA",
        ] {
            is_rejected(&all(), &forged(signer, &format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#)), &mismatch);
            is_rejected(&all(), &forged(signer, &format!(r#"{{"alg":"{alg}"}}"#)), &mismatch);
        }
        for alg in [kid.to_lowercase(), format!("{kid}\\u0000"), kid.to_uppercase()] {
            if alg != kid {
                is_rejected(
                    &all(),
                    &forged(signer, &format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#)),
                    &mismatch,
                );
            }
        }
        for other in SIGNERS.iter().filter(|other| other.alg != kid) {
            // Of another key, by its kid or by its algorithm.
            is_rejected(
                &all(),
                &forged(signer, &format!(r#"{{"alg":"{kid}","kid":"{}"}}"#, other.alg)),
                &mismatch,
            );
            let own = keys(&[signer.jwk()]);
            is_rejected(&own, &forged(signer, &format!(r#"{{"alg":"{}"}}"#, other.alg)), &unknown);
        }
        // Without a signature.
        let [header, payload] = [r#"{"alg":"none"}"#, CLAIMS].map(|part| base64(part.as_bytes()));
        is_rejected(&all(), &format!("{header}.{payload}."), &mismatch);
        let header = base64(format!(r#"{{"alg":"{kid}"}}"#).as_bytes());
        is_rejected(&all(), &format!("{header}.{payload}."), &TokenError::SignatureInvalid);
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let rsa = keys(&[SIGNERS[0].jwk()]);
    for secret in public_rsa() {
        let forger = Signer::secret(&secret);
        let token = forger.compact(r#"{"alg":"HS256","kid":"RS256"}"#, CLAIMS.as_bytes());
        is_rejected(&rsa, &token, &TokenError::AlgorithmMismatch);
        let token = forger.compact(r#"{"alg":"HS256"}"#, CLAIMS.as_bytes());
        is_rejected(&rsa, &token, &TokenError::UnknownKey);
        is_rejected(&all(), &token, &TokenError::SignatureInvalid);
        let token = forger.compact(r#"{"alg":"RS256","kid":"RS256"}"#, CLAIMS.as_bytes());
        is_rejected(&rsa, &token, &TokenError::SignatureInvalid);
    }
}

#[test]
fn the_header_only_chooses_a_key_of_the_set() {
    let signer = &SIGNERS[3];
    let check = |header: &str, error: &TokenError| {
        is_rejected(&all(), &signer.compact(header, CLAIMS.as_bytes()), error);
    };
    for kid in [
        "hs256",
        "HS256 ",
        "",
        "a",
        "../../../dev/null",
        "HS256\\u0000",
        "' OR 1=1 --",
        "https://evil.example",
    ] {
        check(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#), &TokenError::UnknownKey);
    }
    check(&format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "a".repeat(MAX_KID)), &TokenError::UnknownKey);
    check(&format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "a".repeat(MAX_KID + 1)), &TokenError::KidTooLong);
    let long = signer.compact(&format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "a".repeat(10_000)), b"{}");
    is_rejected(&all(), &long, &TokenError::TooLong { length: long.len() });
    for kid in ["null", "1", r#"["HS256"]"#] {
        let problem = "a kid that is not a string";
        check(&format!(r#"{{"alg":"HS256","kid":{kid}}}"#), &TokenError::HeaderInvalid { problem });
    }
    for crit in [r#"["exp"]"#, r#"["b64"],"b64":false"#, "[]", "null"] {
        check(&format!(r#"{{"alg":"HS256","kid":"HS256","crit":{crit}}}"#), &TokenError::Critical);
    }
    check(r#"{"kid":"HS256"}"#, &TokenError::HeaderInvalid { problem: "no alg" });
    check(r#"{"Alg":"HS256"}"#, &TokenError::HeaderInvalid { problem: "no alg" });
    for alg in ["null", "1", r#"["HS256"]"#] {
        let problem = "an alg that is not a string";
        check(&format!(r#"{{"alg":{alg}}}"#), &TokenError::HeaderInvalid { problem });
    }
    // A key in the header is not used, nor is one that it refers to.
    let forger = Signer::secret(&[8; 32]);
    let jwk = forger.jwk();
    for own in
        [format!(r#""jwk":{jwk}"#), r#""jku":"https://evil.example","x5u":"a","x5c":["AA=="]"#.to_owned()]
    {
        let header = format!(r#"{{"alg":"HS256","kid":"HS256",{own}}}"#);
        is_rejected(&all(), &forger.compact(&header, CLAIMS.as_bytes()), &TokenError::SignatureInvalid);
        assert!(verified(&all(), &signer.compact(&header, CLAIMS.as_bytes())).is_ok());
    }
    assert!(TokenError::UnknownKey.is_unknown_key() && !TokenError::AlgorithmMismatch.is_unknown_key());
}

#[test]
fn a_token_without_kid_is_verified_with_a_limited_number_of_keys() {
    let others = |count: u8| (0..count).map(|fill| Signer::secret(&[100 + fill; 32]).key);
    let token = SIGNERS[3].compact(r#"{"alg":"HS256"}"#, CLAIMS.as_bytes());
    let with = |before: u8| {
        let jwks = others(before).chain([SIGNERS[2].key.clone(), SIGNERS[3].key.clone()]);
        verified(&keys(&jwks.map(|key| format!("{{{key}}}")).collect::<Vec<_>>()), &token)
    };
    assert!(with(7).is_ok());
    assert_eq!(with(8), Err(TokenError::SignatureInvalid));
}
