//! Accepted documents: all special cases of the format, and the predecessor's own cases, as tables.

use std::io::Read;

use super::*;

mod data;
mod footer;
mod fuzz;
mod identity;
mod json;
mod limits;
pub(crate) mod properties;
mod rejections;
mod structures;
mod texts;
mod themes;

/// The complete result of parsing a document.
pub(super) fn read(document: impl Read) -> (Vec<Dataflow>, Diagnostics, Result<(), ParseError>) {
    read_within(document, Limits::default())
}

pub(super) fn read_within(
    document: impl Read,
    limits: Limits,
) -> (Vec<Dataflow>, Diagnostics, Result<(), ParseError>) {
    let mut reader = StructureReader::new(document, limits).with_annotations();
    let mut flows = Vec::new();
    let end = loop {
        match reader.next_dataflow() {
            Ok(Some(flow)) => flows.push(*flow),
            Ok(None) => {
                let total = reader.diagnostics().total();
                assert!(reader.next_dataflow().unwrap().is_none(), "there is no dataflow after the end");
                assert_eq!(reader.diagnostics().total(), total, "the end is checked once");
                break Ok(());
            }
            Err(error) => break Err(error),
        }
    };
    (flows, reader.into_diagnostics(), end)
}

/// The dataflows of a valid document.
fn flows(document: &str) -> Vec<Dataflow> {
    let (flows, _, end) = read(document.as_bytes());
    end.unwrap_or_else(|error| panic!("{error}\n{document}"));
    flows
}

/// An SDMX 2.1 message with this content inside `Dataflows`.
pub(super) fn message(dataflows: &str) -> String {
    format!(
        "<m:Structure xmlns:m=\"http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message\" \
         xmlns:s=\"http://www.sdmx.org/resources/sdmxml/schemas/v2_1/structure\" \
         xmlns:c=\"http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common\"><m:Structures><s:Dataflows>{dataflows}\
         </s:Dataflows></m:Structures></m:Structure>"
    )
}

fn texts(localized: &[Localized]) -> Vec<(&str, &str)> {
    localized.iter().map(|(language, text)| (language.as_str(), text.as_str())).collect()
}

#[test]
fn every_field_of_a_dataflow_is_read() {
    let flow = &flows(&message(
        "<s:Dataflow id=\"F\" agencyID=\"A\" version=\"1.2\" isFinal=\"1\" validFrom=\"2020\" validTo=\"2021\" \
         urn=\"urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=A:F(1.2)\" isExternalReference=\"true\" \
         structureURL=\"http://a/?x=1&amp;y=2\" serviceURL=\"http://b\">\
         <c:Annotations><c:Annotation id=\"n\"><c:AnnotationTitle>t</c:AnnotationTitle>\
         <c:AnnotationType>k</c:AnnotationType><c:AnnotationURL>u</c:AnnotationURL><c:AnnotationURL>v</c:AnnotationURL>\
         <c:AnnotationText xml:lang=\"en\">x</c:AnnotationText><c:AnnotationText>y</c:AnnotationText>\
         <c:AnnotationValue>w</c:AnnotationValue></c:Annotation><c:Annotation/></c:Annotations>\
         <c:Name xml:lang=\"it\">Nome</c:Name><c:Description xml:lang=\"en\">Text</c:Description>\
         <s:Structure><Ref id=\"D\" version=\"3.0\" agencyID=\"B\"/></s:Structure></s:Dataflow>",
    ))[0];
    let owned =
        |parts: &[(&str, &str)]| parts.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect::<Vec<_>>();
    let note = Annotation {
        id: "n".into(),
        kind: "k".into(),
        title: "t".into(),
        url: "u".into(),
        texts: owned(&[("en", "x"), ("", "y")]),
        value: "w".into(),
    };
    assert_eq!((flow.id.as_str(), flow.agency_id.as_str(), flow.version.as_str()), ("F", "A", "1.2"));
    assert_eq!(flow.names, owned(&[("it", "Nome")]));
    assert_eq!(flow.descriptions, owned(&[("en", "Text")]));
    assert_eq!(flow.is_final, Some(true));
    assert_eq!(flow.annotations, [note, Annotation::default()]);
    let structure = StructureReference { agency_id: "B".into(), id: "D".into(), version: "3.0".into() };
    assert_eq!(flow.structure, Some(structure));
    let urls = (Some("http://a/?x=1&y=2".into()), Some("http://b".into()));
    assert_eq!(flow.external, Some(ExternalReference { structure_url: urls.0, service_url: urls.1 }));
}

