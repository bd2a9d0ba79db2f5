//! The same content in every format: two series of three and two observations, one of them without a value.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const FAMILY: &str = "http://www.sdmx.org/resources/sdmxml/schemas";
const FAMILY_2_0: &str = "http://www.SDMX.org/resources/SDMXML/schemas/v2_0";

/// Key, period and value of the observations.
const OBSERVATIONS: [(&str, &str, &str); 5] = [
    ("X", "2002", "1.5"),
    ("X", "2001", "NaN"),
    ("X", "2003", "-2"),
    ("Y", "2000", "0"),
    ("Y", "2002", "1e3"),
];

/// The observations of each series, each as `write` has it, within what `series` writes around them.
fn series(around: impl Fn(&str, &str) -> String, write: impl Fn(&str, &str) -> String) -> String {
    ["X", "Y"]
        .map(|key| {
            let own = OBSERVATIONS.iter().filter(|(of, ..)| *of == key);
            around(key, &own.map(|(_, period, value)| write(period, value)).collect::<String>())
        })
        .concat()
}

fn header(structure: &str) -> String {
    format!(
        "<m:Header><m:ID>I</m:ID><m:Test>true</m:Test><m:Prepared> 2020-01-01 </m:Prepared><m:Sender id='S'/>\
         <m:Structure structureID='R' dimensionAtObservation='TIME_PERIOD'>{structure}</m:Structure></m:Header>"
    )
}

pub(super) fn generic_2_1(root: &str) -> String {
    let data = series(
        |key, observations| {
            format!(
                "<g:Series><g:SeriesKey><g:Value id='K' value='{key}'/></g:SeriesKey>{observations}</g:Series>"
            )
        },
        |period, value| {
            format!("<g:Obs><g:ObsDimension value='{period}'/><g:ObsValue value='{value}'/></g:Obs>")
        },
    );
    let header = header("<c:Structure><Ref agencyID='A' id='D' version='1.0'/></c:Structure>");
    format!(
        "<m:{root} xmlns:m='{FAMILY}/v2_1/message' xmlns:g='{FAMILY}/v2_1/data/generic' xmlns:c='{FAMILY}/v2_1/common'>\
         {header}<m:DataSet structureRef='R'>{data}</m:DataSet></m:{root}>"
    )
}

fn specific(root: &str, version: &str, structure: &str) -> String {
    let data = series(
        |key, observations| format!("<Series K='{key}'>{observations}</Series>"),
        |period, value| format!("<Obs TIME_PERIOD='{period}' OBS_VALUE='{value}'/>"),
    );
    let header = header(structure);
    format!(
        "<m:{root} xmlns:m='{FAMILY}/{version}/message' xmlns:c='{FAMILY}/{version}/common'>{header}<m:DataSet>{data}\
         </m:DataSet></m:{root}>"
    )
}

fn header_2_0(more: &str) -> String {
    format!("<Header><ID>I</ID><Test>true</Test><Prepared>2020-01-01</Prepared>{more}</Header>")
}

fn compact(more: &str) -> String {
    let data = series(
        |key, observations| format!("<d:Series K='{key}'>{observations}</d:Series>"),
        |period, value| format!("<d:Obs TIME_PERIOD='{period}' OBS_VALUE='{value}'/>"),
    );
    let header = header_2_0(more);
    format!(
        "<CompactData xmlns='{FAMILY_2_0}/message' xmlns:d='urn:sdmx:org.sdmx.infomodel.keyfamily.KeyFamily=A:D:compact'>\
         {header}<d:DataSet>{data}</d:DataSet></CompactData>"
    )
}

fn generic_2_0() -> String {
    let data = series(
        |key, observations| {
            format!(
                "<g:Series><g:SeriesKey><g:Value concept='K' value='{key}'/></g:SeriesKey>{observations}</g:Series>"
            )
        },
        |period, value| format!("<g:Obs><g:Time>{period}</g:Time><g:ObsValue value='{value}'/></g:Obs>"),
    );
    let header = header_2_0("<KeyFamilyRef>D</KeyFamilyRef><KeyFamilyAgency>A</KeyFamilyAgency>");
    format!(
        "<GenericData xmlns='{FAMILY_2_0}/message' xmlns:g='{FAMILY_2_0}/generic'>{header}<DataSet>{data}</DataSet>\
         </GenericData>"
    )
}

/// The periods by which the observations of JSON refer to them.
const PERIODS: [&str; 4] = ["2000", "2001", "2002", "2003"];

fn json_series() -> String {
    let value = |value: &str| if value == "NaN" { "null".to_owned() } else { value.to_owned() };
    let data = series(
        |key, observations| {
            let key = u8::from(key == "Y");
            format!(
                "\"{key}\": {{\"attributes\": [0], \"observations\": {{{}}}}},",
                observations.trim_end_matches(',')
            )
        },
        |period, text| {
            let index = PERIODS.iter().position(|known| *known == period).unwrap();
            format!("\"{index}\": [{}, null, 0],", value(text))
        },
    );
    format!("{{\"action\": \"Information\", \"series\": {{{}}}}}", data.trim_end_matches(','))
}

