//! Data structures, code lists and constraints in SDMX-JSON: every version of the format, members in any order, and
//! irregular input. What is found is the same as of SDMX-ML.

use super::super::structures::{dimensions, keys, structures_within};
use crate::tests::fuzz::{Pieces, mutated};
use crate::tests::*;

mod constraints;

const CONCEPT: &str = "urn:sdmx:org.sdmx.infomodel.conceptscheme.Concept=A:S(1.0)";
const CODELIST: &str = "urn:sdmx:org.sdmx.infomodel.codelist.Codelist=SDMX";

/// A message of SDMX-JSON 2.0 with these lists.
fn message(lists: &str) -> String {
    let schema = "https://json.sdmx.org/2.0.0/sdmx-json-structure-schema.json";
    format!("{{\"meta\":{{\"schema\":\"{schema}\"}},\"data\":{{{lists}}}}}")
}

/// The structures of a message without irregularities.
#[track_caller]
fn structures(document: &str) -> Structures {
    let (structures, _, reasons) = structures_within(&[document], &Limits::default());
    assert!(reasons.is_empty(), "{reasons:?} of {document}");
    structures
}

/// A data structure with these members beside its dimensions.
fn data_structure(members: &str, dimension_list: &str) -> String {
    format!(
        "\"dataStructures\":[{{{members}\"dataStructureComponents\":{{\"attributeList\":{{\"attributes\":[{{\"id\":\"X\"}}]}},\
         \"dimensionList\":{{\"id\":\"DimensionDescriptor\",{dimension_list}}}}}}}]"
    )
}

const IDENTITY: &str = r#""id":"D","agencyID":"A","version":"1.3","#;

/// The dimensions of SDMX-JSON 2.0, whose time dimension is alone.
fn dimension_list() -> String {
    format!(
        "\"dimensions\":[{{\"id\":\"FREQ\",\"position\":1,\"type\":\"Dimension\",\"conceptIdentity\":\"{CONCEPT}.FREQ\",\
         \"localRepresentation\":{{\"enumerationFormat\":{{}},\"enumeration\":\"{CODELIST}:CL_FREQ(2.0)\"}}}},\
         {{\"id\":\"D2\",\"position\":2,\"conceptIdentity\":\"{CONCEPT}.ITTER107\"}}],\
         \"timeDimension\":{{\"id\":\"TIME_PERIOD\",\"conceptIdentity\":\"{CONCEPT}.SELECT_TIME\"}}"
    )
}

#[test]
fn dimensions_are_in_the_order_of_keys() {
    let expected = ["FREQ:Frequency=SDMX:CL_FREQ(2.0)", "D2:Geography", "TIME_PERIOD:Time"];
    let found = structures(&message(&data_structure(IDENTITY, &dimension_list())));
    let [one] = found.data_structures() else { panic!("{found:?}") };
    assert_eq!(
        (one.identity.to_string().as_str(), dimensions(one)),
        ("A:D(1.3)", expected.map(str::to_owned).into())
    );
    // Positions count if all dimensions but time have one.
    let moved = dimension_list().replace("\"position\":2", "\"position\":0");
    let moved = structures(&message(&data_structure(IDENTITY, &moved)));
    assert_eq!(dimensions(&moved.data_structures()[0])[..2], [expected[1], expected[0]]);
    let partly = dimension_list().replace("\"position\":2,", "");
    let partly = structures(&message(&data_structure(IDENTITY, &partly)));
    assert_eq!(dimensions(&partly.data_structures()[0]), expected);
}

