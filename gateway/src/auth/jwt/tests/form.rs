//! The form of tokens: their parts, their JSON, any text, and what errors say about them. Separate from what is signed
//! by whom.

use proptest::prelude::*;

use super::super::token::{MAX_TOKEN, TokenError};
use super::signers::{SIGNERS, Signer, base64};
use super::{CLAIMS, all, is_rejected, keys, malformed, verified};

#[test]
fn a_token_has_three_parts_in_base64url() {
    let (keys, good) = (all(), SIGNERS[2].token(CLAIMS));
    let parts: Vec<_> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let not_base64 = "not base64url without padding";
    for (text, found) in [
        ("", 1),
        ("a", 1),
        (header, 1),
        (".", 2),
        (&good[..header.len() + 1 + payload.len()], 2),
        (&format!("{good}."), 4),
        (&format!("{good}.{signature}"), 4),
        (&format!("{good}.."), 5),
        (&".".repeat(MAX_TOKEN), MAX_TOKEN + 1),
    ] {
        is_rejected(&keys, text, &TokenError::NotThreeParts { found });
    }
    is_rejected(&keys, "..", &malformed("header", "not a JSON object"));
    for padding in ["=", "==", " ", "\n", "\0", "+", "é"] {
        let text = |part: &str| format!("{part}{padding}");
        let tokens = [
            ("header", format!("{}.{payload}.{signature}", text(header))),
            ("payload", format!("{header}.{}.{signature}", text(payload))),
            ("signature", format!("{header}.{payload}.{}", text(signature))),
        ];
        for (part, token) in tokens {
            is_rejected(&keys, &token, &malformed(part, not_base64));
        }
    }
    // The last character of 64 bytes has four bits that are not used; one of them is set here.
    let alike = &good[..good.len() - 1];
    is_rejected(&keys, &format!("{alike}B"), &malformed("signature", not_base64));
    is_rejected(&keys, &format!("Bearer {good}"), &malformed("header", not_base64));
    for length in [MAX_TOKEN + 1, 100_000] {
        is_rejected(&keys, &"a".repeat(length), &TokenError::TooLong { length });
    }
    let padded = |bytes: usize| SIGNERS[3].token(&format!("{CLAIMS:bytes$}"));
    let (longest, longer) = (padded(6081), padded(6082));
    assert_eq!(longest.len(), MAX_TOKEN);
    assert!(verified(&keys, &longest).is_ok());
    is_rejected(&keys, &longer, &TokenError::TooLong { length: longer.len() });
}

#[test]
fn header_and_payload_are_json_objects() {
    let signer = &SIGNERS[3];
    let repeated = "a JSON object in which a name occurs twice";
    for (header, problem) in [
        ("", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("{", "not a JSON object"),
        (r#"{"alg":"HS256"}{}"#, "not a JSON object"),
        (r#"{"alg":"none","alg":"HS256"}"#, repeated),
        (r#"{"alg":"HS256","\u0061lg":"none"}"#, repeated),
        (r#"{"alg":"HS256","kid":"HS256","kid":"a"}"#, repeated),
        (r#"{"alg":"HS256","a":1,"a":1}"#, repeated),
    ] {
        let token = signer.compact(header, CLAIMS.as_bytes());
        is_rejected(&all(), &token, &malformed("header", problem));
    }
    let header = r#"{"alg":"HS256"}"#;
    for (payload, problem) in [
        (&b""[..], "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{\"sub\":\"\xff\"}", "not UTF-8"),
        (b"{\"a\":[1,\"\xc3\"]}", "not UTF-8"),
        (b"{\"exp\":1,\"exp\":1800000000}", repeated),
    ] {
        let token = signer.compact(header, payload);
        is_rejected(&all(), &token, &malformed("payload", problem));
        // Not read before the signature is verified.
        let forged = Signer::secret(&[8; 32]).compact(header, payload);
        is_rejected(&all(), &forged, &TokenError::SignatureInvalid);
    }
    let not_utf8 = format!("{}.{}.AA", base64(b"{\"alg\":\"HS256\xff\"}"), base64(b"{}"));
    is_rejected(&all(), &not_utf8, &malformed("header", "not UTF-8"));
}

#[test]
fn no_error_shows_what_the_token_has() {
    let signer = &SIGNERS[3];
    let marked = CLAIMS.replace("ada", "marker");
    let header = |rest: &str| format!(r#"{{"alg":"HS256",{rest}}}"#);
    let mut tokens = vec![
        "marker".to_owned(),
        "marker.marker.marker".to_owned(),
        "marker!.marker.marker".to_owned(),
        signer.compact(r#"{"alg":"marker"}"#, b"{}"),
        signer.compact(&header(r#""kid":"marker""#), b"{}"),
        signer.compact(&header(r#""crit":["marker"]"#), b"{}"),
        signer.compact(&header(r#""marker":1,"marker":2"#), b"{}"),
        signer.compact(r#"{"alg":"HS256"}"#, b"marker"),
        signer.compact(r#"{"alg":"HS256"}"#, br#"{"marker":1,"marker":2}"#),
    ];
    for (from, to) in [
        ("1700000100", "1"),
        ("1700000100", r#""marker""#),
        (r#""nbf":1700000000"#, r#""nbf":1800000000"#),
        ("https://id.example", "marker"),
        ("dataflow", "marker"),
        ("marker", r"marker\n"),
        ("acme", "marker/"),
        ("read", r"marker\n"),
        ("admin", "marker marker"),
    ] {
        tokens.push(signer.token(&marked.replace(from, to)));
    }
    for token in tokens {
        let error = verified(&all(), &token).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("marker"), "{error:?}");
    }
}

proptest! {
    #[test]
    fn a_token_that_differs_in_one_byte_is_rejected(
        signer in 0..4usize,
        at: prop::sample::Index,
        byte in 0..128u8,
    ) {
        let mut token = SIGNERS[signer].token(CLAIMS).into_bytes();
        let at = at.index(token.len());
        prop_assume!(token[at] != byte);
        token[at] = byte;
        prop_assert!(verified(&all(), str::from_utf8(&token).unwrap()).is_err());
    }

    #[test]
    fn any_text_is_rejected(text: String, parts in r"[A-Za-z0-9_-]{0,20}(\.[A-Za-z0-9_-]{0,20}){2}", json: String) {
        let keys = all();
        let header = format!("{}.{}.AA", base64(json.as_bytes()), base64(text.as_bytes()));
        for token in [text, parts, header] {
            prop_assert!(verified(&keys, &token).is_err());
        }
    }

    #[test]
    fn any_payload_that_is_signed_is_handled(bytes: Vec<u8>, at: prop::sample::Index, byte: u8) {
        let mut claims = CLAIMS.as_bytes().to_vec();
        let at = at.index(claims.len());
        claims[at] = byte;
        let keys = keys(&[SIGNERS[3].jwk()]);
        for payload in [&bytes[..], &claims] {
            let token = SIGNERS[3].compact(r#"{"alg":"HS256"}"#, payload);
            if let Ok(claims) = verified(&keys, &token) {
                prop_assert!((1..=256).contains(&claims.subject.len()));
                prop_assert!(claims.tenant.is_none_or(|tenant| !tenant.contains('/')));
            }
        }
    }
}
