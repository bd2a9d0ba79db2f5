//! What a dataflow is called and where it is: attributes, URNs, versions, stubs, and elements that only refer to one.

use super::*;

/// A message of SDMX 2.0, whose namespaces and containers differ.
fn message_2_0(dataflows: &str) -> String {
    let family = "http://www.SDMX.org/resources/SDMXML/schemas/v2_0";
    format!(
        "<m:Structure xmlns:m='{family}/message' xmlns:s='{family}/structure'><m:Dataflows>{dataflows}\
         </m:Dataflows></m:Structure>"
    )
}

fn message_3_0(dataflows: &str) -> String {
    message(dataflows).replace("v2_1", "v3_0")
}

/// `AGENCY:ID(VERSION)` of each dataflow, and the reasons of the diagnostics except missing names.
fn identities(document: &str) -> (Vec<String>, Vec<Reason>) {
    let (flows, diagnostics, end) = read(document.as_bytes());
    end.unwrap_or_else(|error| panic!("{error}\n{document}"));
    let shown =
        flows.iter().map(|flow| format!("{}:{}({})", flow.agency_id, flow.id, flow.version)).collect();
    let reasons = diagnostics.kept().iter().map(|kept| kept.reason);
    (shown, reasons.filter(|reason| *reason != Reason::DataflowWithoutName).collect())
}

#[track_caller]
fn check(document: &str, expected: &[&str], reasons: &[Reason]) {
    let (found, diagnosed) = identities(document);
    let found: Vec<_> = found.iter().map(String::as_str).collect();
    assert_eq!((found.as_slice(), diagnosed.as_slice()), (expected, reasons), "{document}");
}

#[test]
fn a_urn_that_contradicts_the_attributes_is_reported() {
    let check = |attributes: &str, expected: &[&str], reasons: &[Reason]| {
        check(&message(&format!("<s:Dataflow {attributes}/>")), expected, reasons);
    };
    let urn = |class: &str, artefact: &str| {
        format!("urn='urn:sdmx:org.sdmx.infomodel.datastructure.{class}={artefact}'")
    };
    let attributes = "id='M' agencyID='X' version='1.0'";
    let with = |urn: &str| format!("{attributes} {urn}");
    let (own, contradictory) = (&["X:M(1.0)"], &[Reason::ContradictoryUrn]);
    check(&with(&urn("Dataflow", "X:M(1.0)")), own, &[]);
    // The class as the information model names it.
    check(&with(&urn("DataflowDefinition", "X:M(1.0)")), own, &[]);
    // A URN without a version states none.
    check(&with(&urn("Dataflow", "X:M")), own, &[]);
    for other in ["Y:M(1.0)", "X:OTHER(1.0)", "X:M(2.0)"] {
        check(&with(&urn("Dataflow", other)), own, contradictory);
    }
    check(&with(&urn("Codelist", "X:M(1.0)")), own, contradictory);
    check(&urn("Codelist", "X:M(1.0)"), &[], &[Reason::DataflowWithoutId]);
    check(&format!("id='M' {}", urn("Codelist", "X:M(2.0)")), &[":M(1.0)"], contradictory);
    check(
        &with("urn='urn:sdmx.org.sdmx.infomodel.datastructure.Dataflow=X:M(1.0)'"),
        own,
        &[Reason::InvalidUrn],
    );
    check(&with("urn=''"), own, &[]);
}

#[test]
fn urns_of_2_0_have_their_version_in_brackets() {
    let urn = |class: &str, artefact: &str| format!("urn:sdmx:org.sdmx.infomodel.{class}={artefact}");
    let dataflow = urn("datastructure.Dataflow", "B:D[3.2]");
    let family =
        format!("<s:KeyFamilyRef><s:URN>{}</s:URN></s:KeyFamilyRef>", urn("keyfamily.KeyFamily", "B:K[2.1]"));
    let document = message_2_0(&format!(
        "<s:Dataflow urn='{dataflow}'><s:Name>n</s:Name>{family}</s:Dataflow>\
         <s:Dataflow id='D' agencyID='B' version='3.3' urn='{}'/>",
        urn("datastructure.Dataflow", "B:D[3.3]")
    ));
    check(&document, &["B:D(3.2)", "B:D(3.3)"], &[]);
    let structure = StructureReference { agency_id: "B".into(), id: "K".into(), version: "2.1".into() };
    assert_eq!(flows(&document)[0].structure, Some(structure));
}

