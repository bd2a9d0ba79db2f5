//! What SDMX-ML allows beside series of observations over time.

use super::*;

const FAMILY: &str = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1";

/// A message of this kind with this header and data sets.
fn message(root: &str, header: &str, data_sets: &str) -> String {
    format!(
        "<m:{root} xmlns:m='{FAMILY}/message' xmlns:g='{FAMILY}/data/generic' xmlns:c='{FAMILY}/common'>\
         <m:Header>{header}</m:Header>{data_sets}</m:{root}>"
    )
}

fn specific(data: &str) -> String {
    message("StructureSpecificData", "", &format!("<m:DataSet>{data}</m:DataSet>"))
}

fn generic(dimension: &str, data: &str) -> String {
    let header = format!("<m:Structure structureID='R' dimensionAtObservation='{dimension}'/>");
    message("GenericData", &header, &format!("<m:DataSet>{data}</m:DataSet>"))
}

fn message_2_0(root: &str, content: &str) -> String {
    let family = "http://www.SDMX.org/resources/SDMXML/schemas/v2_0";
    format!("<{root} xmlns='{family}/message' xmlns:g='{family}/generic' xmlns:d='urn:d'>{content}</{root}>")
}

#[test]
fn an_observation_outside_of_series_is_a_series_of_its_own() {
    check(
        &specific("<Obs K='a' TIME_PERIOD='2001' OBS_VALUE='1'/><Obs K='a' TIME_PERIOD='2002'/>"),
        "1 0 2 2 1 2001 2002",
    );
    let observation = |period: &str| {
        format!(
            "<g:Obs><g:ObsKey><g:Value id='K' value='1999'/><g:Value id='TIME_PERIOD' value='{period}'/></g:ObsKey>\
             <g:ObsValue value='1'/></g:Obs>"
        )
    };
    check(&generic("AllDimensions", &(observation("2002") + &observation("2001"))), "1 0 2 2 0 2001 2002");
}

#[test]
fn values_that_are_absent() {
    let observation = |value: &str| format!("<Obs TIME_PERIOD='2001'{value}/>");
    let series = |value: &str| specific(&format!("<Series>{}</Series>", observation(value)));
    check(&series(" OBS_VALUE='1'"), "1 0 1 1 0 2001 2001");
    for value in ["", " OBS_VALUE=''", " OBS_VALUE='NaN'", " OBS_VALUE='#N/A'", " M='1'"] {
        check(&series(value), "1 0 1 1 1 2001 2001");
    }
    let generic_series =
        |value: &str| generic("TIME_PERIOD", &format!("<g:Series><g:Obs>{value}</g:Obs></g:Series>"));
    check(&generic_series("<g:ObsValue value='1'/>"), "1 0 1 1 0 - -");
    for value in
        ["", "<g:ObsValue/>", "<g:ObsValue value='NaN'/>", "<g:Other><g:ObsValue value='1'/></g:Other>"]
    {
        check(&generic_series(value), "1 0 1 1 1 - -");
    }
    // Since SDMX 3.0 measures have any name, which only the data structure knows.
    let third = |value: &str| series(value).replace("v2_1", "v3_0");
    check(&third(" M='1'"), "1 0 1 1 ? 2001 2001");
    check(&third(" OBS_VALUE='NaN'"), "1 0 1 1 1 2001 2001");
    check(&specific("").replace("v2_1", "v3_0"), "1 0 0 0 0 - -");
}

#[test]
fn time_at_the_series_or_at_the_observation() {
    check(
        &specific("<Series TIME_PERIOD='2001'><Obs K='1990' OBS_VALUE='1'/></Series>"),
        "1 0 1 1 0 2001 2001",
    );
    let data = "<g:Series><g:SeriesKey><g:Value id='TIME_PERIOD' value='2001'/></g:SeriesKey><g:Attributes><g:Value \
                id='TIME_PERIOD' value='1990'/></g:Attributes><g:Obs><g:ObsDimension value='1991'/><g:ObsValue value='1'/>\
                </g:Obs></g:Series>";
    check(&generic("CURRENCY", data), "1 0 1 1 0 2001 2001");
    check(&generic("TIME_PERIOD", data), "1 0 1 1 0 1991 2001");
    check(
        &generic("TIME_PERIOD", &data.replace("ObsDimension", "ObsDimension id='CURRENCY'")),
        "1 0 1 1 0 2001 2001",
    );
}

#[test]
fn groups_are_counted_and_are_no_series() {
    check(
        &specific("<Group K='a' TITLE='t'/><g:Group/><Series K='a'/><Atts A='b'/><c:Annotations/>"),
        "1 2 1 0 0 - -",
    );
    let content = "<d:DataSet><d:SiblingGroup K='a'/><d:SiblingGroup K='b'/><d:Series><d:Obs TIME_PERIOD='2001'/></d:Series>\
                   <d:OtherGroup/></d:DataSet>";
    check(&message_2_0("CompactData", content), "1 3 1 1 1 2001 2001");
    // In SDMX 2.0 series may be inside of groups.
    let content = "<DataSet><g:KeyFamilyRef>D</g:KeyFamilyRef><g:Group><g:GroupKey/><g:Series><g:SeriesKey/><g:Obs><g:Time>\
                   2001-Q1</g:Time><g:ObsValue value='1'/></g:Obs></g:Series></g:Group><g:Series/></DataSet>";
    let document = message_2_0("GenericData", content);
    check(&document, "1 1 2 1 0 2001-Q1 2001-Q1");
    assert_eq!(named(&count(document.as_bytes()).unwrap()), "DataStructure :D()");
}

