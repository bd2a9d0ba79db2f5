//! The tokens of JSON against serde_json.

use super::*;

#[test]
fn json_is_that_of_rfc_8259() {
    let check = |json: &str| {
        let skipped = JsonReader::new(json.as_bytes()).and_then(|mut reader| {
            reader.skip()?;
            reader.finish()
        });
        let expected = serde_json::from_str::<serde_json::Value>(json);
        assert_eq!(skipped.is_ok(), expected.is_ok(), "{json}: {skipped:?} {expected:?}");
    };
    for json in [
        "null",
        " true ",
        "false",
        "0",
        "-0",
        "10",
        "1.5",
        "1e5",
        "1E+5",
        "1e-5",
        "-1.5e-7",
        "[]",
        "{}",
        "[1, 2]",
        r#"{"a": 1, "b": [{}]}"#,
        r#""\u00e9\ud83d\ude00\n""#,
        "\"é\"",
        "\t\r\n1",
        "",
        " ",
        "nul",
        "nulll",
        "truE",
        "01",
        "-",
        "+1",
        ".5",
        "5.",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,]",
        "[1 2]",
        "{",
        "{a: 1}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1"#,
        r#"{"a":1,}"#,
        r#"{"a":1 "b":2}"#,
        r#"""#,
        r#""a"#,
        r#""\"#,
        r#""\x""#,
        r#""\u12""#,
        r#""\ud800""#,
        r#""\ud800\u0041""#,
        r#""\udc00""#,
        "\"\u{1}\"",
        "\"\n\"",
        "1 2",
        "{} []",
        "'a'",
        "//",
        "\u{feff}1",
    ] {
        check(json);
    }
}

#[test]
fn texts_are_decoded() {
    let check = |json: &str| {
        let expected: String = serde_json::from_str(json).unwrap();
        let mut out = Vec::new();
        JsonReader::new(json.as_bytes()).unwrap().string_into(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(JsonReader::new(json.as_bytes()).unwrap().string().unwrap(), expected);
    };
    check(r#""""#);
    check(r#""plain""#);
    check(r#""\"\\\/\b\f\n\r\t""#);
    check(r#""a\u0041\u00e9\u20ac\ud83d\ude00z""#);
    check("\"caffè 😀\"");
}

#[test]
fn a_skipped_value_has_a_limit_of_depth() {
    let nested = |depth: usize| {
        let json = [vec![b'['; depth], vec![b']'; depth]].concat();
        JsonReader::new(&json).unwrap().skip()
    };
    assert_eq!(nested(MAX_SKIPPED_DEPTH), Ok(()));
    let error = nested(1_000_000).unwrap_err();
    assert_eq!(*error.problem(), JsonProblem::Depth { limit: MAX_SKIPPED_DEPTH });
}
