//! Data structures and code lists: every version of the standard, and irregular input.

use super::themes::structures as message_of;
use super::*;

mod bounds;
mod constraints;
mod key_families;

/// The structures of several documents, the number of their dataflows, and the reasons of all diagnostics but the one that
/// there are no dataflows.
pub(super) fn structures_within(
    documents: &[&str],
    limits: &Limits,
) -> (Structures, usize, Vec<&'static str>) {
    let (mut diagnostics, mut structures, mut count) =
        (Diagnostics::new(limits.diagnostics), Structures::default(), 0);
    for (number, document) in (0..).zip(documents) {
        let reader = StructureReader::new(document.as_bytes(), limits.clone());
        let mut reader = reader.with_structures(structures).following(number, diagnostics);
        while let Some(_flow) = reader.next_dataflow().unwrap_or_else(|error| panic!("{error}\n{document}")) {
            count += 1;
        }
        structures = reader.take_structures();
        diagnostics = reader.into_diagnostics();
    }
    let reasons = diagnostics.kept().iter().map(|kept| kept.reason);
    let reasons = reasons.filter(|reason| *reason != Reason::NoDataflows);
    (structures, count, reasons.map(Reason::as_str).collect())
}

#[track_caller]
fn structures(document: &str) -> Structures {
    let (structures, _, reasons) = structures_within(&[document], &Limits::default());
    assert!(reasons.is_empty(), "{reasons:?}");
    structures
}

/// The dimensions, one word each.
pub(super) fn dimensions(data_structure: &DataStructure) -> Vec<String> {
    let shown = data_structure.dimensions.iter().map(|Dimension { id, role, codelist }| {
        let codelist = if codelist.id.is_empty() { String::new() } else { format!("={codelist}") };
        format!("{id}:{role:?}{codelist}")
    });
    shown.collect()
}

const DSD_2_1: &str = "<s:DataStructures><s:DataStructure id='D' agencyID='A' version='1.3'><c:Name>d</c:Name>\
    <s:DataStructureComponents><s:DimensionList id='DimensionDescriptor'><s:Dimension id='FREQ' position='1'>\
    <s:ConceptIdentity><Ref id='FREQ' agencyID='A' class='Concept'/></s:ConceptIdentity><s:LocalRepresentation>\
    <s:Enumeration><Ref id='CL_FREQ' version='2.0' agencyID='SDMX' class='Codelist'/></s:Enumeration>\
    </s:LocalRepresentation></s:Dimension><s:Dimension id='D2' position='2'><s:ConceptIdentity>\
    <Ref id='ITTER107' class='Concept'/></s:ConceptIdentity></s:Dimension><s:TimeDimension id='TIME_PERIOD'>\
    <s:ConceptIdentity><Ref id='SELECT_TIME' class='Concept'/></s:ConceptIdentity></s:TimeDimension>\
    <s:MeasureDimension id='M' position='3'/></s:DimensionList><s:Group id='G'><s:GroupDimension><s:DimensionReference>\
    <Ref id='D2'/></s:DimensionReference></s:GroupDimension></s:Group><s:AttributeList><s:Attribute id='X'>\
    <s:AttributeRelationship><s:Dimension id='Y'/></s:AttributeRelationship></s:Attribute></s:AttributeList>\
    </s:DataStructureComponents></s:DataStructure></s:DataStructures>";

#[test]
fn dimensions_are_in_the_order_of_keys() {
    let found = structures(&message_of("2_1", DSD_2_1));
    let [data_structure] = found.data_structures() else { panic!("{found:?}") };
    assert_eq!(data_structure.identity.to_string(), "A:D(1.3)");
    let expected = ["FREQ:Frequency=SDMX:CL_FREQ(2.0)", "D2:Geography", "M:Measure", "TIME_PERIOD:Time"];
    assert_eq!(dimensions(data_structure), expected);
    // Positions count if all dimensions but time have one.
    let moved = DSD_2_1.replace("id='D2' position='2'", "id='D2' position='9'");
    let moved = structures(&message_of("2_1", &moved));
    assert_eq!(dimensions(&moved.data_structures()[0])[1..3], ["M:Measure", "D2:Geography"]);
    let partly = DSD_2_1.replace("id='D2' position='2'", "id='D2'");
    let partly = structures(&message_of("2_1", &partly));
    assert_eq!(dimensions(&partly.data_structures()[0]), expected);
}

#[test]
fn a_dimension_takes_its_id_from_its_concept() {
    let urn = "urn:sdmx:org.sdmx.infomodel";
    let components = format!(
        "<s:DataStructures><s:DataStructure id='D' agencyID='A'><s:DataStructureComponents><s:DimensionList><s:Dimension>\
         <s:ConceptIdentity>\n {urn}.conceptscheme.Concept=A:S(1.0).SEX\n</s:ConceptIdentity><s:LocalRepresentation>\
         <s:Enumeration> {urn}.codelist.Codelist=A:CL_SEX(2.1.0) </s:Enumeration></s:LocalRepresentation>\
         <s:ConceptRole>{urn}.conceptscheme.Concept=SDMX:R(1.0).GEO</s:ConceptRole></s:Dimension><s:TimeDimension/>\
         </s:DimensionList></s:DataStructureComponents></s:DataStructure></s:DataStructures>"
    );
    let expected = ["SEX:Geography=A:CL_SEX(2.1.0)", "TIME_PERIOD:Time"];
    for version in ["3_0", "3_1"] {
        let found = structures(&message_of(version, &components));
        assert_eq!(found.data_structures()[0].identity.version, "");
        assert_eq!(dimensions(&found.data_structures()[0]), expected, "{version}");
    }
    let plain = format!("<Structure>{}</Structure>", components.replace("s:D", "D").replace("s:C", "C"));
    let plain = plain.replace("s:T", "T").replace("s:L", "L").replace("s:E", "E");
    let plain = structures(&plain);
    assert_eq!(plain.data_structures()[0].identity.version, "1.0");
    assert_eq!(dimensions(&plain.data_structures()[0]), expected);
}