#[test]
fn data_by_sections_of_a_period() {
    let content = "<d:DataSet><d:Group TIME_PERIOD='2001'><d:Section K='a'><d:STOCK value='1' L='x'/><d:FLOW value='NaN'/>\
                   </d:Section></d:Group><d:Section TIME='2000'><d:STOCK value='2'><g:Annotations/></d:STOCK></d:Section>\
                   </d:DataSet>";
    let document = message_2_0("CrossSectionalData", content);
    check(&document, "1 1 3 3 1 2000 2001");
    assert_eq!(count(document.as_bytes()).unwrap().format, DataFormat::CrossSectional);
}

#[test]
fn a_group_of_messages_has_the_format_of_its_data_sets() {
    let check = |content: &str, format: DataFormat, expected: &str| {
        let document = message_2_0("MessageGroup", content);
        let counts = count(document.as_bytes()).unwrap();
        assert_eq!((counts.format, numbers(&counts)), (format, expected.to_owned()), "{document}");
    };
    let generic = "<g:DataSet><g:Series><g:Obs><g:Time>2001</g:Time></g:Obs></g:Series></g:DataSet>";
    check(&generic.repeat(2), DataFormat::Generic, "2 0 2 2 2 2001 2001");
    check(
        "<d:DataSet><d:AGroup/><d:Series><d:Obs OBS_VALUE='1'/></d:Series></d:DataSet>",
        DataFormat::Compact,
        "1 1 1 1 0 - -",
    );
    check("", DataFormat::Generic, "0 0 0 0 0 - -");
}

#[test]
fn only_what_is_in_its_place_counts() {
    check(
        &specific("<x><Obs/><Series/></x><Series><Series/><x><Obs/></x><Obs><Obs/></Obs></Series>"),
        "1 0 1 1 1 - -",
    );
    check(
        &message(
            "StructureSpecificData",
            "<m:DataSet><Obs/></m:DataSet>",
            "<x><m:DataSet><Obs/></m:DataSet></x>",
        ),
        "0 0 0 0 0 - -",
    );
    check(
        &message("StructureSpecificData", "", "<m:DataSet/><m:DataSet><Obs/></m:DataSet><Obs/>"),
        "2 0 1 1 1 - -",
    );
}

#[test]
fn a_document_without_namespaces_is_counted() {
    let document = "<CompactData><DataSet><AGroup/><Series><Obs TIME_PERIOD='2001' OBS_VALUE='1'/></Series></DataSet>\
                    </CompactData>";
    check(document, "1 1 1 1 0 2001 2001");
    assert_eq!(count(document.as_bytes()).unwrap().version, None);
}

#[test]
fn the_structure_that_a_message_names() {
    let check = |header: &str, namespace: &str, expected: &str| {
        let header = format!(
            "<m:Structure structureID='R'>{header}</m:Structure><m:Structure><c:Structure><Ref id='Z'/>\
             </c:Structure></m:Structure>"
        );
        let document = message("GenericData", &header, &format!("<m:DataSet xmlns:d='{namespace}'/>"));
        assert_eq!(named(&count(document.as_bytes()).unwrap()), expected, "{document}");
    };
    let urn = "urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=A:F(2.0)";
    check(
        "<c:Structure><Ref id=' D ' agencyID='A' version='1.1'/></c:Structure>",
        urn,
        "DataStructure A:D(1.1)",
    );
    check("<c:StructureUsage><Ref id='F' agencyID='A'/></c:StructureUsage>", urn, "Dataflow A:F()");
    check("<c:Structure><Ref id='F' agencyID='A' class='Dataflow'/></c:Structure>", urn, "Dataflow A:F()");
    check(
        "<c:ProvisionAgrement><Ref id='P' agencyID='A'/></c:ProvisionAgrement>",
        urn,
        "ProvisionAgreement A:P()",
    );
    check(&format!("<c:Structure><URN> {urn}</URN></c:Structure>"), "", "Dataflow A:F(2.0)");
    check(
        &format!("<c:ProvisionAgreement>{}</c:ProvisionAgreement>", urn.replace("A:F", "A&#58;F")),
        "",
        "Dataflow A:F(2.0)",
    );
    check("<c:Structure><Ref id=''/></c:Structure>", "", "DataStructure :Z()");
    let document = message("GenericData", "", &format!("<m:DataSet xmlns:d='{urn}:ObsLevelDim:X'/>"));
    assert_eq!(named(&count(document.as_bytes()).unwrap()), "Dataflow A:F(2.0)");
    assert_eq!(named(&count(message("GenericData", "", "").as_bytes()).unwrap()), "");
}

#[test]
fn the_header_of_a_message() {
    let check = |header: &str, expected: (&str, &str, Option<bool>)| {
        let counts = count(message("GenericData", header, "").as_bytes()).unwrap();
        let DataHeader { id, prepared, test } = &counts.header;
        assert_eq!((id.as_str(), prepared.as_str(), *test), expected, "{header}");
    };
    check("<m:ID>\n I&#49; </m:ID><m:Test>false</m:Test>", ("I1", "", Some(false)));
    check("<m:Test>1</m:Test><m:Sender><m:ID>S</m:ID></m:Sender><m:Prepared/>", ("", "", Some(true)));
    check("<m:Test>perhaps</m:Test>", ("", "", None));
    // Longer than any identifier.
    check(&format!("<m:ID>{}</m:ID>", "x".repeat(2_000)), ("", "", None));
}