#[test]
fn texts_are_trimmed_and_collapsed() {
    let check = |content: &str, expected: &[(&str, &str)]| {
        let flows = flows(&message(&format!("<s:Dataflow id='a'>{content}</s:Dataflow>")));
        assert_eq!(texts(&flows[0].names), expected, "{content}");
    };
    check("<c:Name xml:lang='en'>a</c:Name><c:Name xml:lang='it'>b</c:Name>", &[("en", "a"), ("it", "b")]);
    check(
        "<c:Name xml:lang='en-GB'>a</c:Name><c:Name xml:lang='EN'>b</c:Name>",
        &[("en-GB", "a"), ("EN", "b")],
    );
    check("<c:Name>a</c:Name><c:Name/><c:Name xml:lang='it'>  </c:Name>", &[("", "a")]);
    check("<c:Name>\r\n  two \t words\r\n</c:Name>", &[("", "two words")]);
    check("<c:Name>a<!-- b -->c<?d?>e</c:Name>", &[("", "ace")]);
    check("<c:Name><![CDATA[a < b & c]]> d</c:Name>", &[("", "a < b & c d")]);
    check("<c:Name>&lt;a&gt; &amp;amp; &quot;b&apos; &#233;&#xE9;</c:Name>", &[("", "<a> &amp; \"b' éé")]);
    check("<c:Name>a<p/>b <b>c</b></c:Name>", &[("", "a b c")]);
    check("<c:Name xml:lang='it'>Età\u{a0}media</c:Name>", &[("it", "Età\u{a0}media")]);
    check("<c:Name>&#160; a</c:Name>", &[("", "\u{a0} a")]);
    check("<Name>no namespace</Name><s:Name>structure</s:Name>", &[("", "structure")]);
    check("<c:Other><c:Name>nested</c:Name></c:Other>", &[]);
    check("<c:Name>a\u{8}b</c:Name>", &[("", "a\u{fffd}b")]);
}

#[test]
fn every_version_is_read() {
    let check = |document: &str, version: Option<Version>, expected: &str| {
        let mut reader = StructureReader::new(document.as_bytes(), Limits::default());
        let flow = reader.next_dataflow().unwrap().unwrap();
        let structure = flow.structure.unwrap();
        assert_eq!(
            format!("{}={}:{}({})", flow.id, structure.agency_id, structure.id, structure.version),
            expected
        );
        assert_eq!(reader.header().version, version);
    };
    let family = "http://www.SDMX.org/resources/SDMXML/schemas/v2_0";
    let reference =
        "<KeyFamilyRef><KeyFamilyID>K</KeyFamilyID><KeyFamilyAgencyID>A</KeyFamilyAgencyID></KeyFamilyRef>";
    check(
        &format!(
            "<Structure xmlns='{family}/message'><Dataflows><Dataflow id='f' xmlns='{family}/structure'>{reference}\
             </Dataflow></Dataflows></Structure>"
        ),
        Some(Version::V2_0),
        "f=A:K(1.0)",
    );
    let urn = "urn:sdmx:org.sdmx.infomodel.datastructure.DataStructure=A:D(1.0+.0)";
    for (part, version) in [("v3_0", Version::V3_0), ("v3_1", Version::V3_1)] {
        let family = format!("http://www.sdmx.org/resources/sdmxml/schemas/{part}");
        let flow = format!("<s:Dataflow id='f'><s:Structure>{urn}</s:Structure></s:Dataflow>");
        let document = format!(
            "<m:Structure xmlns:m='{family}/message' xmlns:s='{family}/structure'><m:Structures><s:Dataflows>{flow}\
             </s:Dataflows></m:Structures></m:Structure>"
        );
        check(&document, Some(version), "f=A:D(1.0+.0)");
    }
    let flow = format!("<s:Dataflow id='f'><s:Structure><URN>{urn}</URN></s:Structure></s:Dataflow>");
    check(&message(&flow), Some(Version::V2_1), "f=A:D(1.0+.0)");
    let reply = message(&flow)
        .replace("m:Structure ", "m:RegistryInterface ")
        .replace("</m:Structure>", "</m:QueryStructureResponse></m:RegistryInterface>")
        .replace("<m:Structures>", "<m:QueryStructureResponse><m:Structures>");
    check(&reply, Some(Version::V2_1), "f=A:D(1.0+.0)");
}

