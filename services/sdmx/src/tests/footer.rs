//! What messages state beside their content: in the footer of SDMX-ML, and in `errors` of SDMX-JSON.

use super::themes::structures as message_of;
use super::*;

/// The messages of diagnostics, all of which are that of a footer.
fn stated(diagnostics: &Diagnostics) -> Vec<&str> {
    assert!(
        diagnostics.kept().iter().all(|kept| kept.reason == Reason::MessageWithErrors),
        "{diagnostics:?}"
    );
    diagnostics.kept().iter().map(|kept| kept.message.as_str()).collect()
}

/// The same of a data message.
fn of_data(document: &str, limits: &Limits) -> Diagnostics {
    let counts =
        count_data(document.as_bytes(), limits).unwrap_or_else(|error| panic!("{error}\n{document}"));
    counts.diagnostics
}

const FAMILY: &str = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1";

/// A footer of SDMX-ML with this content.
fn footer(content: &str) -> String {
    format!("<f:Footer xmlns:f='{FAMILY}/message/footer' xmlns:c='{FAMILY}/common'>{content}</f:Footer>")
}

/// A data message without data sets.
fn data(footer: &str) -> String {
    format!(
        "<m:GenericData xmlns:m='{FAMILY}/message'><m:Header><m:ID>1</m:ID></m:Header>{footer}</m:GenericData>"
    )
}

const LARGE: &str = "<f:Message code='413' severity='Infomation'><c:Text xml:lang='en'>Due to the large query the \
    response will be written to\n http://e/file/7</c:Text><c:Text>See&#32;there &amp; wait</c:Text></f:Message>";

const EXPECTED: &str = "the message may be incomplete: beside its content is code \"413\", severity \"Infomation\": \
    \"Due to the large query the response will be written to http://e/file/7 See there & wait\"";

#[test]
fn footers_are_reported_with_code_severity_and_text() {
    let check = |content: &str, expected: &[&str]| {
        let document = data(&footer(content));
        assert_eq!(stated(&of_data(&document, &Limits::default())), expected, "{content}");
        let plain = "<m:Structures/>";
        let structure = message_of("2_1", "")
            .replace("<m:Structures></m:Structures>", &format!("{plain}{}", footer(content)));
        let (_, diagnostics, end) = read(structure.as_bytes());
        assert!(end.is_ok(), "{end:?}");
        let found: Vec<_> = diagnostics
            .kept()
            .iter()
            .filter(|kept| kept.reason != Reason::NoDataflows)
            .map(|kept| &kept.message)
            .collect();
        assert_eq!(found, expected, "{structure}");
    };
    check(LARGE, &[EXPECTED]);
    check(
        "<f:Message code='510'/>",
        &["the message may be incomplete: beside its content is code \"510\": \"\""],
    );
    check(&LARGE.repeat(2), &[EXPECTED; 2]);
    check("", &[]);
    check("<f:Message><c:Text> </c:Text></f:Message>", &[]);
}

#[test]
fn a_footer_has_its_position() {
    let document = data(&footer(&LARGE.repeat(2)));
    let diagnostics = of_data(&document, &Limits::default());
    let positions = diagnostics.kept().iter().map(|kept| kept.position.offset);
    let expected = document.match_indices("<f:Message").map(|(offset, _)| offset as u64);
    assert_eq!(positions.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn data_beside_a_footer_is_counted() {
    let series = "<m:DataSet><Series xmlns='urn:x'><Obs/><Obs/></Series></m:DataSet>";
    let counts =
        count_data(data(&format!("{series}{}", footer(LARGE))).as_bytes(), &Limits::default()).unwrap();
    assert_eq!((counts.data_sets, counts.diagnostics.total()), (1, 1));
    let without = count_data(data(series).as_bytes(), &Limits::default()).unwrap();
    assert!(without.diagnostics.is_empty());
}

#[test]
fn errors_of_json_are_reported_with_code_and_text() {
    let check = |errors: &str, expected: &[&str]| {
        let data = [r#""data":{"dataSets":[]}"#, r#""dataSets":[]"#];
        for document in data
            .map(|data| {
                [format!("{{{data},\"errors\":{errors}}}"), format!("{{\"errors\":{errors},{data}}}")]
            })
            .concat()
        {
            let diagnostics = of_data(&document, &Limits::default());
            let prefix = "the message may be incomplete: beside its content is ";
            let found: Vec<_> = stated(&diagnostics)
                .into_iter()
                .map(|message| message.strip_prefix(prefix).unwrap())
                .collect();
            assert_eq!(found, expected, "{document}");
        }
    };
    check("[]", &[]);
    check("null", &[]);
    check("{}", &[]);
    check(r#"[{"code":150,"title":"Partial"}]"#, &["code \"150\": \"Partial\""]);
    // A text is often written twice, and links say nothing.
    check(
        r#"[{"title":"Partial","titles":{"en":"Partial"},"details":{"en":"2 sources"},"links":[{"href":"u"}]},"late"]"#,
        &["code \"\": \"Partial 2 sources\"", "code \"\": \"late\""],
    );
    check(r#"[{"code":[["1"]],"detail":{"a":["b",{"c":"d"}]}}]"#, &["code \"1\": \"b d\""]);
}

#[test]
fn control_characters_of_a_statement_are_replaced() {
    let document = r#"{"dataSets":[],"errors":[{"code":"1","title":"a\u001b[31m\tb\ud800"}]}"#;
    let diagnostics = of_data(document, &Limits::default());
    assert!(stated(&diagnostics)[0].ends_with("\"a\u{fffd}[31m b\u{fffd}\""), "{diagnostics:?}");
}

#[test]
fn statements_are_bounded() {
    let long = |count: usize| {
        let words = "é".repeat(count);
        let json = format!("{{\"dataSets\":[],\"errors\":[{{\"code\":\"{words}\",\"title\":\"{words}\"}}]}}");
        let xml =
            format!("<f:Message code='{words}' severity='{words}'><c:Text>{words}</c:Text></f:Message>");
        [json, data(&footer(&xml))].map(|document| {
            let diagnostics = of_data(&document, &Limits::default());
            let letters = stated(&diagnostics)[0].matches('é').count();
            assert!(stated(&diagnostics)[0].len() < 500, "nothing of the message itself is cut");
            letters
        })
    };
    // Forty bytes of a code and of a severity, and 300 of a text, of which one is a space.
    assert_eq!(long(20), [40, 60]);
    assert_eq!(long(21), [20 + 21, 20 + 20 + 21]);
    assert_eq!(long(1_000), [20 + 149, 20 + 20 + 149]);
    // As many as there is room for are kept, the rest is counted.
    let document = data(&footer(&LARGE.repeat(5)));
    for (limit, kept) in [(5, 5), (4, 4), (0, 0)] {
        let diagnostics = of_data(&document, &Limits { diagnostics: limit, ..Limits::default() });
        assert_eq!((diagnostics.kept().len(), diagnostics.total()), (kept, 5));
    }
}

#[test]
fn only_a_child_of_the_root_is_a_footer() {
    let document = data(&format!("<m:DataSet>{}</m:DataSet>", footer(LARGE)));
    assert!(of_data(&document, &Limits::default()).is_empty());
    let document = r#"{"data":{"dataSets":[],"errors":[{"code":1}]}}"#;
    assert!(of_data(document, &Limits::default()).is_empty());
}
