//! Every limit on both sides: the largest allowed input is accepted, the smallest above it is rejected, and fails
//! early.

use std::io::Read;

use super::*;

fn reason(document: impl Read, limits: Limits) -> &'static str {
    read_within(document, limits).2.map_or_else(|error| error.fault.reason(), |()| "OK")
}

#[test]
fn document_bytes() {
    let document = message("<s:Dataflow id='a'/>");
    let bytes = document.len() as u64;
    let check = |document_bytes, expected| {
        let limits = Limits { document_bytes, ..Limits::default() };
        assert_eq!(reason(document.as_bytes(), limits), expected);
    };
    check(bytes, "OK");
    check(bytes - 1, "DOCUMENT_TOO_LARGE");
    check(0, "DOCUMENT_TOO_LARGE");
    // Content before the limit is read.
    let limits = Limits { document_bytes: bytes - 1, ..Limits::default() };
    assert_eq!(read_within(document.as_bytes(), limits).0.len(), 1);
}

#[test]
fn event_bytes() {
    let check = |inside: &str, event_bytes, expected| {
        let limits = Limits { event_bytes, ..Limits::default() };
        let document = message(&format!("<s:Dataflow id='a'>{inside}</s:Dataflow>"));
        assert_eq!(reason(document.as_bytes(), limits), expected, "{} {event_bytes}", inside.len());
    };
    // The root tag has about 250 bytes, so limits start above it.
    let x = |count: usize| "x".repeat(count);
    check(&x(1000), 1000, "OK");
    check(&x(1001), 1000, "EVENT_TOO_LARGE");
    check(&format!("<!--{}-->", x(993)), 999, "OK");
    check(&format!("<!--{}-->", x(993)), 998, "EVENT_TOO_LARGE");
    check(&format!("<a b='{}'/>", x(991)), 999, "OK");
    check(&format!("<a b='{}'/>", x(991)), 997, "EVENT_TOO_LARGE");
    // Pieces of one text count together.
    check(&format!("<c:Name>{}&amp;{}</c:Name>", x(500), x(499)), 1000, "OK");
    check(&format!("<c:Name>{}&amp;{}</c:Name>", x(500), x(500)), 1000, "EVENT_TOO_LARGE");
    check(&format!("<c:Name>{}</c:Name>", "&amp;".repeat(1001)), 1000, "EVENT_TOO_LARGE");
    check(&format!("<c:Name>{}</c:Name>", "<b/>".repeat(501)), 1000, "EVENT_TOO_LARGE");
    // The limit is per event; their number is not limited.
    check(&"<a/>".repeat(10_000), 1000, "OK");
}

#[test]
fn depth() {
    let check = |levels: usize, expected| {
        let document = message(&format!(
            "<s:Dataflow id='a'>{}{}</s:Dataflow>",
            "<a>".repeat(levels),
            "</a>".repeat(levels)
        ));
        assert_eq!(reason(document.as_bytes(), Limits::default()), expected);
    };
    check(64 - 4, "OK");
    check(64 - 3, "NESTED_TOO_DEEP");
}

#[test]
fn attributes() {
    let check = |count: usize, expected| {
        let attributes = (0..count).map(|index| format!(" a{index}=''")).collect::<String>();
        let document = message(&format!("<s:Dataflow{attributes}/>"));
        assert_eq!(reason(document.as_bytes(), Limits::default()), expected);
    };
    check(256, "OK");
    check(257, "TOO_MANY_ATTRIBUTES");
}

#[test]
fn namespaces() {
    let check = |count: usize, expected| {
        // As many on each element as attributes are allowed; the message itself declares three.
        let declared = (0..count).map(|index| format!(" xmlns:a{index}='x'")).collect::<Vec<_>>();
        let elements = declared.chunks(250).map(|some| format!("<x{}>", some.concat())).collect::<Vec<_>>();
        let document = message(&format!(
            "<s:Dataflow id='a'>{}{}</s:Dataflow>",
            elements.concat(),
            "</x>".repeat(elements.len())
        ));
        assert_eq!(reason(document.as_bytes(), Limits::default()), expected);
    };
    check(1024 - 3, "OK");
    check(1024 - 2, "TOO_MANY_NAMESPACES");
}

#[test]
fn dataflows() {
    let document = message("<s:Dataflow id='a'/><s:Dataflow id='b'/>");
    let check = |dataflows, expected| {
        assert_eq!(reason(document.as_bytes(), Limits { dataflows, ..Limits::default() }), expected);
    };
    check(2, "OK");
    check(1, "TOO_MANY_DATAFLOWS");
}

#[test]
fn parts_and_bytes_of_a_dataflow() {
    let content = "<c:Annotations><c:Annotation><c:AnnotationText>aaaa</c:AnnotationText></c:Annotation></c:Annotations>\
                   <c:Name xml:lang='en'>bb</c:Name><c:Name>cccc</c:Name><c:Description>dddd</c:Description>";
    let check = |dataflow_parts, dataflow_bytes, kept: [usize; 3], whole: bool| {
        let limits = Limits { dataflow_parts, dataflow_bytes, ..Limits::default() };
        let document = message(&format!("<s:Dataflow id='a'>{content}</s:Dataflow><s:Dataflow id='b'/>"));
        let (flows, diagnostics, end) = read_within(document.as_bytes(), limits);
        assert!(end.is_ok() && flows.len() == 2);
        let flow = &flows[0];
        assert_eq!([flow.annotations.len(), flow.names.len(), flow.descriptions.len()], kept);
        let cut = diagnostics.kept().iter().any(|kept| kept.reason == Reason::DataflowCutShort);
        assert_eq!(cut, !whole);
    };
    check(4, 16, [1, 2, 1], true);
    check(3, 16, [1, 2, 0], false);
    check(4, 15, [1, 2, 0], false);
    check(0, 16, [0, 0, 0], false);
    check(4, 8, [1, 1, 0], false);
}

