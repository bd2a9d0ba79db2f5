//! Data structures, code lists and constraints: every version of the standard, irregular input, and the limits.

use super::themes::structures as message_of;
use super::*;

/// The structures of several documents, the number of their dataflows, and the reasons of all diagnostics but the one that
/// there are no dataflows.
fn structures_within(documents: &[&str], limits: &Limits) -> (Structures, usize, Vec<&'static str>) {
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
fn dimensions(data_structure: &DataStructure) -> Vec<String> {
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
fn keys(constraint: &Constraint) -> Vec<String> {
    let shown = |key: &KeyValues| {
        let KeyValues { id, count, is_open, frequencies, periods, .. } = key;
        let frequencies: String = frequencies.iter().map(|frequency| format!(" {frequency}")).collect();
        let periods = [periods.first, periods.last].into_iter().flatten().map(|period| format!(" {period}"));
        format!("{id} {count}{}{frequencies}{}", if *is_open { "+" } else { "" }, periods.collect::<String>())
    };
    constraint.regions.iter().flat_map(|region| region.keys.iter().map(shown)).collect()
}

#[test]
fn constraints_of_every_version_are_read() {
    let metric = |id: &str, count: &str| {
        format!(
            "<c:Annotation id='{id}'><c:AnnotationTitle>{count}</c:AnnotationTitle><c:AnnotationType>sdmx_metrics\
             </c:AnnotationType></c:Annotation>"
        )
    };
    let metrics = format!(
        "<c:Annotations>{}{}</c:Annotations>",
        metric("obs_count", "70"),
        metric("series_count", "6")
    );
    let period = "<s:ReferencePeriod startTime='2001-01-01T00:00:00Z' endTime='2018-01-01T00:00:00Z'/>";
    let found = structures(&message_of("2_1", &constraint("", &format!("{metrics}{REGION}{period}"))));
    let [first] = found.constraints() else { panic!("{found:?}") };
    assert_eq!((first.to_string().as_str(), first.is_actual), ("A:C(1.0)", true));
    assert_eq!((first.observation_count, first.series_count), (Some(70), Some(6)));
    assert_eq!(first.dataflows, [Reference { agency_id: "A".into(), id: "F".into(), version: "1.0".into() }]);
    assert_eq!(keys(first), ["FREQ 3 A Q", "SEX 1", "TIME_PERIOD 0 2001 2018-Q2"]);
    assert_eq!(first.periods.last.unwrap().to_string(), "2018-01-01");

    let urn = "urn:sdmx:org.sdmx.infomodel.datastructure";
    let attachment = format!(
        "<s:ConstraintAttachment><s:Dataflow>\n{urn}.Dataflow=A:F(1.0)\n</s:Dataflow><s:DataStructure>\
         <URN>{urn}.DataStructure=A:D(2.0)</URN></s:DataStructure></s:ConstraintAttachment>"
    );
    let region = REGION.replace("c:", "s:");
    let check = |version: &str, open: &str, is_actual: bool, counts: [Option<i64>; 2]| {
        let name = open.split(' ').next().unwrap();
        let found = structures(&message_of(version, &format!("<s:{open}>{attachment}{region}</s:{name}>")));
        let [first] = found.constraints() else { panic!("{open}: {found:?}") };
        assert_eq!(
            (first.is_actual, [first.observation_count, first.series_count]),
            (is_actual, counts),
            "{open}"
        );
        assert_eq!((first.dataflows.len(), first.data_structures.len()), (1, 1), "{open}");
        assert_eq!(keys(first).len(), 3);
    };
    check("3_0", "DataConstraint id='C' agencyID='A' role='Actual'", true, [None; 2]);
    check("3_0", "DataConstraint id='C' agencyID='A' role='Allowed'", false, [None; 2]);
    check("3_1", "DataConstraint id='C' agencyID='A'", false, [None; 2]);
    check("3_1", "AvailabilityConstraint seriesCount='6' obsCount='70'", true, [Some(70), Some(6)]);
    check("3_1", "AvailabilityConstraint obsCount='-1' seriesCount='many'", true, [None; 2]);
}

#[test]
fn a_region_may_be_open_or_excluded() {
    let check = |content: &str, expected: &[&str]| {
        let found = structures(&message_of("2_1", &constraint(" type='Allowed'", content)));
        assert!(!found.constraints()[0].is_actual);
        assert_eq!(keys(&found.constraints()[0]), expected, "{content}");
    };
    let region = |attributes: &str, key: &str| format!("<s:CubeRegion{attributes}>{key}</s:CubeRegion>");
    let key = |attributes: &str, value: &str| format!("<c:KeyValue id='K'{attributes}>{value}</c:KeyValue>");
    check(&region("", &key("", "<c:Value>x</c:Value>")), &["K 1"]);
    check(&region(" include='false'", &key("", "<c:Value>x</c:Value>")), &[]);
    check(&region("", &key(" include='false'", "<c:Value>x</c:Value>")), &["K 1+"]);
    check(&region("", &key("", "<c:Value cascadeValues='true'>x</c:Value>")), &["K 1+"]);
    check(&region("", &key("", "<c:Value cascadeValues='false'>x</c:Value>")), &["K 1"]);
    check(&region("", &key("", "<c:Value>x%</c:Value>")), &["K 1+"]);
    check(&region("", ""), &[]);
    let frequency = "<c:KeyValue id='freq'><c:Value>M</c:Value><c:Value>U</c:Value></c:KeyValue>";
    check(&region("", frequency), &["freq 2+ M"]);
    let times = "<c:KeyValue id='TIME_PERIOD'><c:Value>2003</c:Value><c:Value>2001</c:Value><c:Value>x</c:Value></c:KeyValue>";
    check(&region("", times), &["TIME_PERIOD 3 2001 2003"]);
    let many = (1..=17).map(|years| format!("<c:Value>A{years}</c:Value>")).collect::<String>();
    let found = structures(&message_of(
        "2_1",
        &constraint("", &region("", &format!("<c:KeyValue id='FREQ'>{many}</c:KeyValue>"))),
    ));
    let key = &found.constraints()[0].regions[0].keys[0];
    assert_eq!((key.frequencies.len(), key.is_open), (16, true));
}

/// 529 wrappers and no definition: the case that made catalogues of constraints look full.
#[test]
fn a_dataflow_inside_a_constraint_is_never_a_dataflow() {
    let wrapper = "<s:Dataflow><Ref id='F' agencyID='A'/></s:Dataflow>";
    let attachments = wrapper.repeat(529);
    let document = message_of(
        "2_1",
        &constraint("", "")
            .replace(wrapper, "")
            .replace("</s:ConstraintAttachment>", &format!("{attachments}</s:ConstraintAttachment>")),
    );
    let plain = document.replace("s:", "").replace("c:", "").replace("m:", "");
    let plain = format!(
        "<Structure>{}</Structure>",
        &plain[plain.find("<Constraints>").unwrap()..plain.find("</Structures>").unwrap()]
    );
    for document in [document, plain] {
        let (structures, count, reasons) = structures_within(&[&document], &Limits::default());
        assert_eq!((count, reasons.len()), (0, 0), "{reasons:?}");
        assert_eq!(structures.constraints()[0].dataflows.len(), 530);
        // Likewise where structures are not collected.
        let (flows, _, end) = read(document.as_bytes());
        assert!(flows.is_empty() && end.is_ok(), "{end:?}");
    }
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
fn constraints_of_a_version_precede_those_of_other_versions() {
    let other = constraint("", "")
        .replace("id='C'", "id='O'")
        .replace("id='F' agencyID='A' version='1.0'", "id='F' agencyID='A' version='2.0'");
    let structure = constraint("", "").replace("id='C'", "id='S'").replace("s:Dataflow", "s:DataStructure");
    let found = structures(&message_of("2_1", &(constraint("", "") + &other + &structure)));
    let index = found.index();
    let names = |version: &str, structure: Option<&StructureReference>| {
        let constraints = index.constraints(("A", "F", version), structure);
        constraints.iter().map(|constraint| constraint.identity.id.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(names("1.0", None), ["C"]);
    assert_eq!(names("2.0", None), ["O"]);
    assert_eq!(names("3.0", None), ["C", "O"]);
    let structure = StructureReference { agency_id: "A".into(), id: "F".into(), version: "1.0".into() };
    assert_eq!(names("1.0", Some(&structure)), ["C", "S"]);
    assert!(index.constraints(("B", "F", "1.0"), None).is_empty());
    let many = message_of("2_1", &constraint("", "").repeat(20));
    assert_eq!(structures(&many).index().constraints(("A", "F", "1.0"), None).len(), 4);
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

#[test]
fn keys_of_one_dimension_are_merged() {
    let key =
        |id: &str, value: &str| format!("<c:KeyValue id='{id}'><c:Value>{value}</c:Value></c:KeyValue>");
    let all = [key("Z", "1"), key("FREQ", "Q"), key("FREQ", "M"), key("A", "x%"), key("A", "1")].concat();
    let found =
        structures(&message_of("2_1", &constraint("", &format!("<s:CubeRegion>{all}</s:CubeRegion>"))));
    assert_eq!(keys(&found.constraints()[0]), ["A 2+", "FREQ 2 Q M", "Z 1"]);
    let region = &found.constraints()[0].regions[0];
    assert_eq!((region.key("Z").map(|key| key.count), region.key("B")), (Some(1), None));
}
