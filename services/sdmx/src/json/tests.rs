//! The grammar: each construct accepted and rejected, with the position of the error, however the bytes arrive.

use std::io::{self, Read};

use proptest::prelude::*;

use super::*;

/// Reads a few bytes at a time.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = self.1.min(into.len());
        self.0.read(&mut into[..most])
    }
}

/// Reads a document, and shows every name and value.
fn read(document: impl Read, limits: &Limits) -> Result<String, ParseError> {
    let mut json = Json::new(Input::new(document, limits), limits);
    let mut shown = String::new();
    let mut value = json.value()?;
    loop {
        match value {
            Value::Object => shown.push('{'),
            Value::Array => shown.push('['),
            Value::String => shown.push_str(&format!("{:?} ", json.text())),
            Value::Number => shown.push_str(&format!("{} ", json.text())),
            Value::Bool(flag) => shown.push_str(&format!("{flag} ")),
            Value::Null => shown.push_str("null "),
        }
        loop {
            let is_more = match json.open.last() {
                Some(Open::Object) => {
                    let is_more = json.member()?;
                    if is_more {
                        shown.push_str(&format!("{}:", json.text()));
                    }
                    is_more
                }
                Some(Open::Array) => json.element()?,
                None => return json.end().map(|()| shown),
            };
            if is_more {
                break;
            }
            shown.push('.');
        }
        value = json.value()?;
    }
}

/// The result, which does not depend on how the bytes arrive, nor on whether the values are kept.
#[track_caller]
fn outcome(document: &[u8], limits: &Limits) -> Result<String, ParseError> {
    let whole = read(document, limits);
    for size in [1, 2, 7] {
        let pieces = read(Pieces(document, size), limits);
        assert_eq!(format!("{whole:?}"), format!("{pieces:?}"), "in pieces of {size}");
    }
    let mut json = Json::new(Input::new(document, limits), limits);
    let skipped = json.skip().and_then(|()| json.end());
    let shown = |error: &ParseError| error.to_string();
    assert_eq!(skipped.as_ref().err().map(shown), whole.as_ref().err().map(shown));
    whole
}

#[track_caller]
fn check(document: &str, expected: &str) {
    let found = outcome(document.as_bytes(), &Limits::default());
    assert_eq!(found.unwrap_or_else(|error| panic!("{error}\n{document}")), expected);
}

/// Checks the reason, the byte and the message.
#[track_caller]
fn reject(document: impl AsRef<[u8]>, reason: &str, offset: u64, words: &str) {
    let document = document.as_ref();
    let shown = String::from_utf8_lossy(document);
    let error = outcome(document, &Limits::default()).expect_err(&shown);
    assert_eq!((error.reason(), error.position.offset), (reason, offset), "{error}\n{shown}");
    assert!(error.to_string().contains(words), "{error}\n{shown}");
}

