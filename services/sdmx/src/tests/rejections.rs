//! Rejected documents: each with the reason and the position.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// Checks the reason, and that the message contains `words`.
#[track_caller]
fn check(document: impl AsRef<[u8]>, reason: &str, words: &str) {
    let document = document.as_ref();
    let shown = String::from_utf8_lossy(document);
    let (_, _, end) = read(document);
    let error = end.expect_err(&shown);
    assert_eq!(error.reason(), reason, "{error}\n{shown}");
    assert!(error.to_string().contains(words), "{error}\n{shown}");
    assert!(error.position.offset <= document.len() as u64);
}

#[test]
fn documents_that_are_neither_xml_nor_json() {
    check("", "EMPTY_DOCUMENT", "an SDMX message");
    check(" \n", "TRUNCATED_DOCUMENT", "before any element");
    check("\u{feff}", "EMPTY_DOCUMENT", "");
    check(
        "Could not find requested structures",
        "NOT_XML",
        "plain text \"Could not find requested structures\"",
    );
    check("a <b/>", "NOT_XML", "plain text \"a\"");
    check("<!-- a --> b <c/>", "NOT_XML", "plain text \"b\"");
    check(b"PK\x03\x04rest", "NOT_XML", "zip");
    check(b"%PDF-1.7", "NOT_XML", "PDF");
    check(b"\x00\x01\x02\xff", "NOT_XML", "binary data");
}

#[test]
fn xml_of_another_kind() {
    let family = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1";
    let kind = "NOT_A_STRUCTURE_MESSAGE";
    check("<!DOCTYPE html><html></html>", kind, "HTML");
    check("<html><br></html>", kind, "HTML");
    check("<head/><body/>", kind, "HTML");
    check("<html xmlns='http://www.w3.org/1999/xhtml'/>", kind, "HTML");
    check("<rss/>", kind, "without dataflows");
    check("<feed xmlns='http://www.w3.org/2005/Atom'/>", kind, "<feed>");
    check(format!("<m:GenericData xmlns:m='{family}/message'/>"), kind, "data message (<GenericData>)");
    check(format!("<m:StructureSpecificData xmlns:m='{family}/message'/>"), kind, "data message");
    check(
        "<CompactData xmlns='http://www.SDMX.org/resources/SDMXML/schemas/v2_0/message'/>",
        kind,
        "data message",
    );
    check(
        format!(
            "<m:Error xmlns:m='{family}/message'><m:ErrorMessage code='100'><Text>No  data</Text></m:ErrorMessage></m:Error>"
        ),
        kind,
        "error message: \"100 No data\"",
    );
    let soap = "http://schemas.xmlsoap.org/soap/envelope/";
    check(
        format!("<S:Fault xmlns:S='{soap}'><faultcode>413</faultcode></S:Fault>"),
        kind,
        "SOAP fault: \"413\"",
    );
    check(
        "<Structure xmlns='http://www.SDMX.org/resources/SDMXML/schemas/v1_0/message'/>",
        "UNSUPPORTED_SDMX_VERSION",
        "1.0",
    );
    check(message("").replace("v2_1", "v4_2"), "UNSUPPORTED_SDMX_VERSION", "4.2");
}

#[test]
fn malformed_documents() {
    let bad = |inside: &str, reason: &str, words: &str| check(message(inside), reason, words);
    let malformed = "MALFORMED_XML";
    bad("<s:Dataflow id='a'></s:Other>", malformed, "expected </s:Dataflow>");
    bad("</s:Dataflows></s:Dataflows>", malformed, "expected </m:Structures>");
    bad("<s:Dataflow id='a'>&nbsp;</s:Dataflow>", "UNDEFINED_ENTITY", "&nbsp;");
    bad("<s:Dataflow id='&nbsp;'/>", "UNDEFINED_ENTITY", "&nbsp;");
    bad("<s:Dataflow id='a'>A & B</s:Dataflow>", malformed, "'&'");
    bad("<s:Dataflow id='A & B'/>", malformed, "'&'");
    for reference in ["#0", "#x0", "#8", "#xD800", "#x110000", "#", "#x", "#+65", "#99999999999", "#xFFFE"] {
        bad(
            &format!("<s:Dataflow id='a'>&{reference};</s:Dataflow>"),
            "INVALID_CHARACTER_REFERENCE",
            reference,
        );
    }
    bad("<s:Dataflow id='a' id='b'/>", malformed, "twice");
    bad("<s:Dataflow id='a'version='b'/>", malformed, "white space");
    bad("<s:Dataflow id=a/>", malformed, "quotes");
    bad("<s:Dataflow id/>", malformed, "without a value");
    bad("<s:Dataflow id='<'/>", malformed, "'<'");
    bad("<1a/>", malformed, "name of an element");
    bad("< a/>", malformed, "name of an element");
    bad("<s:/>", malformed, "name of an element");
    bad("<x:Dataflow id='a'/>", "UNBOUND_PREFIX", "\"x\"");
    bad("<![WHAT[a]]>", malformed, "");
    check(format!(" <?xml version='1.0'?>{}", message("")), "LATE_XML_DECLARATION", "first byte");
    check(format!("<!-- a --><?xml version='1.0'?>{}", message("")), "LATE_XML_DECLARATION", "first byte");
    for after in ["<a/>", "a", "&amp;", "<![CDATA[a]]>", "</a>"] {
        check(message("") + after, "CONTENT_AFTER_ROOT", "end of the document");
    }
    assert!(read((message("") + "\n<!-- a --><?b?>\n").as_bytes()).2.is_ok());
}

