//! SDMX-JSON: accepted documents of every version, their irregularities, and the limits.

use super::*;

mod properties;
mod rejections;
mod structures;
mod themes;

/// A message of SDMX-JSON 2.0 with these dataflows.
pub(super) fn message(dataflows: &str) -> String {
    format!("{{\"data\":{{\"dataflows\":[{dataflows}]}}}}")
}

fn owned(parts: &[(&str, &str)]) -> Vec<Localized> {
    parts.iter().map(|(language, text)| ((*language).to_owned(), (*text).to_owned())).collect()
}

/// The dataflows and the reasons of all diagnostics.
fn diagnosed(document: &str) -> (Vec<Dataflow>, Vec<&'static str>) {
    let (flows, diagnostics, end) = read(document.as_bytes());
    end.unwrap_or_else(|error| panic!("{error}\n{document}"));
    (flows, diagnostics.kept().iter().map(|kept| kept.reason.as_str()).collect())
}

#[test]
fn every_member_of_a_dataflow_is_read() {
    let document = message(
        r#"{"id":"F","agencyID":"A","version":"1.2.0-draft","isFinal":true,"isExternalReference":true,
        "name":"Nome","names":{"it":"Nome","en":"Name"},"description":"d","descriptions":{"en":"Text"},
        "validFrom":"2020","structure":"urn:sdmx:org.sdmx.infomodel.datastructure.DataStructure=B:D(3.0+.0)",
        "links":[{"rel":"self","href":"http://a/self","urn":"urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=A:F(1.2.0-draft)"},
        {"rel":"external","href":"http://a/F"}],"annotations":[{"id":"n","type":"k","title":"t","value":"w","text":"y",
        "texts":{"en":"x","it":"y"},"links":[{"rel":"r"},{"href":"u"},{"href":"v"}]},{}],"extension":{"id":[1]}}"#,
    );
    let (flows, reasons) = diagnosed(&document);
    let [flow] = &flows[..] else { panic!("{flows:?}") };
    assert_eq!(reasons, [""; 0]);
    assert_eq!((&*flow.id, &*flow.agency_id, &*flow.version), ("F", "A", "1.2.0-draft"));
    assert_eq!(flow.names, owned(&[("it", "Nome"), ("en", "Name")]));
    assert_eq!(flow.descriptions, owned(&[("en", "Text")]));
    assert_eq!(flow.is_final, Some(true));
    let note = Annotation {
        id: "n".into(),
        kind: "k".into(),
        title: "t".into(),
        url: "u".into(),
        texts: owned(&[("en", "x"), ("it", "y")]),
        value: "w".into(),
    };
    assert_eq!(flow.annotations, [note, Annotation::default()]);
    let structure = StructureReference { agency_id: "B".into(), id: "D".into(), version: "3.0+.0".into() };
    assert_eq!(flow.structure, Some(structure));
    let external = ExternalReference { structure_url: Some("http://a/F".into()), service_url: None };
    assert_eq!(flow.external, Some(external));
    assert_eq!(flow.position.offset, document.find("{\"id\"").unwrap() as u64);
    let legacy = flow.legacy.as_deref().unwrap();
    assert_eq!((&*legacy.name_it, &*legacy.name_en, &*legacy.description), ("Nome", "Name", "Text"));
}