#[test]
fn values_are_read_in_order() {
    check("{}", "{.");
    check(" [ ] ", "[.");
    check(r#"{"a":1,"b":[true,false,null,"c"],"d":{}}"#, "{a:1 b:[true false null \"c\" .d:{..");
    check("\u{feff}[\n1 ,\t2\r\n]", "[1 2 .");
    check("[[[]],{\"\":[]}]", "[[[..{:[...");
    for number in ["0", "-0", "10", "1.50", "0.5e0", "1E+2", "-1e-2", "123456789012345678901234567890"] {
        check(&format!("[{number}]"), &format!("[{number} ."));
    }
    check("7", "7 ");
}

#[test]
fn strings_are_decoded() {
    let string = |written: &str, text: &str| check(&format!("[\"{written}\"]"), &format!("[{text:?} ."));
    string("", "");
    string("a é 語 😀", "a é 語 😀");
    string(r#"\" \\ \/ \b\f\n\r\t"#, "\" \\ / \u{8}\u{c}\n\r\t");
    string(r"\u0041\u00e9\u8a9E\u0000", "Aé語\0");
    string(r"\ud83d\ude00", "😀");
    string("\u{7f}", "\u{7f}");
    // Surrogates without their pair are no text; each becomes a character that texts do not allow.
    string(r"\ud83d", "\u{ffff}");
    string(r"\ude00", "\u{ffff}");
    string(r"a\ud83db", "a\u{ffff}b");
    string(r"\ud83d\n", "\u{ffff}\n");
    string(r"\ud83d\ud83d\ude00", "\u{ffff}😀");
    string(r"\ud83d\u0041", "\u{ffff}A");
    check(r#"{"\u0061":1}"#, "{a:1 .");
}

#[test]
fn malformed_documents_are_rejected_at_the_byte() {
    let malformed = "MALFORMED_JSON";
    reject("{a:1}", malformed, 1, "found 'a'; expected the name of a member");
    reject("{\"a\" 1}", malformed, 5, "expected ':'");
    reject("{\"a\":}", malformed, 5, "found '}'; expected a value");
    reject("{\"a\":1,}", malformed, 7, "expected the name of a member");
    reject("{\"a\":1 \"b\":2}", malformed, 7, "expected ',' or '}'");
    reject("{,}", malformed, 1, "name of a member");
    reject("{1:2}", malformed, 1, "name of a member");
    reject("[1,]", malformed, 3, "expected a value");
    reject("[1 2]", malformed, 3, "expected ',' or ']'");
    reject("[1}", malformed, 2, "expected ',' or ']'");
    reject("[,1]", malformed, 1, "expected a value");
    reject("[nul]", malformed, 1, "found nul; expected a value");
    reject("[NaN]", malformed, 1, "found NaN; expected a value");
    reject("[Infinity]", malformed, 1, "found Infinity");
    reject("[-Infinity]", malformed, 1, "found \"-\"; expected a number");
    for number in ["01", "+1", ".5", "1.", "1e", "1e+", "-", "--1", "1.2.3", "0x1"] {
        let error = outcome(format!("[{number}]").as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!(error.reason(), malformed, "{number}");
    }
    reject("['a']", malformed, 1, "found '''");
    reject("[// comment\n1]", malformed, 1, "found '/'");
    reject(r#"["\x"]"#, malformed, 3, "found the escape of 'x'");
    reject(r#"["a\u12G4"]"#, malformed, 7, "found 'G' in an escape");
    reject("[\"a\nb\"]", malformed, 3, "found byte 0x0a; expected an escape");
    reject("[\n\"\\u00e9\0\"]", malformed, 9, "found byte 0x00");
    reject("{} {}", "CONTENT_AFTER_ROOT", 3, "the end of the document");
    reject("{}\n]", "CONTENT_AFTER_ROOT", 3, "");
    reject(b"[\"ab\xe9\"]", "INVALID_ENCODING", 4, "UTF-8");
    reject(b"[\"\\n\xe2\x82\"]", "INVALID_ENCODING", 4, "UTF-8");
    reject(b"[\"\xed\xa0\x80\"]", "INVALID_ENCODING", 2, "UTF-8");
    reject(b"{\"\xff\":1}", "INVALID_ENCODING", 2, "UTF-8");
    reject(b"[\xff]", malformed, 1, "found byte 0xff");
    let line = outcome(b"[1,\n2,\n x]", &Limits::default()).unwrap_err().position.line;
    assert_eq!(line, 3);
}

#[test]
fn a_truncated_document_is_never_accepted() {
    let document = r#" {"a\n": [1.5, "b\ud83d\ude00é", {"c": null}], "d": true} "#;
    let end = document.trim_end().len();
    let wide: Vec<_> = document.trim_start().encode_utf16().flat_map(u16::to_le_bytes).collect();
    for length in 1..end {
        let error = outcome(&document.as_bytes()[..length], &Limits::default()).unwrap_err();
        let reasons = ["TRUNCATED_DOCUMENT", "MALFORMED_JSON"];
        assert!(reasons.contains(&error.reason()), "{length}: {error}");
        assert!(error.position.offset <= length as u64);
        let error = outcome(&wide[..length], &Limits::default()).unwrap_err();
        assert!(error.position.offset <= length as u64, "{length}: {error}");
    }
    assert!(outcome(document.as_bytes(), &Limits::default()).is_ok());
    assert_eq!(
        outcome(&wide, &Limits::default()).unwrap(),
        outcome(document.as_bytes(), &Limits::default()).unwrap()
    );
}

#[test]
fn limits_have_two_sides() {
    let reason = |document: &str, limits: &Limits| {
        outcome(document.as_bytes(), limits).map_or_else(|error| error.fault.reason(), |_| "OK")
    };
    let limits = Limits { depth: 3, event_bytes: 40, document_bytes: 1 << 10, ..Limits::default() };
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert_eq!(reason(&nested(6), &limits), "OK");
    assert_eq!(reason(&nested(7), &limits), "NESTED_TOO_DEEP");
    assert_eq!(reason(&"{\"a\":".repeat(7), &limits), "NESTED_TOO_DEEP");
    // The opening quote counts, and the closing one does not.
    let string = |length: usize| format!("[\"{}\"]", "x".repeat(length));
    assert_eq!(reason(&string(39), &limits), "OK");
    assert_eq!(reason(&string(40), &limits), "EVENT_TOO_LARGE");
    let escaped = |count: usize| format!("[\"{}\"]", "\\n".repeat(count));
    assert_eq!(reason(&escaped(19), &limits), "OK");
    assert_eq!(reason(&escaped(20), &limits), "EVENT_TOO_LARGE");
    assert_eq!(reason(&format!("[{}]", "1".repeat(40)), &limits), "OK");
    assert_eq!(reason(&format!("[{}]", "1".repeat(41)), &limits), "EVENT_TOO_LARGE");
    assert_eq!(reason(&format!("[{}]", " ".repeat(41)), &limits), "EVENT_TOO_LARGE");
    let numbers = |count: usize| format!("[1{}]", ",1".repeat(count));
    assert_eq!(reason(&numbers(510), &limits), "OK");
    assert_eq!(reason(&numbers(511), &limits), "DOCUMENT_TOO_LARGE");
}

/// A million levels are an error, not a stack overflow.
#[test]
fn deep_nesting_is_rejected_with_its_position() {
    for open in ["[", "{\"a\":"] {
        let document = open.repeat(1_000_000);
        let error = read(document.as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!(error.reason(), "NESTED_TOO_DEEP");
        assert_eq!((error.position.offset, error.position.line), (128 * open.len() as u64, 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Another implementation accepts the same documents. It rejects surrogates without their pair, which are left out.
    #[test]
    fn another_parser_agrees(
        pieces in prop::collection::vec(
            "(\\{|\\}|\\[|\\]|,|:|\"a\"|\"\\\\n\"|\"\\\\u00e9\"|\"é\"|\"|\\\\|1|0|-|\\.|e|5|true|false|null|t| |\n|\\[1,|\"b\":|\\})",
            0..12,
        ),
    ) {
        let document = pieces.concat();
        let theirs = serde_json::from_str::<serde_json::Value>(&document);
        let ours = outcome(document.as_bytes(), &Limits::default());
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?}: {:?} {:?}", document, ours, theirs);
    }

    #[test]
    fn every_text_is_read_back(text in prop::collection::vec(any::<char>(), 0..12)) {
        let text = String::from_iter(text);
        let escaped = serde_json::to_string(&text).unwrap();
        let found = outcome(format!("[{escaped}]").as_bytes(), &Limits::default()).unwrap();
        prop_assert_eq!(found, format!("[{text:?} ."));
    }

    #[test]
    fn arbitrary_bytes_cause_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = outcome(&bytes, &Limits::default());
    }
}