#[test]
fn diagnostics() {
    let count = 10;
    let dataflows = (0..count).map(|index| format!("<s:Dataflow id='{index}'/>")).collect::<String>();
    let check = |dataflows: &str, diagnostics, kept: &[Severity], omitted| {
        let limits = Limits { diagnostics, ..Limits::default() };
        let (_, found, _) = read_within(message(dataflows).as_bytes(), limits);
        assert_eq!(found.kept().iter().map(Diagnostic::severity).collect::<Vec<_>>(), kept);
        assert_eq!(found.omitted(), omitted);
    };
    check(&dataflows, 10, &[Severity::Info; 10], 0);
    check(&dataflows, 9, &[Severity::Info; 9], 1);
    check(&dataflows, 0, &[], 10);
    // Warnings evict informational diagnostics.
    check(
        &format!("{dataflows}<s:Dataflow/><s:Dataflow/>"),
        3,
        &[Severity::Info, Severity::Warning, Severity::Warning],
        9,
    );
}

#[test]
fn messages_quote_only_a_few_words() {
    let long = "é".repeat(10_000);
    let valid =
        message(&format!("<s:Dataflow id='{long}'/><s:Dataflow><c:Name>{long}</c:Name></s:Dataflow>"));
    let (_, diagnostics, _) = read(valid.as_bytes());
    assert_eq!(diagnostics.kept().len(), 2);
    assert!(diagnostics.kept().iter().all(|kept| kept.message.len() <= 500));
    for invalid in [
        format!("<{long} xmlns='urn:x'/>"),
        message("").replace("v2_1", &format!("v{long}")),
        format!("<?xml version='1.0' encoding='{long}'?><a/>"),
        message(&format!("<s:Dataflow id='&{long};'/>")),
        message(&format!("<{long}:Dataflow/>")),
        long,
    ] {
        assert!(read(invalid.as_bytes()).2.unwrap_err().to_string().len() < 1000);
    }
}

#[test]
fn identities() {
    let flow = |id: &str| format!("<s:Dataflow id='{id}'/>");
    let document = message(&[flow("a"), flow("b"), flow("b"), flow("a")].concat());
    let duplicates = |identities| {
        let (_, diagnostics, _) =
            read_within(document.as_bytes(), Limits { identities, ..Limits::default() });
        diagnostics.kept().iter().filter(|kept| kept.reason == Reason::DuplicateDataflow).count()
    };
    assert_eq!([2, 1, 0].map(duplicates), [2, 1, 0]);
}

/// Endless input fails after a bounded number of bytes.
#[test]
fn endless_input_fails_early() {
    let check = |open: &str, repeated: &'static str, expected: &str| {
        struct Endless(&'static str, u64);
        impl Read for Endless {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                let whole = into.len() - into.len() % self.0.len();
                for (index, byte) in into[..whole].iter_mut().enumerate() {
                    *byte = self.0.as_bytes()[index % self.0.len()];
                }
                self.1 += whole as u64;
                assert!(self.1 < 2 << 20, "reads without end");
                Ok(whole)
            }
        }
        let head = message("").replace("</s:Dataflows></m:Structures></m:Structure>", open);
        let limits = Limits { event_bytes: 100_000, ..Limits::default() };
        let (_, _, end) = read_within(head.as_bytes().chain(Endless(repeated, 0)), limits);
        assert_eq!(end.unwrap_err().reason(), expected, "{open}{repeated}");
    };
    check("<s:Dataflow id='a'><c:Name>", "text ", "EVENT_TOO_LARGE");
    check("<s:Dataflow id='a'><c:Name>", "&amp;", "EVENT_TOO_LARGE");
    check("<s:Dataflow id='a'><s:Other><c:Name>", "&amp;", "EVENT_TOO_LARGE");
    check("<s:Dataflow id='a'><c:Name>", "<![CDATA[a]]>", "EVENT_TOO_LARGE");
    check("<s:Dataflow id='a'><!--", "- ", "EVENT_TOO_LARGE");
    check("<s:Dataflow id='a' ", "a='1' ", "EVENT_TOO_LARGE");
    check("<s:Dataflow id='a'>", "<a>", "NESTED_TOO_DEEP");
    check("<s:Dataflow id='a'><?", "a ", "EVENT_TOO_LARGE");
    check("", "    ", "EVENT_TOO_LARGE");
}

#[test]
fn a_language_tag_above_the_bcp_47_limit_is_dropped() {
    let check = |length: usize, kept: bool| {
        let tag = "x".repeat(length);
        let document =
            message(&format!("<s:Dataflow id='a'><c:Name xml:lang='{tag}'>n</c:Name></s:Dataflow>"));
        let (flows, diagnostics, end) = read_within(document.as_bytes(), Limits::default());
        end.unwrap();
        let language = if kept { tag } else { String::new() };
        assert_eq!(flows[0].names, [(language, "n".to_owned())], "{length}");
        let reported = diagnostics.kept().iter().any(|kept| kept.reason == Reason::InvalidLanguage);
        assert_eq!(reported, !kept, "{length}");
    };
    check(35, true);
    check(36, false);
}
