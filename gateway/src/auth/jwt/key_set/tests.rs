//! Key sets: which keys are used, which are skipped, and what is no key set.

use proptest::prelude::*;

use super::super::tests::signers::{SIGNERS, base64};
use super::*;

/// Members of a key of Ed25519, without braces.
const ED25519: &str = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

fn set(keys: &[String]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// How many keys of a set are used, and how many are skipped.
#[track_caller]
fn check(keys: &[String], origin: Origin, expected: (usize, usize)) {
    let counts = match KeySet::parse(set(keys).as_bytes(), origin) {
        Ok(keys) => (keys.keys().len(), keys.skipped()),
        Err(KeySetError::NoUsableKey { skipped }) => (0, skipped),
        Err(error) => panic!("{keys:?}: {error}"),
    };
    assert_eq!(counts, expected, "{keys:?}");
}

#[track_caller]
fn is_used(key: &str) {
    check(&[format!("{{{key}}}")], Origin::File, (1, 0));
}

#[track_caller]
fn is_skipped(key: &str) {
    check(&[format!("{{{key}}}")], Origin::File, (0, 1));
    check(&[format!("{{{key}}}"), format!("{{{ED25519}}}")], Origin::File, (1, 1));
}

#[test]
fn each_type_has_its_algorithm() {
    for signer in SIGNERS.iter() {
        let (key, alg) = (&signer.key, signer.alg);
        is_used(key);
        is_used(&format!(r#"{key},"alg":"{alg}""#));
        for other in [
            "RS256", "ES256", "EdDSA", "HS256", "rs256", "none", "", "RS384", "RS512", "PS256", "ES384",
            "HS512",
        ] {
            if other != alg {
                is_skipped(&format!(r#"{key},"alg":"{other}""#));
            }
        }
        is_skipped(&format!(r#"{key},"alg":null"#));
        let keys = KeySet::parse(set(&[signer.jwk()]).as_bytes(), Origin::File).unwrap();
        assert_eq!(keys.keys()[0].algorithm(), Algorithm::named(alg).unwrap());
    }
}

#[test]
fn secrets_are_used_only_from_a_file() {
    let keys: Vec<_> = SIGNERS.iter().map(|signer| signer.jwk()).collect();
    check(&keys, Origin::File, (4, 0));
    check(&keys, Origin::Url, (3, 1));
    check(&keys[3..], Origin::Url, (0, 1));
}

#[test]
fn a_key_for_another_use_is_skipped() {
    for rest in [
        r#""use":"sig""#,
        r#""key_ops":["verify"]"#,
        r#""key_ops":["sign","verify"],"use":"sig""#,
        r#""kid":"","x5c":["AA=="],"unknown":{"a":[1]}"#,
    ] {
        is_used(&format!("{ED25519},{rest}"));
    }
    for rest in [
        r#""use":"enc""#,
        r#""use":"SIG""#,
        r#""use":null"#,
        r#""use":["sig"]"#,
        r#""key_ops":["sign"]"#,
        r#""key_ops":[]"#,
        r#""key_ops":"verify""#,
        r#""key_ops":["verify",1]"#,
        r#""kid":1"#,
        r#""kty":"OKP""#,
    ] {
        is_skipped(&format!("{ED25519},{rest}"));
    }
    is_used(&format!(r#"{ED25519},"kid":"{}""#, "é".repeat(MAX_KID / 2)));
    is_skipped(&format!(r#"{ED25519},"kid":"{}a""#, "é".repeat(MAX_KID / 2)));
}

#[test]
fn a_key_of_another_type_or_curve_is_skipped() {
    let (half, long) = (base64(&[1; 32]), base64(&[1; 48]));
    for key in [
        String::new(),
        r#""kty":null"#.to_owned(),
        r#""kty":"AKP","alg":"ML-DSA-44""#.to_owned(),
        format!(r#""kty":"EC","crv":"P-384","x":"{long}","y":"{long}""#),
        format!(r#""kty":"EC","crv":"secp256k1","x":"{half}","y":"{half}""#),
        format!(r#""kty":"EC","crv":"p-256","x":"{half}","y":"{half}""#),
        format!(r#""kty":"OKP","crv":"X25519","x":"{half}""#),
        format!(r#""kty":"OKP","crv":"P-256","x":"{half}","y":"{half}""#),
        format!(r#""kty":"okp","crv":"Ed25519","x":"{half}""#),
    ] {
        is_skipped(&key);
    }
}

#[test]
fn a_malformed_key_is_skipped() {
    let (half, short, long) = (base64(&[1; 32]), base64(&[1; 31]), base64(&[1; 33]));
    for (x, y) in [
        (&short, &half),
        (&half, &short),
        (&long, &half),
        (&half, &long),
        (&format!("{half}="), &half),
        (&format!("!{half}"), &half),
    ] {
        is_skipped(&format!(r#""kty":"EC","crv":"P-256","x":"{x}","y":"{y}""#));
    }
    is_skipped(&format!(r#""kty":"EC","crv":"P-256","x":"{half}""#));
    // The last character has bits that are not used; they are set here.
    let trailing = format!("{}B", &base64(&[0; 32])[..42]);
    for x in [&short, &long, &trailing, &String::new()] {
        is_skipped(&format!(r#""kty":"OKP","crv":"Ed25519","x":"{x}""#));
    }
    let check_secret = |length: usize, is_long: bool| {
        let key = format!(r#""kty":"oct","k":"{}""#, base64(&vec![1; length]));
        if is_long { is_used(&key) } else { is_skipped(&key) }
    };
    check_secret(0, false);
    check_secret(31, false);
    check_secret(32, true);
    check_secret(64, true);
    is_skipped(r#""kty":"oct","k":1"#);
}

#[test]
fn the_modulus_and_exponent_of_rsa_are_of_a_size_that_can_be_verified() {
    let check = |n: &[u8], e: &[u8], is_valid: bool| {
        let key = format!(r#""kty":"RSA","n":"{}","e":"{}""#, base64(n), base64(e));
        if is_valid { is_used(&key) } else { is_skipped(&key) }
    };
    let modulus = |first: u8, bytes: usize| [vec![first], vec![0xff; bytes - 1]].concat();
    let (good, usual) = (modulus(0x80, 256), [1, 0, 1]);
    check(&good, &usual, true);
    check(&modulus(0x7f, 256), &usual, false);
    check(&modulus(0x80, 128), &usual, false);
    check(&modulus(0xff, 1024), &usual, true);
    check(&modulus(0x01, 1025), &usual, false);
    check(&[], &usual, false);
    check(&[0; 256], &usual, false);
    // Leading zeros, which do not make it longer.
    check(&[&[0], &good[..]].concat(), &[0, 1, 0, 1], true);
    check(&[&[0; 200], &modulus(0xff, 128)[..]].concat(), &usual, false);
    // Even numbers.
    check(&[&good[..255], &[0xfe]].concat(), &usual, false);
    check(&good, &[1, 0, 0], false);
    for (e, is_valid) in [
        (&[][..], false),
        (&[0], false),
        (&[1], false),
        (&[3], true),
        (&[1, 0xff, 0xff, 0xff, 0xff], true),
        (&[2, 0, 0, 0, 1], false),
        (&[1; 9], false),
        (&[1; 300], false),
    ] {
        check(&good, e, is_valid);
    }
}

#[test]
fn a_kid_names_one_key_and_its_case_matters() {
    let key = |kid: &str| format!(r#"{{{ED25519},"kid":"{kid}"}}"#);
    let parse = |keys: &[String]| KeySet::parse(set(keys).as_bytes(), Origin::Url);
    let keys = parse(&[key("a"), key("A"), key("a "), key("é"), key("e\u{301}")]).unwrap();
    for (position, kid) in ["a", "A", "a ", "é", "e\u{301}"].into_iter().enumerate() {
        let found = keys.with_kid(kid).unwrap();
        assert!(std::ptr::eq(found, &raw const keys.keys()[position]), "{kid}");
    }
    assert!(keys.with_kid("").is_none());
    let repeated = |kid: &str| KeySetError::KidRepeated { kid: kid.to_owned() };
    assert_eq!(parse(&[key("a"), key("b"), key(r"\u0061")]).unwrap_err(), repeated("a"));
    let shown = parse(&[key(r"\n"), key(r"\n")]).unwrap_err().to_string();
    assert_eq!(shown, r#"two keys of the key set have the kid "\n""#);
    // Keys without a kid, and keys that are not used, have none in common.
    let (bare, unused) = (format!("{{{ED25519}}}"), r#"{"kty":"EC","kid":"a"}"#.to_owned());
    check(&[bare.clone(), bare, key("a"), unused], Origin::Url, (3, 1));
}

#[test]
fn a_set_has_limits() {
    let many = |count: usize| vec![format!("{{{ED25519}}}"); count];
    check(&many(MAX_KEYS), Origin::Url, (MAX_KEYS, 0));
    let parse = |json: &str| KeySet::parse(json.as_bytes(), Origin::Url).err();
    assert_eq!(parse(&set(&many(MAX_KEYS + 1))), Some(KeySetError::TooManyKeys { keys: MAX_KEYS + 1 }));
    assert_eq!(parse(&set(&many(10_000))), Some(KeySetError::TooManyKeys { keys: 10_000 }));
    let length = MAX_BYTES + 1;
    assert_eq!(parse(&" ".repeat(length)), Some(KeySetError::TooLong { length }));
    let short = set(&many(1));
    assert_eq!(parse(&format!("{short}{}", " ".repeat(MAX_BYTES - short.len()))), None);
}

#[test]
fn what_is_no_key_set_is_named() {
    let check = |text: &[u8], origin: Origin, expected: &str| {
        let error = KeySet::parse(text, origin).unwrap_err().to_string();
        assert_eq!(error, expected, "{}", text.escape_ascii());
    };
    let check_json = |json: &str| {
        let error = KeySet::parse(json.as_bytes(), Origin::File).unwrap_err();
        assert!(matches!(error, KeySetError::NotKeySet { .. }), "{json}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    };
    check(b"", Origin::Url, "the key set is empty");
    check(b" \r\n", Origin::File, "the key set is empty");
    check(b"\x1f\x8b", Origin::Url, "the key set is not UTF-8 text");
    check(
        b"\n<!DOCTYPE html>\n<html lang=\"en\"><head><title>Sign in</title>",
        Origin::Url,
        concat!(
            r#"the key set is not JSON: it starts with "<!DOCTYPE html>\n<html lang=\"en\"><head><t", "#,
            "and the error is in line 2, column 1"
        ),
    );
    check(
        "\u{1b}[31mé\u{202e}".as_bytes(),
        Origin::Url,
        r#"the key set is not JSON: it starts with "\u{1b}[31mé\u{202e}", and the error is in line 1, column 1"#,
    );
    let truncated = br#"{"keys":[{"kty":"oct","k":"secret"#;
    let shown = r#"the key set is not JSON: it starts with "{", and the error is in line 1, column 33"#;
    check(truncated, Origin::File, shown);
    check(br#"{"keys":[]}"#, Origin::Url, &KeySetError::NoUsableKey { skipped: 0 }.to_string());
    let key = format!("{{{ED25519}}}");
    for json in ["{}", "[]", "1", r#""secret""#, r#"{"keys":"secret"}"#, r#"{"keys":{}}"#, r#"{"keys":null}"#]
    {
        check_json(json);
    }
    check_json(&key);
    check_json(&format!(r#"{{"keys":[{key},"secret"]}}"#));
    check_json(&format!(r#"{{"keys":[{key}],"keys":[{key}]}}"#));
}

#[test]
fn no_secret_is_shown() {
    let keys = KeySet::parse(set(&[SIGNERS[3].jwk()]).as_bytes(), Origin::File).unwrap();
    let expected = r#"KeySet { keys: [Key { kid: Some("HS256"), algorithm: Hs256, .. }], skipped: 0 }"#;
    assert_eq!(format!("{keys:?}"), expected);
}

proptest! {
    #[test]
    fn any_set_is_handled(bytes: Vec<u8>, at: prop::sample::Index, byte: u8, text in r#"[\[\]{}":,a-z0-9]*"#) {
        let mut mutated = set(&SIGNERS.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()).into_bytes();
        let at = at.index(mutated.len());
        mutated[at] = byte;
        for set in [&bytes[..], text.as_bytes(), &mutated] {
            if let Ok(keys) = KeySet::parse(set, Origin::File) {
                prop_assert!(!keys.keys().is_empty() && keys.keys().len() + keys.skipped() <= 4);
                prop_assert!(keys.keys().iter().all(|key| !key.verifies(b"", b"")));
            }
        }
    }
}