#[test]
fn a_dataflow_elsewhere_is_a_reference() {
    let check =
        |inside: &str| assert_eq!(flows(&message("").replace("<s:Dataflows>", inside)).len(), 0, "{inside}");
    check("<s:ContentConstraint><s:Dataflow id='a'/></s:ContentConstraint><s:Dataflows>");
    check("<s:Dataflows/><s:Dataflow id='a'/><s:Dataflows>");
    check("<s:Dataflows><Dataflow id='a'/>");
    check("<s:Dataflows><o:Dataflow xmlns:o='urn:o' id='a'/>");
    check("<Dataflows><s:Dataflow id='a'/></Dataflows><s:Dataflows>");
    check("<s:Dataflows><s:Other><s:Dataflow id='a'/></s:Other>");
}

#[test]
fn prefixes_do_not_matter() {
    let family = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1";
    let check = |document: String| assert_eq!(flows(&document).len(), 1, "{document}");
    check(
        message("<s:Dataflow id='a'/>")
            .replace("<s:", "<any:")
            .replace("</s:", "</any:")
            .replace(":s=", ":any="),
    );
    check(format!(
        "<Structure xmlns='{family}/message'><Structures><Dataflows xmlns='{family}/structure'><Dataflow id='a'/>\
         <x:Dataflow xmlns:x='urn:x' id='b'/></Dataflows></Structures></Structure>"
    ));
    // A prefix that is rebound inside an element, and its old binding after it.
    check(message("<s:Dataflow xmlns:s='urn:x' id='x'><s:y/></s:Dataflow><s:Dataflow id='a'/>"));
}

#[test]
fn the_header_is_read() {
    let document = message("").replace(
        "<m:Structures>",
        "<m:Header><m:ID>I</m:ID><m:Prepared> 2020-01-01 </m:Prepared><m:Sender id='S'><c:Name>N</c:Name></m:Sender>\
         <m:Receiver id='R'/></m:Header><m:Structures>",
    );
    let mut reader = StructureReader::new(document.as_bytes(), Limits::default());
    assert_eq!(reader.next_dataflow().unwrap(), None);
    let expected = Header {
        version: Some(Version::V2_1),
        id: "I".into(),
        prepared: "2020-01-01".into(),
        sender: "S".into(),
    };
    assert_eq!(reader.header(), &expected);
}

