//! Constraints: every version of the standard, and what they are attached to.

use super::*;

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