#[test]
fn the_structure_is_named_by_the_classes_of_the_standard_and_of_its_model() {
    let check = |class: &str, expected: Option<&str>| {
        let urn = format!("urn:sdmx:org.sdmx.infomodel.datastructure.{class}=A:S(2.0)");
        let content = format!("<s:Dataflow id='a'><s:Structure><URN>{urn}</URN></s:Structure></s:Dataflow>");
        let found = flows(&message(&content)).remove(0).structure;
        assert_eq!(found.map(|structure| structure.id).as_deref(), expected, "{class}");
    };
    check("DataStructure", Some("S"));
    check("DataStructureDefinition", Some("S"));
    check("KeyFamily", Some("S"));
    check("Codelist", None);
}

#[test]
fn uri_is_the_place_of_a_stub_in_2_0_only() {
    let stub = "<s:Dataflow id='a' isExternalReference='true' uri='http://r/a.xml'/>";
    let place = |document: &str| {
        flows(document).remove(0).external.map(|external| external.structure_url.unwrap_or_default())
    };
    assert_eq!(place(&message_2_0(stub)).as_deref(), Some("http://r/a.xml"));
    assert_eq!(place(&message_2_0(&stub.replace("true", "false"))), None);
    for document in [message(stub), message_3_0(stub)] {
        assert_eq!(place(&document).as_deref(), Some(""));
    }
}

#[test]
fn an_absent_version_is_1_0_before_3_0_and_none_since() {
    let flow = "<s:Dataflow id='a' agencyID='A'><s:Structure>\
                urn:sdmx:org.sdmx.infomodel.datastructure.DataStructure=A:S</s:Structure></s:Dataflow>";
    for (document, version) in [(message(flow), "1.0"), (message_3_0(flow), "")] {
        let flow = flows(&document).remove(0);
        assert_eq!((flow.version.as_str(), flow.structure.unwrap().version.as_str()), (version, version));
    }
    let versions = ["1.0.0-draft", "0.1.dev1", "1.9", "1.10"];
    let content: String =
        versions.map(|version| format!("<s:Dataflow id='V' version='{version}'/>")).concat();
    let expected = versions.map(|version| format!(":V({version})"));
    assert_eq!(
        identities(&message_3_0(&(content + "<s:Dataflow id='V'/>"))).0,
        [&expected[..], &[":V()".into()]].concat()
    );
}

#[test]
fn blank_attributes_count_as_absent() {
    let blank = "<s:Dataflow id='B' agencyID='X' version='' isFinal='' isExternalReference='' urn='' uri='' \
                 validFrom=''><s:Structure><Ref id='D' agencyID='X' version=''/></s:Structure></s:Dataflow>";
    // The schema has no blank boolean.
    check(&message(blank), &["X:B(1.0)"], &[Reason::InvalidBoolean, Reason::InvalidBoolean]);
    let flow = flows(&message(blank)).remove(0);
    assert_eq!((flow.is_final, flow.external, flow.structure.unwrap().version.as_str()), (None, None, "1.0"));
}

#[test]
fn versions_agencies_and_odd_ids_are_told_apart() {
    let versions: String =
        (0..56).map(|version| format!("<s:Dataflow id='F' agencyID='A' version='1.{version}'/>")).collect();
    let (found, reasons) = identities(&message(&versions));
    assert_eq!((found.len(), found[55].as_str(), reasons.as_slice()), (56, "A:F(1.55)", &[][..]));
    let agencies = "<s:Dataflow id='F' agencyID='A'/><s:Dataflow id='F' agencyID='B'/>";
    check(&message(agencies), &["A:F(1.0)", "B:F(1.0)"], &[]);
    check(&message("<s:Dataflow id='_-.@' agencyID='A'/>"), &["A:_-.@(1.0)"], &[]);
    // Validity is of the version, and says nothing about its data.
    let ended = "<s:Dataflow id='F' agencyID='A' validFrom='2010-01-01' validTo='2014-04-20T12:16:44Z'/>";
    check(&message(ended), &["A:F(1.0)"], &[]);
}