#[test]
fn document_types() {
    check("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "DTD_REFUSED", "rejected");
    check("<?xml version='1.0'?><!DOCTYPE Structure SYSTEM 'http://a/b.dtd'><Structure/>", "DTD_REFUSED", "");
    check("<!DOCTYPE a [", "DTD_REFUSED", "");
    // Rejected before it is read: its size does not matter, and its end need not exist.
    let endless = b"<!DOCTYPE a [<!ENTITY b 'c'>".chain(std::io::repeat(b' '));
    assert_eq!(read(endless).2.unwrap_err().reason(), "DTD_REFUSED");
}

#[test]
fn encodings() {
    let declared = |name: &str| format!("<?xml version=\"1.0\" encoding=\"{name}\"?>{}", message(""));
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let ok = |document: &[u8]| assert!(read(document).2.is_ok(), "{}", String::from_utf8_lossy(document));
    for name in [
        "utf-8",
        "UTF-8",
        "utf8",
        "ISO-8859-1",
        "latin1",
        "US-ASCII",
        "ISO-8859-15",
        "windows-1252",
        "cp1250",
        "KOI8-R",
    ] {
        ok(declared(name).as_bytes());
    }
    for name in ["UTF-16", "utf-16le"] {
        ok(&utf16(&declared(name)));
        ok(&utf16(&format!("\u{feff}{}", declared(name))));
    }
    for name in ["Shift_JIS", "gb18030", "x-user-defined", "replacement", "utf-7"] {
        check(declared(name), "UNSUPPORTED_ENCODING", name);
    }
    check(declared("UTF-16"), "CONTRADICTORY_ENCODING", "UTF-8");
    check(format!("\u{feff}{}", declared("ISO-8859-1")), "CONTRADICTORY_ENCODING", "ISO-8859-1");
    check(utf16(&declared("UTF-8")), "CONTRADICTORY_ENCODING", "UTF-16LE");
    check(b"\xff\xfe\0\0<\0\0\0", "UNSUPPORTED_ENCODING", "UTF-32");

    let bytes = |inside: &[u8], head: &str| {
        let text = format!("{head}\n{}", message("<s:Dataflow id='a'><c:Name>@</c:Name></s:Dataflow>"));
        text.bytes()
            .flat_map(|byte| if byte == b'@' { inside.to_vec() } else { vec![byte] })
            .collect::<Vec<_>>()
    };
    let ascii = "<?xml version='1.0' encoding='US-ASCII'?>";
    // ISO 8859-6 has no character at 0xa1.
    let arabic = "<?xml version='1.0' encoding='ISO-8859-6'?>";
    for (document, byte) in
        [(bytes(b"ab\xe9", ""), 0xe9), (bytes(b"ab\xe9", ascii), 0xe9), (bytes(b"\xe9\xa1", arabic), 0xa1)]
    {
        let error = read(&document[..]).2.unwrap_err();
        assert_eq!((error.reason(), error.position.line), ("INVALID_ENCODING", 2));
        assert_eq!(document[error.position.offset as usize], byte, "{error}");
    }
    let mut lone = utf16(&message(""));
    lone.splice(60..62, [0x00, 0xd8]);
    check(&lone, "INVALID_ENCODING", "UTF-16LE");
    check(&utf16(&message(""))[..101], "INVALID_ENCODING", "UTF-16LE");
    // A document that ends within its first character.
    check(b"\xff\xfe<", "INVALID_ENCODING", "UTF-16LE");
    for bytes in [&b"\xc3"[..], b"\xe2\x82", b"\xf0\x9f\x98", b"\xef\xbb\xbf\xe2\x82"] {
        assert!(read(bytes).2.is_err(), "{bytes:?}");
    }
}

#[test]
fn gzip() {
    let packed = |document: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(document.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let document = message("\n<s:Dataflow id='a'/>");
    let whole = packed(&document);
    let (flows, _, end) = read(&whole[..]);
    assert!(end.is_ok());
    assert_eq!(
        flows[0].position,
        Position { offset: document.find("<s:Dataflow ").unwrap() as u64, line: 2, document: 0 }
    );
    let error = read(&whole[..whole.len() - 9]).2.unwrap_err();
    assert_eq!(error.reason(), "TRUNCATED_GZIP");
    assert_eq!(read(&[0x1f, 0x8b][..]).2.unwrap_err().reason(), "TRUNCATED_GZIP");
    let mut damaged = whole.clone();
    let last = damaged.len() - 6;
    damaged[last] ^= 1;
    assert_eq!(read(&damaged[..]).2.unwrap_err().reason(), "CORRUPT_GZIP");
    let (first, second) = document.split_at(100);
    assert!(read(&[packed(first), packed(second)].concat()[..]).2.is_ok());
    assert_eq!(read(&packed("")[..]).2.unwrap_err().reason(), "EMPTY_DOCUMENT");
}

#[test]
fn a_failing_source_has_its_own_reason() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("cable cut"))
        }
    }
    let document = message("<s:Dataflow id='a'/>");
    let (flows, _, end) = read(document.as_bytes().chain(Failing));
    assert_eq!(end.unwrap_err().reason(), "READ_FAILED");
    assert_eq!(flows.len(), 1);
    let error = read(Failing).2.unwrap_err();
    assert!(error.to_string().contains("cable cut"), "{error}");
}

#[test]
fn positions_are_exact() {
    let document = message("\n\n  <s:Dataflow id='a'>\n<c:Name>&bad;</c:Name></s:Dataflow>");
    let error = read(document.as_bytes()).2.unwrap_err();
    let offset = document.find("&bad;").unwrap() as u64;
    assert_eq!(error.position, Position { offset, line: 4, document: 0 });
    let shown = error.to_string();
    assert!(
        shown.starts_with(&format!("byte {offset}, line 4: found the undefined entity &bad;; expected ")),
        "{shown}"
    );
}