/// SDMX-JSON 1.0 has lists of measure and time dimensions; roles are ids there.
#[test]
fn a_data_structure_of_version_1_is_read() {
    let list = format!(
        "\"timeDimensions\":[{{\"conceptIdentity\":\"{CONCEPT}.TIME_PERIOD\"}}],\"measureDimensions\":[{{\"id\":\"M\",\
         \"position\":3}}],\"dimensions\":[{{\"conceptIdentity\":\"{CONCEPT}.SEX\",\"conceptRoles\":[\"X\",\"GEO\",\"FREQ\"],\
         \"position\":1}},{{\"id\":\"F\",\"type\":\"MeasureDimension\",\"position\":\"2\"}}]"
    );
    // The identity is a URN after the content, and the version that of the standard.
    let urn = "urn:sdmx:org.sdmx.infomodel.datastructure.DataStructure=A:D";
    let components = data_structure("", &list);
    let document = format!(
        "{{\"data\":{{{}}}}}",
        components.replace("}}]", &format!("}},\"links\":[{{\"urn\":\"{urn}\",\"rel\":\"self\"}}]}}]"))
    );
    let found = structures(&document);
    assert_eq!(found.data_structures()[0].identity.to_string(), "A:D(1.0)");
    let expected = ["SEX:Geography", "F:Measure", "M:Measure", "TIME_PERIOD:Time"];
    assert_eq!(dimensions(&found.data_structures()[0]), expected);
}

