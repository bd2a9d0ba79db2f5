//! The limits of structures, and damaged structures.

use super::*;
use crate::tests::fuzz::{Pieces, mutated};

#[test]
fn structures_are_bounded() {
    let three = format!(
        "{DSD_2_1}{}<s:Codelists><s:Codelist id='L' agencyID='A'><s:Code id='1'/></s:Codelist></s:Codelists>",
        constraint("", REGION)
    );
    let document = message_of("2_1", &three);
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
    let whole = (0..10_000)
        .find(|bytes| kept(Limits { structure_bytes: *bytes, ..Limits::default() }).0 == 3)
        .unwrap();
    let below = kept(Limits { structure_bytes: whole - 1, ..Limits::default() });
    assert_eq!(below.1, ["STRUCTURES_CUT_SHORT"]);
    assert_eq!(kept(Limits { structure_bytes: whole, ..Limits::default() }), (3, vec![]));
}

/// A million values of one dimension take no memory.
#[test]
fn the_number_of_values_is_not_limited() {
    let values = "<c:Value>001272</c:Value>".repeat(1_000_000);
    let region = format!("<s:CubeRegion><c:KeyValue id='GEO'>{values}</c:KeyValue></s:CubeRegion>");
    let document = message_of("2_1", &constraint("", &region));
    let limits = Limits { structure_bytes: 2_000, ..Limits::default() };
    let (structures, _, reasons) = structures_within(&[&document], &limits);
    assert_eq!((keys(&structures.constraints()[0]), reasons.len()), (vec!["GEO 1000000".to_owned()], 0));
}

#[test]
fn parts_of_one_artefact_are_bounded() {
    let key = |number: usize| format!("<c:KeyValue id='K{number}'><c:Value>x</c:Value></c:KeyValue>");
    let check = |count: usize, expected: &[&str]| {
        let keys: String = (0..count).map(key).collect();
        let dimensions: String = (0..count).map(|number| format!("<s:Dimension id='K{number}'/>")).collect();
        let data_structure = format!(
            "<s:DataStructures><s:DataStructure id='D' agencyID='A'><s:DataStructureComponents><s:DimensionList>\
             {dimensions}</s:DimensionList></s:DataStructureComponents></s:DataStructure></s:DataStructures>"
        );
        let constraint = constraint("", &format!("<s:CubeRegion>{keys}</s:CubeRegion>"));
        for content in [data_structure, constraint] {
            let document = message_of("2_1", &content);
            let (structures, _, reasons) = structures_within(&[&document], &Limits::default());
            assert_eq!(
                (structures.is_empty(), reasons),
                (!expected.is_empty(), expected.to_vec()),
                "{count}"
            );
        }
    };
    check(128, &[]);
    check(129, &["STRUCTURES_CUT_SHORT"]);
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
    let lists = "<s:Codelists><s:Codelist id='L' agencyID='A'><s:Code id='1'/></s:Codelist></s:Codelists>";
    let sample = message_of("2_1", &format!("{DSD_2_1}{lists}{}", constraint("", REGION))).into_bytes();
    assert!(outcome(&sample, 1 << 10).starts_with("Ok"));
    bolero::check!().with_type::<Vec<(u16, u8)>>().for_each(|edits| {
        let damaged = mutated(sample.clone(), edits);
        let whole = outcome(&damaged, damaged.len());
        for size in [1, 7] {
            assert_eq!(whole, outcome(&damaged, size), "in pieces of {size}");
        }
    });
}