#[test]
fn irregularities_are_reported_and_the_rest_is_read() {
    let check = |dataflows: &str, expected: &[(Reason, u64)]| {
        let (flows, diagnostics, end) =
            read(message(&format!("{dataflows}\n<s:Dataflow id='last'/>")).as_bytes());
        assert!(end.is_ok() && flows.last().unwrap().id == "last", "{dataflows}");
        let found =
            diagnostics.kept().iter().map(|kept| (kept.reason, kept.position.line)).collect::<Vec<_>>();
        assert_eq!(&found[..found.len() - 1], expected, "{dataflows}");
    };
    let name = "<c:Name>n</c:Name>";
    check(&format!("<s:Dataflow>{name}</s:Dataflow>"), &[(Reason::DataflowWithoutId, 1)]);
    check("\n\n<s:Dataflow id='a'/>", &[(Reason::DataflowWithoutName, 3)]);
    check(&format!("<s:Dataflow id='a' isFinal='maybe'>{name}</s:Dataflow>"), &[(Reason::InvalidBoolean, 1)]);
    check(&format!("<s:Dataflow id='a' urn='b'>{name}</s:Dataflow>"), &[(Reason::InvalidUrn, 1)]);
    check(
        &format!("<s:Dataflow id='a'>{name}<s:Structure>b</s:Structure></s:Dataflow>"),
        &[(Reason::InvalidStructureReference, 1)],
    );
    check(
        &format!("<s:Dataflow id='a'>{name}<s:Structure><Ref/></s:Structure></s:Dataflow>"),
        &[(Reason::InvalidStructureReference, 1)],
    );
    check("<s:Dataflow id='a'><c:Name>\u{1}</c:Name></s:Dataflow>", &[(Reason::ControlCharacter, 1)]);
    let flow = format!("<s:Dataflow id='a'>{name}</s:Dataflow>");
    check(&format!("{flow}\n{flow}"), &[(Reason::DuplicateDataflow, 2)]);
    check(&format!("{flow}{}", flow.replace("id=", "version='2.0' id=")), &[]);
}

#[test]
fn key_families_in_place_of_dataflows_are_counted() {
    let families = "<s:KeyFamily id='k'><s:Name>n</s:Name></s:KeyFamily>".repeat(3);
    let document = message("")
        .replace("s:Dataflows>", "s:KeyFamilies>")
        .replace("</s:Key", &format!("{families}</s:Key"));
    let (flows, diagnostics, end) = read(document.replace("v2_1", "v2_0").as_bytes());
    assert!(end.is_ok() && flows.is_empty());
    assert_eq!(diagnostics.kept()[0].reason, Reason::KeyFamiliesOnly);
    assert!(diagnostics.kept()[0].message.contains('3'));
}

