//! Documents made to break a reader: each is refused with exit status 3 and a message that names byte, line and what
//! was expected, in bounded memory.

use std::io::{Cursor, Read};
use std::process::{Command, Stdio};

use dataflow_tests::{binary, generator};
use nix::sys::resource::{UsageWho, getrusage};

/// Far above what any of these documents may cost, far below what holding one whole would.
const MEMORY_KIB: i64 = 200 * 1024;

/// Says to the test [`bombs`] that it has a process of its own.
const ALONE: &str = "BOMBS_ALONE";

const STRUCTURE: &str =
    r#"<m:Structure xmlns:m="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message">"#;

fn refused(what: &str, document: impl Read + Send + 'static, expected: &str) {
    let ended = binary::run_with(&["analyze", "-"], document);
    assert_eq!(ended.code, 3, "{what}: {ended:?}");
    for part in ["byte ", "line ", "expected", expected] {
        assert!(ended.stderr.contains(part), "{what} should name {part:?}: {}", ended.stderr);
    }
    assert_eq!(ended.stderr.lines().count(), 1, "{what}: one line: {}", ended.stderr);
    assert_eq!(ended.stdout, "", "{what}");
}

#[test]
fn what_is_not_sdmx_is_named() {
    let text = |text: &str| Cursor::new(text.to_owned());
    refused("empty", text(""), "empty");
    refused("HTML", text("<!doctype html><html><body>Sorry</body></html>"), "HTML");
    refused("prose", text("The service is temporarily unavailable."), "temporarily");
    refused("JSON", text(r#"{"errors": []}"#), "JSON");
    refused("binary", Cursor::new(vec![0x7f, b'E', b'L', b'F', 0, 1, 2, 3]), "binary");
    let data = r#"<m:GenericData xmlns:m="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message"/>"#;
    refused("a data message", text(data), "data message");
}

#[test]
fn broken_documents_are_refused_where_they_break() {
    let text = |text: String| Cursor::new(text);
    refused("truncated", text(format!("{STRUCTURE}<m:Structures>")), "ends");
    let wrong = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a/>".to_owned();
    refused("wrong encoding declaration", text(wrong), "UTF-16");
    let latin = [b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><a>caff".as_slice(), b"\xe8</a>"].concat();
    refused("not the declared encoding", Cursor::new(latin), "UTF-8");
}

#[test]
fn bombs_do_not_go_off() {
    // The kernel tells of the largest of all children: here, in a process without those of other tests.
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

/// No test, but what another runs in a process of its own.
#[test]
fn bombs() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    refused("entity bomb", generator::entity_bomb(), "document type declaration");
    refused("external entity", generator::external_entity(), "document type declaration");
    refused("100,000 levels", generator::deep_nesting(100_000), "64 deep");
    refused("200,000 attributes", generator::many_attributes(200_000), "1048576 bytes");
    refused("one text of 1 GB", generator::long_text(1 << 30), "1048576 bytes");
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    assert!(peak < MEMORY_KIB, "a child took {peak} KiB");
}

#[test]
fn a_producer_that_breaks_off_is_no_whole_document() {
    let mut child = binary::command(&["analyze", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), STRUCTURE.as_bytes()).unwrap();
    assert_eq!(binary::code(child.wait().unwrap()), 3);
}
