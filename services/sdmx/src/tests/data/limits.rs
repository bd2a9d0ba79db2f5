//! The limits on both sides, and that memory does not grow with the message.

use super::*;

fn reason(document: impl Read, limits: &Limits) -> &'static str {
    count_data(document, limits).map_or_else(|error| error.reason(), |_| "OK")
}

#[test]
fn bytes_of_a_document() {
    for (_, document) in formats::all() {
        let bytes = document.len() as u64;
        for (document_bytes, expected) in [(bytes, "OK"), (bytes - 1, "DOCUMENT_TOO_LARGE")] {
            let limits = Limits { document_bytes, ..Limits::default() };
            assert_eq!(reason(document.as_bytes(), &limits), expected, "{document}");
        }
    }
}

#[test]
fn bytes_of_a_tag_a_string_and_a_field() {
    let x = |count: usize| "x".repeat(count);
    let check = |document: &str, event_bytes: usize, expected: &str| {
        let limits = Limits { event_bytes, ..Limits::default() };
        assert_eq!(reason(document.as_bytes(), &limits), expected, "{} {event_bytes}", document.len());
    };
    let xml = format!("<CompactData><DataSet><Obs A='{}'/></DataSet></CompactData>", x(989));
    check(&xml, 999, "OK");
    check(&xml, 997, "EVENT_TOO_LARGE");
    let json = format!("{{\"dataSets\": [{{\"a\": \"{}\"}}]}}", x(998));
    check(&json, 999, "OK");
    check(&json, 998, "EVENT_TOO_LARGE");
    let csv = |field: &str| format!("DATAFLOW,K,L\nA:F(1.0),{field},\"\"\n");
    check(&csv(&x(999)), 999, "OK");
    check(&csv(&x(1_000)), 999, "EVENT_TOO_LARGE");
    check(&csv(&format!("\"{}\"", x(998))), 1_000, "OK");
    check(&csv(&format!("\"{}\"", x(999))), 1_000, "EVENT_TOO_LARGE");
    // The limit is that of one field: a row may have any number of them.
    check(&format!("DATAFLOW{}\nA:F(1.0){}\n", ",K".repeat(2_000), ",k".repeat(2_000)), 100, "OK");
}

#[test]
fn nested_elements_objects_and_arrays() {
    let xml = |levels: usize| {
        format!(
            "<CompactData><DataSet>{}{}</DataSet></CompactData>",
            "<a>".repeat(levels),
            "</a>".repeat(levels)
        )
    };
    let json =
        |levels: usize| format!("{{\"dataSets\": [], \"a\": {}{}}}", "[".repeat(levels), "]".repeat(levels));
    let limits = Limits::default();
    assert_eq!(reason(xml(64 - 2).as_bytes(), &limits), "OK");
    assert_eq!(reason(xml(64 - 1).as_bytes(), &limits), "NESTED_TOO_DEEP");
    assert_eq!(reason(json(128 - 1).as_bytes(), &limits), "OK");
    assert_eq!(reason(json(128).as_bytes(), &limits), "NESTED_TOO_DEEP");
    let million = 1_000_000;
    assert_eq!(
        reason(format!("<CompactData>{}", "<a>".repeat(million)).as_bytes(), &limits),
        "NESTED_TOO_DEEP"
    );
    assert_eq!(reason("{\"a\":".repeat(million).as_bytes(), &limits), "NESTED_TOO_DEEP");
    let errors = format!("{{\"errors\": {}", "[".repeat(million));
    assert_eq!(reason(errors.as_bytes(), &limits), "NESTED_TOO_DEEP");
}

#[test]
fn attributes_and_namespaces() {
    let check = |attributes: String, expected: &str| {
        let document = format!("<CompactData><DataSet><Obs{attributes}/></DataSet></CompactData>");
        let limits = Limits { namespaces: 200, ..Limits::default() };
        assert_eq!(reason(document.as_bytes(), &limits), expected);
    };
    let some = |count: usize, prefix: &str| {
        (0..count).map(|index| format!(" {prefix}a{index}=''")).collect::<String>()
    };
    check(some(256, ""), "OK");
    check(some(257, ""), "TOO_MANY_ATTRIBUTES");
    check(some(200, "xmlns:"), "OK");
    check(some(201, "xmlns:"), "TOO_MANY_NAMESPACES");
}

/// Repeats a part of a document many times without having it in memory.
struct Repeated<'a> {
    parts: [&'a [u8]; 3],
    left: usize,
}

impl Read for Repeated<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.parts[0].is_empty() && self.left > 0 {
            self.left -= 1;
            self.parts[0] = self.parts[1];
        } else if self.parts[0].is_empty() {
            self.parts.swap(0, 2);
        }
        self.parts[0].read(into)
    }
}

#[test]
fn a_message_of_any_size_has_counts() {
    let check = |parts: [&str; 3], times: usize, expected: &str| {
        let document = Repeated { parts: parts.map(str::as_bytes), left: times };
        assert_eq!(numbers(&count(document).unwrap()), expected);
    };
    let observation = "<Series K='a'><Obs TIME_PERIOD='2001' OBS_VALUE='1'/></Series>";
    check(
        ["<CompactData><DataSet>", observation, "</DataSet></CompactData>"],
        100_000,
        "1 0 100000 100000 0 2001 2001",
    );
    check(
        ["{\"dataSets\": [{\"observations\": {\"0\": [1]", ", \"1\": [null]", "}}]}"],
        100_000,
        "1 0 100001 100001 100000 - -",
    );
    check(
        ["DATAFLOW,K,TIME_PERIOD,OBS_VALUE\n", "A:F(1.0),\"a\n\",2001,1\n", ""],
        100_000,
        "1 0 1 100000 0 2001 2001",
    );
}