/// The predecessor's cases. `it`, `en`, `display`, `description` of each flow, after its id.
#[test]
fn legacy_fields_equal_the_predecessors() {
    let check = |document: &str, expected: &[[&str; 5]]| {
        let flows = flows(document);
        let found = flows.iter().map(|flow| {
            let LegacyFields { name_it, name_en, display_name, description } =
                flow.legacy.as_deref().unwrap();
            [&flow.id, name_it, name_en, display_name, description].map(String::as_str)
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{document}");
    };
    let one = |content: &str| message(&format!("<s:Dataflow id='a'>{content}</s:Dataflow>"));
    let plain = |content: &str| format!("<d><Dataflow id='a'>{content}</Dataflow></d>");
    let it = |text: &str| format!("<c:Name xml:lang='it'>{text}</c:Name>");
    let en = |text: &str| format!("<c:Name xml:lang='en'>{text}</c:Name>");

    let full = format!("{}{}<c:Description>d</c:Description>", it("i"), en("e"));
    check(
        &message(&format!("<s:Dataflow id='a'>{full}</s:Dataflow><s:Dataflow id='b'/>")),
        &[["a", "i", "e", "i", "d"], ["b", "", "", "b", ""]],
    );
    check(&plain("<Name lang='it'>n</Name>"), &[["a", "n", "", "n", ""]]);
    check(&plain("<Name>n</Name>"), &[["a", "n", "", "n", ""]]);
    check(&plain("<Name lang='de'>n</Name><Name lang='en'>e</Name>"), &[["a", "n", "e", "n", ""]]);
    check(&plain("<Name xml:lang='en' lang='it'>e</Name>"), &[["a", "", "e", "e", ""]]);
    check(&one(&[it("1"), it("2")].concat()), &[["a", "2", "", "2", ""]]);
    check(&one(&[it(""), en("e")].concat()), &[["a", "", "e", "e", ""]]);
    check(
        &one("<c:Name xml:lang='IT'>1</c:Name><c:Name xml:lang='it-IT'>2</c:Name>"),
        &[["a", "", "", "a", ""]],
    );
    check(&one(&["<c:Name>u</c:Name>".into(), it("i")].concat()), &[["a", "i", "", "i", ""]]);
    check(&one(&[it("i"), "<c:Name>u</c:Name>".into()].concat()), &[["a", "i", "", "i", ""]]);
    check(&one("<c:Name lang='en'>n</c:Name>"), &[["a", "n", "", "n", ""]]);
    check(&one(&it("\n a\r\n ")), &[["a", "\n a\n ", "", "\n a\n ", ""]]);
    check(&one(&it("ab<b>cd</b>ef")), &[["a", "ab", "", "ab", ""]]);
    check(&one(&it("a<!-- -->b&#13;&amp;<![CDATA[<c>]]>")), &[["a", "ab\r&<c>", "", "ab\r&<c>", ""]]);
    let nested =
        format!("{}<c:Annotations><c:Annotation>{}</c:Annotation></c:Annotations>", it("1"), it("2"));
    check(&one(&nested), &[["a", "2", "", "2", ""]]);
    check(&one(&it(&format!("outer{}", it("inner")))), &[["a", "inner", "", "inner", ""]]);
    let two = "<c:Description xml:lang='en'>1</c:Description><c:Description xml:lang='it'>2</c:Description>";
    check(&one(two), &[["a", "", "", "a", "1"]]);
    check(
        &message("<s:Dataflow id='a'/><s:Dataflow id='a'/>"),
        &[["a", "", "", "a", ""], ["a", "", "", "a", ""]],
    );
    check(&message(""), &[]);
    check(&format!("\u{feff}{}", message("<s:Dataflow id='a'/>")), &[["a", "", "", "a", ""]]);
    check("<Dataflow id='a'/>", &[]);

    // Intended differences. A dataflow in the wrong place, or with another namespace than the rest, is ignored;
    check(&message("<s:Dataflow id='a'/><Dataflow id='b'/>"), &[["a", "", "", "a", ""]]);
    check(&message("<s:Dataflow/><Dataflow id='b'><Name lang='de'>n</Name></Dataflow>"), &[]);
    // a blank id counts as missing;
    check(&message("<s:Dataflow id=' '/>"), &[]);
    // SDMX 2.0 and 3.x are supported; and internal entities are rejected, which `rejections` checks.
    check(&message("<s:Dataflow id='a'/>").replace("v2_1", "v3_0"), &[["a", "", "", "a", ""]]);
    check(
        &message(&format!("<s:Dataflow id='a'>{}</s:Dataflow>", it("i"))).replace("v2_1", "v2_0"),
        &[["a", "i", "", "i", ""]],
    );
}

#[test]
fn unrequested_parts_are_neither_kept_nor_validated() {
    let note = "<c:Annotation><c:AnnotationTitle>7</c:AnnotationTitle><c:AnnotationType>OBS_COUNT</c:AnnotationType>\
                <c:AnnotationText>\u{1}</c:AnnotationText>";
    let document = message(&format!(
        "<s:Dataflow id='a'><c:Annotations>{note}</c:Annotation></c:Annotations><c:Name>n</c:Name></s:Dataflow>"
    ));
    let reader = || StructureReader::new(document.as_bytes(), Limits::default());
    let read = |mut reader: StructureReader<_>| {
        let flow = reader.next_dataflow().unwrap().unwrap();
        (flow, reader.into_diagnostics().kept().len())
    };
    let (bare, without) = read(reader().without_legacy());
    let (full, with) = read(reader().with_annotations());
    assert_eq!((without, with), (0, 1), "control characters in an annotation");
    assert_eq!((bare.annotations.len(), full.annotations.len()), (0, 1));
    assert_eq!((bare.legacy, full.legacy.unwrap().display_name.as_str()), (None, "n"));
    assert_eq!((bare.facts.observation_count, full.facts.observation_count), (Some(7), Some(7)));
}
