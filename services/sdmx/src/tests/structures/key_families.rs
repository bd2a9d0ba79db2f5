//! Key families and code lists of SDMX 2.0.

use super::*;

const KEY_FAMILY: &str = "<m:KeyFamilies><s:KeyFamily id='D' agencyID='A' version='1.3'><s:Name>d</s:Name><s:Components>\
    <s:Dimension conceptRef='FREQUENCE' codelist='CL_FREQ' codelistAgency='SDMX' codelistVersion='2.0' \
    isFrequencyDimension='true'/><s:Dimension conceptRef='unit' codelist='CL_UNIT' isFrequencyDimension='false'>\
    <s:TextFormat textType='String'/></s:Dimension><s:Dimension conceptRef='REF_AREA'/>\
    <s:TimeDimension conceptRef='TIME' codelist='CL_TIME'/><s:Dimension conceptRef='KIND' isMeasureDimension='1'/>\
    <s:Group id='G'><s:DimensionRef>unit</s:DimensionRef></s:Group><s:PrimaryMeasure conceptRef='OBS_VALUE'/>\
    <s:CrossSectionalMeasure conceptRef='STOCKS' measureDimension='KIND' code='P'/><s:Attribute conceptRef='OBS_STATUS' \
    codelist='CL_STATUS'/></s:Components></s:KeyFamily></m:KeyFamilies>";

const LISTS: &str = "<m:CodeLists><s:CodeList id='CL_UNIT' agencyID='A'><s:Code value='x'><s:Description>d</s:Description>\
    </s:Code><s:Code value='y' parentCode='x'/></s:CodeList></m:CodeLists>";

/// The structures, and the reasons of all diagnostics but the one that there are only key families.
fn of(content: &str) -> (Structures, Vec<&'static str>) {
    let (found, flows, mut reasons) = structures_within(&[&message_of("2_0", content)], &Limits::default());
    assert_eq!(flows, 0);
    reasons.retain(|reason| *reason != "KEY_FAMILIES_ONLY");
    (found, reasons)
}

#[test]
fn key_families_are_data_structures() {
    let (found, reasons) = of(&format!("{LISTS}{KEY_FAMILY}"));
    assert!(reasons.is_empty(), "{reasons:?}");
    let [family] = found.data_structures() else { panic!("{found:?}") };
    assert_eq!(family.identity.to_string(), "A:D(1.3)");
    let expected = [
        "FREQUENCE:Frequency=SDMX:CL_FREQ(2.0)",
        // A code list whose agency is not stated is of the agency of the key family.
        "unit:Other=A:CL_UNIT()",
        "REF_AREA:Geography",
        "KIND:Measure",
        "TIME:Time=A:CL_TIME()",
    ];
    assert_eq!(dimensions(family), expected);
    // Any version of it, as none is stated.
    assert_eq!(found.index().codes(&family.dimensions[1].codelist), Some(2));
    let named = StructureReference { agency_id: "A".into(), id: "D".into(), version: String::new() };
    assert!(found.index().data_structure(&named).is_some());
}

#[test]
fn irregular_key_families_are_reported() {
    let check = |content: &str, kept: usize, expected: &[&str]| {
        let (found, reasons) = of(content);
        assert_eq!((found.data_structures().len(), reasons.as_slice()), (kept, expected), "{content}");
    };
    check(&KEY_FAMILY.replace("id='D' ", ""), 0, &["INVALID_DATA_STRUCTURE"]);
    check(&KEY_FAMILY.replace("conceptRef='REF_AREA'", ""), 0, &["INVALID_DATA_STRUCTURE"]);
    check(&KEY_FAMILY.replace(" conceptRef='TIME'", ""), 1, &[]);
    check(
        "<m:KeyFamilies><s:KeyFamily id='D' agencyID='A'><s:Components/></s:KeyFamily></m:KeyFamilies>",
        1,
        &[],
    );
    // Only those in the list of key families.
    check(&KEY_FAMILY.replace("m:KeyFamilies", "m:Other"), 0, &[]);
}

#[test]
fn key_families_that_are_listed_instead_of_dataflows_are_reported_as_before() {
    let document = message_of("2_0", &KEY_FAMILY.repeat(2));
    let mut reader =
        StructureReader::new(document.as_bytes(), Limits::default()).with_structures(Structures::default());
    assert!(reader.next_dataflow().unwrap().is_none());
    assert_eq!(reader.take_structures().data_structures().len(), 2);
    let diagnostics = reader.into_diagnostics();
    let [only] = diagnostics.kept() else { panic!("{diagnostics:?}") };
    assert_eq!(only.reason, Reason::KeyFamiliesOnly);
    assert!(only.message.contains("2 key families"), "{}", only.message);
    assert_eq!(only.position.offset, document.find("<s:KeyFamily ").unwrap() as u64);
}

#[test]
fn key_families_are_bounded() {
    let document = message_of("2_0", &format!("{LISTS}{KEY_FAMILY}"));
    let kept = |limits: Limits| {
        let (found, _, reasons) = structures_within(&[&document], &limits);
        let is_cut = reasons.contains(&"STRUCTURES_CUT_SHORT");
        (found.data_structures().len(), is_cut)
    };
    assert_eq!(kept(Limits { structures: 2, ..Limits::default() }), (1, false));
    assert_eq!(kept(Limits { structures: 1, ..Limits::default() }), (0, true));
    let is_whole =
        |bytes: &usize| kept(Limits { structure_bytes: *bytes, ..Limits::default() }) == (1, false);
    let whole = (0..10_000).find(is_whole).unwrap();
    assert_eq!(kept(Limits { structure_bytes: whole - 1, ..Limits::default() }), (0, true));
}

#[test]
fn dimensions_of_a_key_family_are_bounded() {
    let check = |count: usize, is_kept: bool| {
        let all: String = (0..count).map(|number| format!("<s:Dimension conceptRef='K{number}'/>")).collect();
        let (found, reasons) = of(&format!(
            "<m:KeyFamilies><s:KeyFamily id='D' agencyID='A'><s:Components>{all}</s:Components></s:KeyFamily></m:KeyFamilies>"
        ));
        assert_eq!(
            (found.is_empty(), reasons.contains(&"STRUCTURES_CUT_SHORT")),
            (!is_kept, !is_kept),
            "{count}"
        );
    };
    check(128, true);
    check(129, false);
}