#[test]
fn an_identity_may_follow_the_content() {
    let before = message(&data_structure(IDENTITY, &dimension_list()));
    let content = data_structure("", &dimension_list());
    let after = message(&content.replace("}}]", &format!("}},{}}}]", IDENTITY.trim_end_matches(','))));
    let [before, after] = [before, after].map(|document| {
        let found = structures(&document);
        let one = &found.data_structures()[0];
        (one.identity.clone(), one.dimensions.clone())
    });
    assert_eq!(before, after);
    // Since SDMX 3.0 an artefact may have no version.
    let without = message(&data_structure(r#""id":"D","agencyID":"A","#, &dimension_list()));
    assert_eq!(structures(&without).data_structures()[0].identity.version, "");
}

#[test]
fn codes_are_counted() {
    let codes = |list: &str, items: &str, count: usize, named: &str| {
        let codes = vec!["{\"id\":\"c\",\"names\":{\"en\":\"Code\"}}"; count].join(",");
        let members = format!("\"{items}\":[{codes}],\"id\":\"L\",\"agencyID\":\"A\",\"version\":\"2.0\"");
        let found = structures(&message(&format!("\"{list}\":[{{{members}}}]")));
        found.index().codes(&Reference { agency_id: "A".into(), id: "L".into(), version: named.into() })
    };
    assert_eq!(codes("codelists", "codes", 3, "2.0"), Some(3));
    assert_eq!(codes("valueLists", "valueItems", 2, "2.0"), Some(2));
    assert_eq!(codes("valuelists", "valueItems", 2, "2.0"), Some(2));
    assert_eq!(codes("geographicCodelists", "geoFeatureSetCodes", 1, "2.0+"), Some(1));
    assert_eq!(codes("geoGridCodelists", "geoGridCodes", 1, "2.0"), Some(1));
    assert_eq!(codes("codelists", "codes", 3, "1.0"), None);
    // A stub has no codes, and a list of another kind is no code list.
    assert_eq!(codes("codelists", "codes", 0, "2.0"), None);
    assert_eq!(codes("conceptSchemes", "codes", 3, "2.0"), None);
}

/// In drafts the URN of a reference tells what it is.
#[test]
fn references_of_drafts_are_read() {
    let [structure, list] = ["datastructure.DataStructure=A:D(1.3)", "codelist.Codelist=A:L(2.0)"]
        .map(|urn| format!("urn:sdmx:org.sdmx.infomodel.{urn}"));
    let document = format!(
        "{{\"resources\":[],\"references\":{{\"{structure}\":{{{IDENTITY}\"dataStructureComponents\":{{\"dimensionList\":\
         {{{}}}}}}},\"{list}\":{{\"urn\":\"{list}\",\"items\":[{{}},{{}}]}}}}}}",
        dimension_list()
    );
    let found = structures(&document);
    assert_eq!(found.data_structures()[0].dimensions.len(), 3);
    let named = Reference { agency_id: "A".into(), id: "L".into(), version: "2.0".into() };
    assert_eq!(found.index().codes(&named), Some(2));
}

#[test]
fn irregular_structures_are_reported_and_the_rest_is_read() {
    let rest = data_structure(IDENTITY, &dimension_list()).replace("\"dataStructures\":[", "");
    let check = |other: &str, expected: &[&str]| {
        let document = message(&format!("\"dataStructures\":[{other},{rest}"));
        let (structures, _, reasons) = structures_within(&[&document], &Limits::default());
        let whole = structures.data_structures().iter().filter(|found| found.dimensions.len() == 3);
        assert_eq!((whole.count(), reasons.as_slice()), (1, expected), "{other}");
    };
    check("5", &["INVALID_DATA_STRUCTURE"]);
    check("{}", &["INVALID_DATA_STRUCTURE"]);
    // A stub.
    check(r#"{"id":"E","isExternalReference":true}"#, &[]);
    let of = |components: &str| format!("{{\"id\":\"E\",\"dataStructureComponents\":{components}}}");
    check(&of("null"), &[]);
    check(&of("[]"), &["INVALID_MEMBER"]);
    check(&of(r#"{"dimensionList":5}"#), &["INVALID_MEMBER"]);
    check(&of(r#"{"dimensionList":{"dimensions":"x"}}"#), &["INVALID_MEMBER"]);
    check(&of(r#"{"dimensionList":{"dimensions":[[{}]]}}"#), &["INVALID_MEMBER"]);
    check(&of(r#"{"dimensionList":{"dimensions":[{}]}}"#), &["INVALID_DATA_STRUCTURE"]);
    check(&of(r#"{"dimensionList":{"dimensions":[{"id":"a","id":"b"}]}}"#), &["INVALID_MEMBER"]);
    check(
        &of(r#"{"dimensionList":{"dimensions":[{"id":["a"]}]}}"#),
        &["INVALID_MEMBER", "INVALID_DATA_STRUCTURE"],
    );
    check(
        &of(r#"{"dimensionList":{"dimensions":[{"id":"a","conceptRoles":[5,null,{}]}]}}"#),
        &["INVALID_MEMBER"],
    );
    check(r#"{"id":"E","id":"F"}"#, &["INVALID_MEMBER"]);
    let lists =
        |list: &str| structures_within(&[&message(&format!("\"codelists\":{list}"))], &Limits::default()).2;
    assert_eq!(lists(r#"[{"id":"L","codes":5}]"#), ["INVALID_MEMBER"]);
    assert_eq!(lists(r#"[{"id":"L","codes":[5,{}]}]"#), ["INVALID_MEMBER"]);
    assert_eq!(lists("[7]"), ["INVALID_MEMBER"]);
}

/// Each list occurs once, as in the schema.
#[test]
fn a_list_that_occurs_twice_is_an_error() {
    for list in ["codelists", "dataStructures", "dataConstraints", "valueLists", "availabilityConstraints"] {
        let (_, _, end) = read(message(&format!("\"{list}\":[],\"{list}\":[]")).as_bytes());
        assert_eq!(end.unwrap_err().reason(), "MALFORMED_JSON", "{list}");
    }
}

fn every_kind() -> String {
    let dimensions = data_structure(IDENTITY, &dimension_list());
    let lists = r#""codelists":[{"codes":[{"id":"1"}],"id":"L","agencyID":"A","version":"1.0"}]"#;
    message(&format!("{dimensions},{lists},{}", constraints::constraint("", constraints::REGION)))
}

#[test]
fn structures_are_bounded() {
    let document = every_kind();
    let kept = |limits: Limits| {
        let (found, _, reasons) = structures_within(&[&document], &limits);
        let codelist = Reference { agency_id: "A".into(), id: "L".into(), version: String::new() };
        let codes = usize::from(found.index().codes(&codelist).is_some());
        (found.data_structures().len() + found.constraints().len() + codes, reasons)
    };
    assert_eq!(kept(Limits { structures: 3, ..Limits::default() }), (3, vec![]));
    assert_eq!(kept(Limits { structures: 2, ..Limits::default() }), (2, vec!["STRUCTURES_CUT_SHORT"]));
    assert_eq!(kept(Limits { structures: 0, ..Limits::default() }), (0, vec!["STRUCTURES_CUT_SHORT"]));
    // One byte less than everything takes.
    let is_whole = |bytes: &usize| kept(Limits { structure_bytes: *bytes, ..Limits::default() }).0 == 3;
    let whole = (0..10_000).find(is_whole).unwrap();
    let below = kept(Limits { structure_bytes: whole - 1, ..Limits::default() });
    assert_eq!(below.1, ["STRUCTURES_CUT_SHORT"]);
    assert_eq!(kept(Limits { structure_bytes: whole, ..Limits::default() }), (3, vec![]));
}

#[test]
fn dimensions_of_one_data_structure_are_bounded() {
    let check = |count: usize, expected: &[&str]| {
        let all: Vec<_> = (0..count).map(|number| format!("{{\"id\":\"K{number}\"}}")).collect();
        let document = message(&data_structure(IDENTITY, &format!("\"dimensions\":[{}]", all.join(","))));
        let (structures, _, reasons) = structures_within(&[&document], &Limits::default());
        assert_eq!((structures.is_empty(), reasons), (!expected.is_empty(), expected.to_vec()), "{count}");
    };
    check(128, &[]);
    check(129, &["STRUCTURES_CUT_SHORT"]);
}

#[test]
fn a_further_document_with_structures_is_used() {
    let reasons = |documents: &[&str]| {
        let (mut diagnostics, mut structures) = (Diagnostics::new(10), Structures::default());
        for (number, document) in (0..).zip(documents) {
            let reader = StructureReader::new(document.as_bytes(), Limits::default());
            let reader = reader.with_structures(structures).with_themes(Themes::default());
            let mut reader = reader.following(number, diagnostics);
            while reader.next_dataflow().unwrap().is_some() {}
            structures = reader.take_structures();
            diagnostics = reader.into_diagnostics();
        }
        diagnostics.kept().iter().map(|kept| kept.reason.as_str()).collect::<Vec<_>>()
    };
    let first = message(r#""dataflows":[{"id":"F","name":"n"}]"#);
    assert!(reasons(&[&first, &message(&data_structure(IDENTITY, &dimension_list()))]).is_empty());
    assert_eq!(reasons(&[&first, &message(r#""conceptSchemes":[{}]"#)]), ["DOCUMENT_UNUSED"]);
}

/// What is read of a document with every kind of structure, some of whose bytes are replaced, in pieces of a size.
fn outcome(document: &[u8], size: usize) -> String {
    let limits =
        Limits { document_bytes: 1 << 16, event_bytes: 1 << 12, structure_bytes: 4_000, ..Limits::default() };
    let mut reader =
        StructureReader::new(Pieces(document, size), limits).with_structures(Structures::default());
    let end = loop {
        match reader.next_dataflow() {
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    format!("{end:?} {:?} {:?}", reader.take_structures(), reader.into_diagnostics())
}

#[test]
fn damaged_structures_are_a_result() {
    let sample = every_kind().into_bytes();
    assert!(outcome(&sample, 1 << 10).starts_with("Ok"));
    bolero::check!().with_type::<Vec<(u16, u8)>>().for_each(|edits| {
        let damaged = mutated(sample.clone(), edits);
        let whole = outcome(&damaged, damaged.len());
        for size in [1, 7] {
            assert_eq!(whole, outcome(&damaged, size), "in pieces of {size}");
        }
    });
}