fn json_1() -> String {
    let periods = PERIODS.map(|period| format!("{{\"id\": \"{period}\", \"name\": \"{period}\"}}")).join(",");
    format!(
        "{{\"header\": {{\"id\": \"I\", \"test\": true, \"prepared\": \"2020-01-01\", \"sender\": {{\"id\": \"S\"}}}}, \
         \"dataSets\": [{}], \"structure\": {{\"links\": [{{\"href\": \"https://a/rest/datastructure/A/D/1.0\", \
         \"rel\": \"datastructure\"}}], \"dimensions\": {{\"series\": [{{\"id\": \"K\", \"values\": [{{\"id\": \"X\"}}, \
         {{\"id\": \"Y\"}}]}}], \"observation\": [{{\"values\": [{periods}], \"id\": \"TIME_PERIOD\"}}]}}}}}}",
        json_series()
    )
}

fn json_2() -> String {
    let periods = PERIODS.map(|period| format!("{{\"value\": \"{period}\"}}")).join(",");
    format!(
        "{{\"data\": {{\"structures\": [{{\"dimensions\": {{\"observation\": [{{\"id\": \"TIME_PERIOD\", \"values\": \
         [{periods}]}}]}}, \"links\": [{{\"rel\": \"self\", \"urn\": \"urn:sdmx:org.sdmx.infomodel.datastructure.\
         DataStructure=A:D(1.0)\"}}]}}], \"dataSets\": [{}]}}, \"meta\": {{\"id\": \"I\", \"test\": true, \"prepared\": \
         \"2020-01-01\"}}}}",
        json_series()
    )
}

pub(super) fn csv_1() -> String {
    let rows =
        OBSERVATIONS.map(|(key, period, value)| format!("A:D(1.0),{key},{period},{value},\"a, b\"\r\n"));
    format!("DATAFLOW,K,TIME_PERIOD,OBS_VALUE,NOTE\r\n{}", rows.concat())
}

fn csv_2() -> String {
    let rows =
        OBSERVATIONS.map(|(key, period, value)| format!("datastructure,A:D(1.0),I,{key},{period},{value}\n"));
    format!("STRUCTURE,STRUCTURE_ID,ACTION,K,TIME_PERIOD,OBS_VALUE\n{}", rows.concat())
}

/// Every format, by name and version.
pub(super) fn all() -> Vec<(&'static str, String)> {
    let urn = "urn:sdmx:org.sdmx.infomodel.datastructure.DataStructure=A:D(1.0)";
    let urn_element = format!("<c:Structure><URN>{urn}</URN></c:Structure>");
    let urn_text = format!("<c:Structure>{urn}</c:Structure>");
    vec![
        ("Generic 2.1", generic_2_1("GenericData")),
        ("Generic 2.1", generic_2_1("GenericTimeSeriesData")),
        ("StructureSpecific 2.1", specific("StructureSpecificData", "v2_1", &urn_element)),
        ("StructureSpecific 2.1", specific("StructureSpecificTimeSeriesData", "v2_1", &urn_element)),
        ("StructureSpecific 3.0", specific("StructureSpecificData", "v3_0", &urn_text)),
        ("StructureSpecific 3.1", specific("StructureSpecificData", "v3_1", &urn_text)),
        ("Compact 2.0", compact("")),
        ("Compact 2.0", compact("<KeyFamilyRef>D</KeyFamilyRef><KeyFamilyAgency>A</KeyFamilyAgency>")),
        ("Generic 2.0", generic_2_0()),
        ("SDMX-JSON 1.0", json_1()),
        ("SDMX-JSON 2.0", json_2()),
        ("SDMX-CSV 1.0", csv_1()),
        ("SDMX-CSV 2.0", csv_2()),
    ]
}

#[test]
fn the_same_content_has_the_same_counts_in_every_format() {
    for (name, document) in all() {
        let counts = count(document.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{document}"));
        assert_eq!(format!("{} {}", counts.format, counts.version.unwrap()), name);
        assert_eq!(numbers(&counts), "1 0 2 5 1 2000 2003", "{document}");
        let version = if name.ends_with("2.0") && name.starts_with(['C', 'G']) { "" } else { "1.0" };
        let kind = if name == "SDMX-CSV 1.0" { "Dataflow" } else { "DataStructure" };
        assert_eq!(named(&counts), format!("{kind} A:D({version})"), "{document}");
        let header = DataHeader { id: "I".into(), prepared: "2020-01-01".into(), test: Some(true) };
        let expected = if name.starts_with("SDMX-CSV") { DataHeader::default() } else { header };
        assert_eq!(counts.header, expected, "{document}");
    }
}

#[test]
fn gzip_a_byte_order_mark_and_utf_16_change_nothing() {
    for (_, document) in all() {
        let expected = count(document.as_bytes()).unwrap();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(document.as_bytes()).unwrap();
        assert_eq!(count(&gzip.finish().unwrap()[..]).unwrap(), expected, "{document}");
        let marked = format!("\u{feff}{document}");
        assert_eq!(count(marked.as_bytes()).unwrap(), expected, "{document}");
        let wide = marked.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        assert_eq!(count(&wide[..]).unwrap(), expected, "{document}");
    }
}
