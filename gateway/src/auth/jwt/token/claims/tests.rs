//! The claims of a verified token, one after the other.

use super::*;

/// The time of all checks, in seconds.
const NOW: u64 = 1_700_000_000;

fn expected() -> Expected {
    Expected {
        issuer: None,
        audiences: Vec::new(),
        tenant_claim: "tenant".to_owned(),
        skew: Duration::from_secs(60),
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Reads these claims, added to the usual ones.
fn read_as(expected: &Expected, claims: &str) -> Result<Claims, TokenError> {
    let json = format!(r#"{{"sub":"ada","exp":{},{claims}}}"#, NOW + 100);
    Claims::read(json.as_bytes(), expected, at(NOW))
}

fn read(claims: &str) -> Result<Claims, TokenError> {
    read_as(&expected(), claims)
}

#[track_caller]
fn is_invalid(claims: &str, claim: &str) {
    let json = format!("{{{claims}}}");
    match Claims::read(json.as_bytes(), &expected(), at(NOW)) {
        Err(TokenError::ClaimInvalid { claim: found, .. }) => assert_eq!(found, claim, "{claims}"),
        other => panic!("{claims}: {other:?}"),
    }
}

#[test]
fn a_token_is_valid_before_exp_and_from_nbf_on_with_the_skew_on_both_sides() {
    let nanosecond = Duration::from_nanos(1);
    let check = |claims: &str, now: SystemTime, expected_error: Option<TokenError>| {
        let json = format!(r#"{{"sub":"ada",{claims}}}"#);
        assert_eq!(Claims::read(json.as_bytes(), &expected(), now).err(), expected_error, "{claims} {now:?}");
    };
    check(r#""exp":1000"#, at(0), None);
    check(r#""exp":1000"#, at(1060) - nanosecond, None);
    check(r#""exp":1000"#, at(1060), Some(TokenError::Expired));
    check(r#""exp":1000"#, at(1061), Some(TokenError::Expired));
    check(r#""exp":1000.5"#, at(1060), None);
    check(r#""exp":1000.5"#, at(1061), Some(TokenError::Expired));
    check(r#""exp":1e3"#, at(1059), None);
    check(r#""exp":0"#, at(59), None);
    check(r#""exp":0"#, at(60), Some(TokenError::Expired));
    check(r#""exp":253402300799"#, at(NOW), None);
    check(r#""exp":2000,"nbf":1000"#, at(940), None);
    check(r#""exp":2000,"nbf":1000"#, at(940) - nanosecond, Some(TokenError::NotYetValid));
    check(r#""exp":2000,"nbf":1000"#, at(939), Some(TokenError::NotYetValid));
    check(r#""exp":2000,"nbf":1000.5"#, at(940), Some(TokenError::NotYetValid));
    check(r#""exp":2000,"nbf":1000.5"#, at(941), None);
    // It says when the token was made, not from when on it is valid.
    check(r#""exp":2000,"iat":1900"#, at(0), None);
}

#[test]
fn a_skew_of_any_length_is_handled() {
    let json = br#"{"sub":"ada","exp":1000,"nbf":500}"#;
    let read = |skew: Duration, now: u64| Claims::read(json, &Expected { skew, ..expected() }, at(now)).err();
    assert_eq!(read(Duration::MAX, 0), None);
    assert_eq!(read(Duration::MAX, NOW), None);
    assert_eq!(read(Duration::ZERO, 499), Some(TokenError::NotYetValid));
    assert_eq!(read(Duration::ZERO, 500), None);
    assert_eq!(read(Duration::ZERO, 999), None);
    assert_eq!(read(Duration::ZERO, 1000), Some(TokenError::Expired));
}

#[test]
fn a_date_is_a_number_of_seconds() {
    let (sub, exp) = (r#""sub":"ada""#, r#""exp":1700000100"#);
    is_invalid(sub, "exp");
    for wrong in [
        "null",
        "true",
        r#""1700000100""#,
        "[1700000100]",
        "{}",
        "-1",
        "253402300800",
        "1700000100000",
        "1e300",
    ] {
        is_invalid(&format!(r#"{sub},"exp":{wrong}"#), "exp");
        is_invalid(&format!(r#"{sub},{exp},"nbf":{wrong}"#), "nbf");
        is_invalid(&format!(r#"{sub},{exp},"iat":{wrong}"#), "iat");
    }
    assert_eq!(read(r#""iat":-0.0,"nbf":0"#).unwrap().expires, at(NOW + 100));
}

#[test]
fn the_issuer_is_the_expected_one() {
    let expected = Expected { issuer: Some("https://id.example".to_owned()), ..expected() };
    let check = |claims: &str, error: Option<TokenError>| {
        assert_eq!(read_as(&expected, claims).err(), error, "{claims}");
    };
    check(r#""iss":"https://id.example""#, None);
    for other in ["https://id.example/", "https://id.exampl", "HTTPS://id.example", ""] {
        check(&format!(r#""iss":"{other}""#), Some(TokenError::IssuerMismatch));
    }
    check(r#""iss":["https://id.example"]"#, Some(invalid("iss", NOT_TEXT)));
    check(r#""a":1"#, Some(invalid("iss", MISSING)));
    assert!(read(r#""iss":"https://other.example""#).is_ok());
}

#[test]
fn one_audience_is_expected() {
    let expected = Expected { audiences: vec!["a".to_owned(), "b".to_owned()], ..expected() };
    let check = |claims: &str, error: Option<TokenError>| {
        assert_eq!(read_as(&expected, claims).err(), error, "{claims}");
    };
    for good in [r#""a""#, r#""b""#, r#"["a"]"#, r#"["c", "b"]"#] {
        check(&format!(r#""aud":{good}"#), None);
    }
    for other in [r#""c""#, r#""A""#, r#""a b""#, r#""""#, "[]", r#"["c", "ab"]"#] {
        check(&format!(r#""aud":{other}"#), Some(TokenError::AudienceMismatch));
    }
    for wrong in ["1", "null", r#"{"a": "a"}"#, r#"["a", 1]"#] {
        check(&format!(r#""aud":{wrong}"#), Some(invalid("aud", "is not a string or an array of strings")));
    }
    check(r#""x":1"#, Some(invalid("aud", MISSING)));
    assert!(read(r#""aud":"c""#).is_ok());
}

#[test]
fn the_subject_is_a_short_text() {
    let exp = r#""exp":1700000100"#;
    let subject = |json: &str| {
        let json = format!(r#"{{{exp},"sub":{json}}}"#);
        Claims::read(json.as_bytes(), &expected(), at(NOW)).map(|claims| claims.subject)
    };
    let long = "é".repeat(128);
    for good in ["a", "auth0|5f7c8ec7", "Ada Lovelace", "certainly", "Cert:a", &long] {
        assert_eq!(subject(&format!(r#""{good}""#)), Ok(good.to_owned()));
    }
    is_invalid(exp, "sub");
    for wrong in [
        "null",
        "1",
        r#"["a"]"#,
        r#""""#,
        r#""a\n""#,
        r#""\u0000""#,
        r#""a\u007f""#,
        r#""\u0085""#,
        &format!(r#""{long}a""#),
        r#""key:admin""#,
        r#""cert:ada""#,
        r#""peer:spiffe://cluster.local/ns/a/sa/b""#,
    ] {
        is_invalid(&format!(r#"{exp},"sub":{wrong}"#), "sub");
    }
}

#[test]
fn a_tenant_is_a_name() {
    let tenant = |json: &str| read(&format!(r#""tenant":{json}"#)).map(|claims| claims.tenant);
    assert_eq!(read(r#""Tenant":"a""#).unwrap().tenant, None);
    let long = "a".repeat(63);
    for good in ["a", "0", "Acme-2.eu_x", "a..b", "a-", &long] {
        assert_eq!(tenant(&format!(r#""{good}""#)), Ok(Some(good.to_owned())));
    }
    for wrong in [
        "",
        ".",
        "..",
        "-a",
        "_a",
        "a/b",
        "/a",
        "../a",
        "*",
        "a*",
        "a b",
        " a",
        "a:b",
        "a%2f",
        "é",
        "a{b}",
        "a,b",
        r"a\n",
        r"\u0000",
        r"a\\b",
        r"a\u0000",
        "a\u{202e}",
        &format!("{long}a"),
    ] {
        assert_eq!(tenant(&format!(r#""{wrong}""#)), Err(TokenError::TenantInvalid), "{wrong}");
    }
    for wrong in ["null", "1", "true", "[]", r#"["a"]"#, r#"{"tenant":"a"}"#] {
        assert_eq!(tenant(wrong), Err(TokenError::TenantInvalid), "{wrong}");
    }
    let other = Expected { tenant_claim: "https://example/org".to_owned(), ..expected() };
    assert_eq!(
        read_as(&other, r#""https://example/org":"b","tenant":"a/b""#).unwrap().tenant.as_deref(),
        Some("b")
    );
}

#[test]
fn scopes_are_words_of_scope_and_scp() {
    let check = |claims: &str, scopes: &[&str]| assert_eq!(read(claims).unwrap().scopes, scopes, "{claims}");
    check(r#""a":1"#, &[]);
    check(r#""scope":"""#, &[]);
    check(r#""scope":"read""#, &["read"]);
    check(r#""scope":" write  read ""#, &["write", "read"]);
    check(r#""scp":["b", "a"]"#, &["b", "a"]);
    check(r#""scp":"b a","scope":"c""#, &["c", "b", "a"]);
    check(r#""scope":"a b a","scp":["b", "c"]"#, &["a", "b", "c"]);
    check(r#""scp":[]"#, &[]);
    check(r#""scope":"https://example/a.b:c/*""#, &["https://example/a.b:c/*"]);
    let usual = r#""sub":"ada","exp":1700000100"#;
    for wrong in ["1", "null", "{}", r#"["a"]"#, r#""a\tb""#, r#""a\nb""#, r#""é""#, r#""\"""#, r#""a\\""#] {
        is_invalid(&format!(r#"{usual},"scope":{wrong}"#), "scope");
    }
    for wrong in ["1", "null", "{}", r#"["a", 1]"#, r#"["a b"]"#, r#"[""]"#, r#""a\u0000""#] {
        is_invalid(&format!(r#"{usual},"scp":{wrong}"#), "scp");
    }
    let words = |count: usize| (0..count).map(|number| format!("s{number}")).collect::<Vec<_>>().join(" ");
    assert_eq!(read(&format!(r#""scope":"{} s0""#, words(64))).unwrap().scopes.len(), 64);
    is_invalid(&format!(r#"{usual},"scope":"{}""#, words(65)), "scope");
    is_invalid(&format!(r#"{usual},"scope":"{}","scp":["t"]"#, words(64)), "scp");
}

#[test]
fn no_claim_occurs_twice() {
    let repeated = "a JSON object in which a name occurs twice";
    for claims in [
        r#""exp":1700000100"#,
        r#""e\u0078p":1"#,
        r#""sub":"ada""#,
        r#""aud":"a","aud":"a""#,
        r#""scope":"a","scope":"b""#,
        r#""scp":["a"],"scp":"a""#,
        r#""tenant":"a","tenant":"b""#,
        r#""other":1,"other":1"#,
    ] {
        assert_eq!(
            read(claims),
            Err(TokenError::Malformed { part: "payload", problem: repeated }),
            "{claims}"
        );
    }
}

#[test]
fn a_token_may_state_the_rate_of_its_subject() {
    let check = |claims: &str, expected: Option<&str>| {
        let rate = read(claims).unwrap().rate.map(|rate| rate.to_string());
        assert_eq!(rate.as_deref(), expected, "{claims}");
    };
    check(r#""iat":1"#, None);
    check(r#""dataflow_rate_limit":"50/s""#, Some("50/s"));
    check(r#""dataflow_rate_limit":"1000000/h""#, Some("1000000/h"));
    for wrong in [r#""""#, r#""50""#, r#""0/s""#, r#""1000001/s""#, r#""50/d""#, "50", "null", r#"["50/s"]"#]
    {
        let claims = format!(r#""sub":"ada","exp":{},"dataflow_rate_limit":{wrong}"#, NOW + 100);
        is_invalid(&claims, "dataflow_rate_limit");
    }
}