#[test]
fn a_stub_is_at_its_external_link_or_at_its_own() {
    let check = |members: &str, expected: Option<[Option<&str>; 2]>| {
        let (flows, _) = diagnosed(&message(&format!("{{\"id\":\"F\",\"name\":\"n\"{members}}}")));
        let external = flows[0].external.as_ref();
        let urls = external
            .map(|external| [&external.structure_url, &external.service_url].map(|url| url.as_deref()));
        assert_eq!(urls, expected, "{members}");
    };
    let own = r#""links":[{"href":"http://own","rel":"self"}]"#;
    check("", None);
    check(&format!(",{own}"), None);
    check(&format!(",\"isExternalReference\":false,{own}"), None);
    check(r#","isExternalReference":true"#, Some([None, None]));
    check(&format!(",\"isExternalReference\":true,{own}"), Some([Some("http://own"), None]));
    check(&format!(",{own},\"isExternalReference\":\"true\""), Some([Some("http://own"), None]));
    let urls = r#","structureURL":" http://s ","serviceUrl":"http://t","isExternalReference":true"#;
    check(&format!(",{own}{urls}"), Some([Some("http://s"), Some("http://t")]));
}

#[test]
fn identity_comes_from_members_or_urn() {
    let check = |members: &str, expected: &[&str]| {
        let (flows, _) = diagnosed(&message(&format!("{{{members}}}")));
        let found = flows.iter().map(|f| format!("{}:{}({})", f.agency_id, f.id, f.version));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{members}");
    };
    let urn = "\"urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=A:F(2.0)\"";
    check(r#""id":"22_289","agencyID":"IT1","version":"1.0""#, &["IT1:22_289(1.0)"]);
    check(r#""id":"DSD_X@DF_Y""#, &[":DSD_X@DF_Y(1.0)"]);
    check(r#""id":" a ""#, &[":a(1.0)"]);
    check(r#""id":22,"version":2.10"#, &[":22(2.10)"]);
    check(&format!("\"links\":[{{\"urn\":{urn},\"rel\":\"self\"}}]"), &["A:F(2.0)"]);
    check(&format!("\"links\":[{{\"urn\":{urn},\"rel\":\"parent\"}}],\"id\":\"G\""), &[":G(1.0)"]);
    check(&format!("\"urn\":{urn},\"id\":\"G\",\"version\":null"), &["A:G(2.0)"]);
    check(r#""id":null"#, &[]);
    check(r#""name":"n""#, &[]);
    check(r#""ID":"F""#, &[]);
}

#[test]
fn a_text_without_languages_is_in_the_main_language_of_the_message() {
    let check = |meta: &str, members: &str, expected: &[(&str, &str)]| {
        let flow = format!("{{{members},\"id\":\"a\"}}");
        let document = format!("{{{meta}\"data\":{{\"dataflows\":[{flow}]}}}}");
        let (flows, _) = diagnosed(&document);
        assert_eq!(texts(&flows[0].names), expected, "{document}");
    };
    let meta = r#""meta":{"contentLanguages":["it","en"]},"#;
    check("", r#""name":"n""#, &[("", "n")]);
    check(meta, r#""name":"n""#, &[("it", "n")]);
    check(meta, r#""name":"n","names":{"en":"m"}"#, &[("en", "m")]);
    check(meta, r#""names":{"en":"m"},"name":"n""#, &[("en", "m")]);
    check(meta, r#""names":{},"name":"n""#, &[("it", "n")]);
    check(meta, r#""names":{"en":" "},"name":"n""#, &[("it", "n")]);
    check(meta, r#""names":null,"name":null"#, &[]);
    check(meta, r#""name":{"en":"m","fr":null,"de":7}"#, &[("en", "m"), ("de", "7")]);
    check(meta, r#""names":"n""#, &[("it", "n")]);
    check("\"meta\":{\"contentLanguages\":[]},", r#""name":"n""#, &[("", "n")]);
    // Texts are normalized as those of SDMX-ML.
    check("", r#""names":{"it":" a\r\n b&amp;c<p/> "}"#, &[("it", "a b&amp;c<p/>")]);
}

#[test]
fn members_are_in_any_order() {
    let members = [
        r#""id":"F""#,
        r#""agencyID":"A""#,
        r#""names":{"en":"n"}"#,
        r#""structure":"urn:sdmx:org.sdmx.infomodel.datastructure.DataStructure=A:D(1.0)""#,
        r#""annotations":[{"title":"7","type":"OBS_COUNT"}]"#,
        r#""isExternalReference":true"#,
    ];
    let read = |members: Vec<&str>| {
        let flow = format!("{{{}}}", members.join(","));
        let (mut flows, reasons) = diagnosed(&message(&flow));
        assert!(reasons.is_empty());
        flows.remove(0)
    };
    let expected = read(members.to_vec());
    assert_eq!((expected.facts.observation_count, &*expected.facts.flags), (Some(7), &[Flag::External][..]));
    for turn in 1..members.len() {
        let mut turned = members.to_vec();
        turned.rotate_left(turn);
        assert_eq!(read(turned), expected, "{turn}");
    }
    assert_eq!(read(members.into_iter().rev().collect()), expected);
}

#[test]
fn every_form_of_the_message_is_read() {
    let flow = |id: &str, members: &str| {
        let urn = format!("urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=A:{id}(1.0)");
        format!(
            "{{\"id\":\"{id}\",\"name\":\"n\",\"links\":[{{\"rel\":\"self\",\"urn\":\"{urn}\"}}]{members}}}"
        )
    };
    let urn = |class: &str, id: &str| format!("\"urn:sdmx:org.sdmx.infomodel.{class}=A:{id}(1.0)\"");
    let check = |document: &str, expected: &[&str]| {
        let (flows, reasons) = diagnosed(document);
        let absent = if expected.is_empty() { &["NO_DATAFLOWS"][..] } else { &[] };
        assert_eq!(reasons, absent, "{document}");
        assert_eq!(flows.iter().map(|flow| &*flow.id).collect::<Vec<_>>(), expected, "{document}");
    };
    let schema = "https://json.sdmx.org/2.1/sdmx-json-structure-schema.json";
    check(&format!("{{\"$schema\":\"{schema}\",\"data\":{{}}}}"), &[]);
    check(&format!("{{\"data\":{{\"dataflows\":[]}},\"meta\":{{\"schema\":\"{schema}\"}}}}"), &[]);
    check(r#"{"data":{"dataflows":null}}"#, &[]);
    check(r#"{"data":{"codelists":[{"id":"C","dataflows":[{"id":"x"}]}]}}"#, &[]);
    let data = format!(
        "{{\"dataStructures\":[{{}}],\"dataflows\":[{}],\"contentConstraints\":[{{}}]}}",
        flow("F", "")
    );
    check(&format!("{{\"meta\":null,\"data\":{data},\"errors\":[]}}"), &["F"]);
    // Drafts. The kind is in a URN, in `type`, or in what the artefact has.
    check(r#"{"header":{},"resources":[],"references":{}}"#, &[]);
    let typed = r#"{"type":"dataflow","id":"T","name":"n"}"#;
    let structured =
        format!("{{\"id\":\"S\",\"name\":\"n\",\"structure\":{}}}", urn("datastructure.DataStructure", "D"));
    let others = r#"{"id":"O","name":"n"},{"type":"codelist","id":"C","items":[{"id":"x"}]}"#;
    let resources = format!("[{},{typed},{others},{structured}]", flow("F", ""));
    check(&format!("{{\"header\":{{}},\"resources\":{resources},\"references\":null}}"), &["F", "T", "S"]);
    let references = format!(
        "{{{}:{{\"id\":\"F\",\"name\":\"n\"}},{}:{{\"id\":\"D\",\"name\":\"n\"}},{}:{{\"name\":\"n\"}},\"x\":{typed}}}",
        urn("datastructure.Dataflow", "F"),
        urn("datastructure.DataStructure", "D"),
        urn("codelist.Codelist", "C"),
    );
    check(&format!("{{\"resources\":[],\"references\":{references}}}"), &["F", "T"]);
}

#[test]
fn a_version_that_is_not_stated_is_that_of_the_schema() {
    let check = |before: &str, expected: &str| {
        let structure = "urn:sdmx:org.sdmx.infomodel.datastructure.DataStructure=A:D";
        let flow = format!("{{\"id\":\"F\",\"name\":\"n\",\"structure\":\"{structure}\"}}");
        let (flows, _) = diagnosed(&format!("{{{before}\"data\":{{\"dataflows\":[{flow}]}}}}"));
        let structure = flows[0].structure.as_ref().unwrap();
        assert_eq!((&*flows[0].version, &*structure.version), (expected, expected), "{before}");
    };
    let schema =
        |version: &str| format!("\"https://json.sdmx.org/{version}/sdmx-json-structure-schema.json\"");
    check("", "1.0");
    check(&format!("\"$schema\":{},", schema("1.0")), "1.0");
    check(&format!("\"$schema\":{},", schema("2.0.0")), "");
    check(&format!("\"meta\":{{\"schema\":{}}},", schema("2.1")), "");
}

#[test]
fn the_header_is_read() {
    let check = |name: &str| {
        let meta = r#"{"id":" I ","test":false,"prepared":"2020-01-01","sender":{"id":"S","name":"N"},"links":[{}]}"#;
        let document = format!("{{\"data\":{{\"dataflows\":[]}},\"{name}\":{meta}}}");
        let mut reader = StructureReader::new(document.as_bytes(), Limits::default());
        assert_eq!(reader.next_dataflow().unwrap(), None);
        let (id, prepared, sender) = ("I".into(), "2020-01-01".into(), "S".into());
        assert_eq!(reader.header(), &Header { version: None, id, prepared, sender });
    };
    check("meta");
    check("header");
}

#[test]
fn irregularities_are_reported_and_the_rest_is_read() {
    let check = |dataflow: &str, expected: &[&str]| {
        let (flows, reasons) = diagnosed(&message(&format!("{dataflow},{{\"id\":\"last\",\"name\":\"n\"}}")));
        assert_eq!(flows.last().unwrap().id, "last", "{dataflow}");
        assert_eq!(reasons, expected, "{dataflow}");
    };
    let of = |members: &str| format!("{{\"id\":\"a\",\"name\":\"n\",{members}}}");
    for value in ["null", "5", "\"F\"", "[{}]", "true"] {
        check(value, &["DATAFLOW_WITHOUT_ID"]);
    }
    check("{}", &["DATAFLOW_WITHOUT_ID"]);
    check(r#"{"id":{"a":1}}"#, &["DATAFLOW_WITHOUT_ID"]);
    check(r#"{"id":"a"}"#, &["DATAFLOW_WITHOUT_NAME"]);
    check(&of(r#""version":true"#), &["INVALID_MEMBER"]);
    check(&of(r#""id":"b""#), &["INVALID_MEMBER"]);
    check(&of(r#""names":["n"]"#), &["INVALID_MEMBER"]);
    check(&of(r#""names":{"en":["n"]}"#), &["INVALID_MEMBER"]);
    check(&of(r#""annotations":{"id":"n"}"#), &["INVALID_MEMBER"]);
    check(&of(r#""annotations":[7]"#), &["INVALID_MEMBER"]);
    check(&of(r#""annotations":[{"title":[]}],"links":5"#), &["INVALID_MEMBER"]);
    check(&of(r#""isFinal":"maybe""#), &["INVALID_BOOLEAN"]);
    check(&of(r#""isFinal":null,"isExternalReference":"0""#), &[]);
    check(&of(r#""isFinal":[]"#), &["INVALID_MEMBER"]);
    check(&of(r#""urn":"b""#), &["INVALID_URN"]);
    check(&of(r#""structure":"b""#), &["INVALID_STRUCTURE_REFERENCE"]);
    check(&of(r#""structure":{"id":"D"}"#), &["INVALID_MEMBER"]);
    check(&of(r#""names":{"en":"a\u0001b"}"#), &["CONTROL_CHARACTER"]);
    check(&of(r#""names":{"en":"a\ud83d"}"#), &["CONTROL_CHARACTER"]);
    check(&of(&format!("\"names\":{{\"{}\":\"n\"}}", "x".repeat(36))), &["INVALID_LANGUAGE"]);
    check(r#"{"id":"last","name":"n"}"#, &["DUPLICATE_DATAFLOW"]);
    // Of two members with one name the first counts, and a replaced character is U+FFFD.
    let (flows, _) = diagnosed(&message(r#"{"id":"a","id":"b","names":{"en":"x\udc00"}}"#));
    assert_eq!((&*flows[0].id, texts(&flows[0].names)), ("a", vec![("en", "x\u{fffd}")]));
}

#[test]
fn errors_beside_the_data_are_reported() {
    let errors = r#""errors":[{"code":150,"title":"Partial","details":{"en":"2 sources are missing"}}]"#;
    let data = r#""data":{"dataflows":[{"id":"a","name":"n"}]}"#;
    for document in [format!("{{{data},{errors}}}"), format!("{{{errors},{data}}}")] {
        let (flows, diagnostics, end) = read(document.as_bytes());
        assert!(end.is_ok() && flows.len() == 1);
        let [errors] = diagnostics.kept() else { panic!("{diagnostics:?}") };
        assert_eq!(errors.reason, Reason::MessageWithErrors);
        assert!(
            errors.message.contains("code \"150\": \"Partial 2 sources are missing\""),
            "{}",
            errors.message
        );
    }
}

#[test]
fn white_space_and_a_mark_may_precede_the_root() {
    let document = message(r#"{"id":"a","name":"n"}"#);
    let check = |bytes: &[u8], offset: usize| {
        let (flows, _, end) = read(bytes);
        end.unwrap();
        assert_eq!(flows[0].position.offset as usize, offset);
    };
    let at = document.find("{\"id\"").unwrap();
    check(format!("\u{feff}{document}").as_bytes(), at + 3);
    check(format!("{}{document}", " \n".repeat(2_000)).as_bytes(), at + 4_000);
    let wide = |text: &str, unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<_>>();
    for unit in [u16::to_le_bytes, u16::to_be_bytes] {
        check(&wide(&document, unit), 2 * at);
        check(&wide(&format!("\u{feff}\n{document}"), unit), 2 * (at + 2));
    }
    let reason = |bytes: &[u8]| read(bytes).2.unwrap_err().reason();
    assert_eq!(reason(b"{\0\0\0\"\0\0\0"), "UNSUPPORTED_ENCODING");
    assert_eq!(reason(b" {"), "TRUNCATED_DOCUMENT");
}

#[test]
fn limits_hold_in_json_too() {
    let reason = |document: &str, limits: Limits| {
        read_within(document.as_bytes(), limits).2.map_or_else(|error| error.fault.reason(), |()| "OK")
    };
    let two = message(r#"{"id":"a"},{"id":"b"}"#);
    assert_eq!(reason(&two, Limits { dataflows: 2, ..Limits::default() }), "OK");
    assert_eq!(reason(&two, Limits { dataflows: 1, ..Limits::default() }), "TOO_MANY_DATAFLOWS");
    let content = r#"{"id":"a","names":{"it":"bbbb","en":"cccc"},"descriptions":{"en":"dddd"},
        "annotations":[{"texts":{"en":"aaaa"}}]},{"id":"b"}"#;
    let check = |dataflow_parts, dataflow_bytes, kept: [usize; 3], whole: bool| {
        let limits = Limits { dataflow_parts, dataflow_bytes, ..Limits::default() };
        let (flows, diagnostics, end) = read_within(message(content).as_bytes(), limits);
        assert!(end.is_ok() && flows.len() == 2);
        let flow = &flows[0];
        assert_eq!([flow.names.len(), flow.descriptions.len(), flow.annotations.len()], kept);
        let cut = diagnostics.kept().iter().any(|kept| kept.reason == Reason::DataflowCutShort);
        assert_eq!(cut, !whole);
    };
    check(4, 24, [2, 1, 1], true);
    check(3, 24, [2, 1, 0], false);
    check(4, 23, [2, 1, 0], false);
    check(0, 24, [0, 0, 0], false);
}
