//! Hostile documents: each is rejected with exit status 3 and a message with byte, line and what was expected, in
//! bounded memory.

use std::io::{Cursor, Read};
use std::process::{Command, Stdio};

use dataflow_tests::{binary, generator};
use nix::sys::resource::{UsageWho, getrusage};

/// Far above the memory for any of these documents, far below the memory for buffering one completely.
const MEMORY_KIB: i64 = 200 * 1024;

/// The variable that enables the test [`bombs`] in a separate process.
const ALONE: &str = "BOMBS_ALONE";

const STRUCTURE: &str =
    r#"<m:Structure xmlns:m="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message">"#;

fn check_rejected(what: &str, document: impl Read + Send + 'static, expected: &str) {
    let ended = binary::run_with(&["analyze", "-"], document);
    assert_eq!(ended.code, 3, "{what}: {ended:?}");
    for part in ["byte ", "line ", "expected", expected] {
        assert!(ended.stderr.contains(part), "{what}: {part:?} is missing in: {}", ended.stderr);
    }
    assert_eq!(ended.stderr.lines().count(), 1, "{what}: one line: {}", ended.stderr);
    assert_eq!(ended.stdout, "", "{what}");
}

#[test]
fn documents_other_than_sdmx_are_identified() {
    let text = |text: &str| Cursor::new(text.to_owned());
    check_rejected("empty", text(""), "empty");
    check_rejected("HTML", text("<!doctype html><html><body>Sorry</body></html>"), "HTML");
    check_rejected("prose", text("The service is temporarily unavailable."), "temporarily");
    check_rejected("JSON", text(r#"{"errors": []}"#), "JSON");
    check_rejected("a data message in JSON", text(r#"{"data": {"dataSets": ["#), "data message in JSON");
    check_rejected("an error in JSON", text(r#"{"errors": [{"code": 404, "title": "None"}]}"#), "404 None");
    check_rejected("JSON-stat", text(r#"{"version": "2.0", "class": "dataset"}"#), "JSON-stat");
    check_rejected("truncated JSON", text(r#"{"data":{"dataflows":[{"id":"GHG"#), "inside a string");
    check_rejected(
        "deep JSON",
        text(&"[{\"a\":".repeat(1_000_000).split_off(1)),
        "nested more than 128 deep",
    );
    check_rejected("binary", Cursor::new(vec![0x7f, b'E', b'L', b'F', 0, 1, 2, 3]), "binary");
    let data = r#"<m:GenericData xmlns:m="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message"/>"#;
    check_rejected("a data message", text(data), "data message");
}

#[test]
fn error_messages_do_not_control_the_terminal() {
    let title = "\u{1b}]0;title\u{7}\u{9b}2J\u{202e}";
    for (what, document) in [
        ("an element", format!("<a{title}/>")),
        ("a prefix", format!("{STRUCTURE}<{title}:b/></m:Structure>")),
        ("an entity", format!("{STRUCTURE}&{title};</m:Structure>")),
        ("an attribute", format!("{STRUCTURE}<m:Structures {title}=\"1\"/></m:Structure>")),
        ("an encoding", format!("<?xml version=\"1.0\" encoding=\"{title}\"?><a/>")),
        ("prose", format!("The service {title} is unavailable.")),
        ("a member", format!("{{\"{}\": 1}}", title.replace(['\u{1b}', '\u{7}'], ""))),
        ("a text in JSON", format!("{{\"error\": {}}}", serde_json::Value::from(title))),
    ] {
        let ended = binary::run_with(&["analyze", "-"], Cursor::new(document));
        // An attribute that the format does not define is ignored, whatever its name is.
        assert_eq!(ended.code, if what == "an attribute" { 0 } else { 3 }, "{what}: {ended:?}");
        let controls = |each: char| each.is_control() && each != '\n' || each == '\u{202e}';
        assert!(!ended.stderr.contains(controls), "{what}: {:?}", ended.stderr);
    }
    // A name of a file is text of others too.
    let ended = binary::run(&["analyze", &format!("/nowhere/{title}")]);
    assert!(ended.code == 1 && !ended.stderr.contains('\u{1b}'), "{ended:?}");
}

#[test]
fn malformed_documents_are_rejected_with_the_position_of_the_error() {
    let text = |text: String| Cursor::new(text);
    check_rejected("truncated", text(format!("{STRUCTURE}<m:Structures>")), "ends");
    let wrong = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a/>".to_owned();
    check_rejected("wrong encoding declaration", text(wrong), "UTF-16");
    let latin = [b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><a>caff".as_slice(), b"\xe8</a>"].concat();
    check_rejected("not the declared encoding", Cursor::new(latin), "UTF-8");
}

#[test]
fn bombs_are_rejected_in_bounded_memory() {
    // The kernel reports the maximum over all children, hence a separate process without the children of other tests.
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut alone = Command::new(std::env::current_exe().unwrap());
    alone.args(["--exact", &format!("{module}::bombs"), "--nocapture"]).env(ALONE, "yes");
    let output = alone.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("ok. 1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Not a test by itself: [`bombs_are_rejected_in_bounded_memory`] runs it in a separate process.
#[test]
fn bombs() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    check_rejected("entity bomb", generator::entity_bomb(), "document type declaration");
    check_rejected("external entity", generator::external_entity(), "document type declaration");
    check_rejected("100,000 levels", generator::deep_nesting(100_000), "64 deep");
    check_rejected("200,000 attributes", generator::many_attributes(200_000), "1048576 bytes");
    check_rejected("one text of 1 GB", generator::long_text(1 << 30), "1048576 bytes");
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    assert!(peak < MEMORY_KIB, "a child took {peak} KiB");
}

#[test]
fn a_truncated_document_is_rejected() {
    let mut child = binary::command(&["analyze", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), STRUCTURE.as_bytes()).unwrap();
    assert_eq!(binary::code(child.wait().unwrap()), 3);
}