#[test]
fn without_namespaces_the_element_around_tells_a_dataflow_from_a_reference() {
    let reference = "<ContentConstraint><ConstraintAttachment><Dataflow><Ref id='R' agencyID='A'/></Dataflow>\
                     <Dataflow id='R'/></ConstraintAttachment></ContentConstraint>";
    let dataflows = "<Dataflows><Dataflow id='F' agencyID='A'><Name>n</Name></Dataflow></Dataflows>";
    for root in ["Structure", "message"] {
        let document = format!(
            "<{root}><Structures>{dataflows}<Constraints>{reference}</Constraints></Structures></{root}>"
        );
        check(&document, &["A:F(1.0)"], &[]);
    }
    let only = format!("<Structure><Constraints>{reference}</Constraints></Structure>");
    check(&only, &[], &[Reason::NoDataflows]);
    check("<Dataflows><Dataflow id='F' agencyID='A'/></Dataflows>", &["A:F(1.0)"], &[]);
    check("<all><Dataflow id='F' agencyID='A'/></all>", &["A:F(1.0)"], &[]);
}

#[test]
fn a_catalogue_without_dataflows_says_so() {
    let none = &[Reason::NoDataflows];
    check(&message(""), &[], none);
    let scheme = "<s:CategorySchemes><s:CategoryScheme id='S'><s:Category id='A'/></s:CategoryScheme>\
                  </s:CategorySchemes>";
    check(&message("").replace("<s:Dataflows></s:Dataflows>", scheme), &[], none);
    // References to dataflows only.
    let attachments =
        "<s:ConstraintAttachment><s:Dataflow><Ref id='R'/></s:Dataflow></s:ConstraintAttachment>".repeat(529);
    let document = message("")
        .replace("<s:Dataflows></s:Dataflows>", &format!("<s:Constraints>{attachments}</s:Constraints>"));
    check(&document, &[], none);
    let (_, diagnostics, _) = read(document.as_bytes());
    assert!(diagnostics.kept()[0].message.contains("529 references"), "{}", diagnostics.kept()[0].message);
    assert_eq!(diagnostics.kept()[0].severity(), Severity::Info);
    // A further document has themes; it needs no dataflows.
    let reader = StructureReader::new(document.as_bytes(), Limits::default());
    let mut reader = reader.following(1, Diagnostics::new(10));
    assert_eq!(reader.next_dataflow().unwrap(), None);
    assert!(reader.diagnostics().is_empty());
}

#[test]
fn identity_comes_from_attributes_or_urn() {
    let check = |attributes: &str, expected: &[&str]| {
        let flows = flows(&message(&format!("<s:Dataflow {attributes}/>")));
        let found =
            flows.iter().map(|f| format!("{}:{}({})", f.agency_id, f.id, f.version)).collect::<Vec<_>>();
        assert_eq!(found, expected, "{attributes}");
    };
    check("id='22_289' agencyID='IT1' version='1.0'", &["IT1:22_289(1.0)"]);
    check("id='DSD_X@DF_Y'", &[":DSD_X@DF_Y(1.0)"]);
    check("id=' a '", &[":a(1.0)"]);
    check("urn='urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=A:F(2.0)'", &["A:F(2.0)"]);
    check("id='G' urn='urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=A:F(2.0)'", &["A:G(2.0)"]);
    check("id='G' urn='urn:uuid:1'", &[":G(1.0)"]);
    check("", &[]);
    check("id='' urn='F'", &[]);
    check("id=' '", &[]);
    check("ID='F'", &[]);
}