#[test]
fn codes_are_counted() {
    let list = |kind: &str, item: &str, codes: usize| {
        let codes = format!("<s:{item} id='c'><c:Name>Code</c:Name></s:{item}>").repeat(codes);
        format!("<s:{kind}s><s:{kind} id='L' agencyID='A' version='2.0'>{codes}</s:{kind}></s:{kind}s>")
    };
    let codes = |version: &str, document: String, named: &str| {
        let found = structures(&message_of(version, &document));
        let named = Reference { agency_id: "A".into(), id: "L".into(), version: named.into() };
        found.index().codes(&named)
    };
    assert_eq!(codes("2_1", list("Codelist", "Code", 3), "2.0"), Some(3));
    assert_eq!(codes("3_0", list("ValueList", "ValueItem", 2), "2.0"), Some(2));
    assert_eq!(codes("3_1", list("GeoGridCodelist", "GeoGridCode", 1), "2.0+"), Some(1));
    assert_eq!(codes("2_1", list("Codelist", "Code", 3), "1.0"), None);
    // A stub has no codes.
    assert_eq!(codes("2_1", list("Codelist", "Code", 0), "2.0"), None);
    // A list inside another artefact is a reference.
    let inside = list("Codelist", "Code", 3).replace("s:Codelists", "s:HierarchicalCodelist");
    assert_eq!(codes("2_1", inside, "2.0"), None);
}

/// A constraint of SDMX 2.1 with these attributes and this content, attached to dataflow `F`.
fn constraint(attributes: &str, content: &str) -> String {
    format!(
        "<s:Constraints><s:ContentConstraint id='C' agencyID='A' version='1.0'{attributes}><c:Name>c</c:Name>\
         <s:ConstraintAttachment><s:Dataflow><Ref id='F' agencyID='A' version='1.0' class='Dataflow'/></s:Dataflow>\
         </s:ConstraintAttachment>{content}</s:ContentConstraint></s:Constraints>"
    )
}

const REGION: &str = "<s:CubeRegion include='true'><c:KeyValue id='FREQ'><c:Value>A</c:Value><c:Value>Q</c:Value>\
    <c:Value>A</c:Value></c:KeyValue><c:KeyValue id='SEX'><c:Value>1</c:Value></c:KeyValue><c:KeyValue id='TIME_PERIOD'>\
    <c:TimeRange><c:StartPeriod isInclusive='true'>2001</c:StartPeriod><c:EndPeriod>2018-Q2</c:EndPeriod></c:TimeRange>\
    </c:KeyValue><c:Attribute id='X'><c:Value>1</c:Value></c:Attribute></s:CubeRegion>";

/// The keys of all regions, one word each.
pub(super) fn keys(constraint: &Constraint) -> Vec<String> {
    let shown = |key: &KeyValues| {
        let KeyValues { id, count, is_open, frequencies, periods, .. } = key;
        let frequencies: String = frequencies.iter().map(|frequency| format!(" {frequency}")).collect();
        let periods = [periods.first, periods.last].into_iter().flatten().map(|period| format!(" {period}"));
        format!("{id} {count}{}{frequencies}{}", if *is_open { "+" } else { "" }, periods.collect::<String>())
    };
    constraint.regions.iter().flat_map(|region| region.keys.iter().map(shown)).collect()
}

#[test]
fn irregular_structures_are_reported_and_the_rest_is_read() {
    let check = |content: &str, kept: [usize; 2], expected: &[&str]| {
        let document = message_of("2_1", content);
        let (structures, _, reasons) = structures_within(&[&document], &Limits::default());
        assert_eq!([structures.data_structures().len(), structures.constraints().len()], kept, "{content}");
        assert_eq!(reasons, expected, "{content}");
    };
    let unattached = constraint("", "").replace("ConstraintAttachment", "Other");
    check(&unattached, [0, 1], &["CONSTRAINT_WITHOUT_ATTACHMENT"]);
    let provider = constraint("", "").replace("s:Dataflow", "s:DataProvider");
    check(&provider, [0, 1], &[]);
    let counts = "<c:Annotations><c:Annotation id='obs_count'><c:AnnotationTitle>5</c:AnnotationTitle></c:Annotation>\
                  <c:Annotation id='series_count'><c:AnnotationTitle>6</c:AnnotationTitle></c:Annotation></c:Annotations>";
    check(&constraint("", counts), [0, 1], &["CONTRADICTORY_COUNTS"]);
    check(&constraint("", &counts.replace('6', "5")), [0, 1], &[]);
    check(&DSD_2_1.replace("id='D' ", ""), [0, 0], &["INVALID_DATA_STRUCTURE"]);
    check(
        &DSD_2_1.replace("<s:MeasureDimension id='M'", "<s:MeasureDimension"),
        [0, 0],
        &["INVALID_DATA_STRUCTURE"],
    );
    // A stub.
    check(
        "<s:DataStructures><s:DataStructure id='D' agencyID='A' isExternalReference='true'/></s:DataStructures>",
        [1, 0],
        &[],
    );
}

#[test]
fn a_further_document_without_structures_is_reported() {
    let first = message("<s:Dataflow id='a'><c:Name>n</c:Name></s:Dataflow>");
    let other = first.as_str();
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
    assert_eq!(reasons(&[&first, other]), ["DOCUMENT_UNUSED"]);
    let constraints = message_of("2_1", &constraint("", ""));
    assert!(reasons(&[&first, &constraints, &message_of("2_1", DSD_2_1)]).is_empty());
}
