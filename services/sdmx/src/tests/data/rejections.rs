//! Documents that are no data messages, or damaged: each with its reason and what was found.

use super::*;

#[track_caller]
fn check(document: impl AsRef<[u8]>, reason: &str, words: &str) {
    let document = document.as_ref();
    let shown = String::from_utf8_lossy(document);
    let error = count(document).expect_err(&shown);
    assert_eq!(error.reason(), reason, "{error}\n{shown}");
    assert!(error.to_string().contains(words), "{error}\n{shown}");
    assert!(error.position.offset <= document.len() as u64);
}

const OTHER: &str = "NOT_A_DATA_MESSAGE";
const FAMILY: &str = "http://www.sdmx.org/resources/sdmxml/schemas";

#[test]
fn xml_of_another_kind() {
    let root = |name: &str, version: &str| format!("<m:{name} xmlns:m='{FAMILY}/{version}/message'/>");
    check(
        message("<s:Dataflow id='a'/>"),
        OTHER,
        "byte 0, line 1: found a structure message (<Structure>); expected a data",
    );
    check(root("RegistryInterface", "v2_1"), OTHER, "a structure message");
    check(root("UtilityData", "v2_0"), OTHER, "an SDMX message of another kind (<UtilityData>)");
    check(root("GenericMetadata", "v2_1"), OTHER, "an SDMX message of another kind");
    check(root("GenericData", "v1_0"), "UNSUPPORTED_SDMX_VERSION", "1.0");
    check(root("StructureSpecificData", "v4_0"), "UNSUPPORTED_SDMX_VERSION", "4.0");
    let error = "<m:ErrorMessage code='100'><Text>No  data</Text></m:ErrorMessage>";
    check(
        format!("<m:Error xmlns:m='{FAMILY}/v2_1/message'>{error}</m:Error>"),
        OTHER,
        "an SDMX error message: \"100 No data\"",
    );
    check("<GenericData xmlns='urn:x'/>", OTHER, "XML of another kind");
    check("<rss/>", OTHER, "XML without an SDMX namespace (<rss>)");
    check("<html><br></html>", OTHER, "an HTML page");
    check("<!DOCTYPE html><html></html>", OTHER, "an HTML page; expected a data message");
}

#[test]
fn documents_of_another_kind() {
    check("", "EMPTY_DOCUMENT", "");
    check(" \n", "TRUNCATED_DOCUMENT", "");
    check("Service unavailable", OTHER, "plain text \"Service unavailable\"; expected a data message");
    check("geo,time,value\nIT,2001,1\n", OTHER, "plain text \"geo,time,value IT,2001,1\"");
    check(b"PK\x03\x04rest", OTHER, "a zip archive");
    check(b"\x00\x01\x02\xff", OTHER, "binary data");
    check([0x1f, 0x8b], "TRUNCATED_GZIP", "");
}

#[test]
fn json_of_another_kind() {
    check("[]", OTHER, "no object");
    check("{}", OTHER, "an empty JSON object");
    check("{\"data\": {\"dataflows\": []}}", OTHER, "byte 10, line 1: found a structure message in JSON");
    check("{\"resources\": []}", OTHER, "a structure message in JSON");
    check("{\"data\": {\"metadataSets\": []}}", OTHER, "an SDMX metadata message in JSON");
    check(
        "{\"meta\": {\"schema\": \"x/2.0.0/sdmx-json-structure-schema.json\"}}",
        OTHER,
        "a structure message in JSON",
    );
    check(
        "{\"meta\": {\"schema\": \"x/2.0.0/sdmx-json-metadata-schema.json\"}}",
        OTHER,
        "an SDMX metadata message",
    );
    check("{\"structures\": {}}", OTHER, "JSON without data sets, with the members [\"structures\"]");
    check(
        "{\"version\": \"2.0\", \"class\": \"dataset\", \"data\": 1}",
        OTHER,
        "[\"version\", \"class\", \"data\"]",
    );
    check(
        "{\"errors\": [{\"code\": 404, \"title\": \"No data\"}]}",
        OTHER,
        "an error message in JSON: \"404 No data\"",
    );
}

#[test]
fn damaged_messages() {
    let data = |inside: &str| {
        format!(
            "<m:GenericData xmlns:m='{FAMILY}/v2_1/message'>\n<m:DataSet>{inside}</m:DataSet></m:GenericData>"
        )
    };
    check(data("<Obs>"), "MALFORMED_XML", "line 2: found </m:DataSet>; expected </Obs>");
    check(data("<Obs TIME_PERIOD='&nbsp;'/>"), "UNDEFINED_ENTITY", "&nbsp;");
    check(data("<Obs OBS_VALUE='&#0;'/>"), "INVALID_CHARACTER_REFERENCE", "line 2");
    check(data("<x:Obs/>"), "UNBOUND_PREFIX", "\"x\"");
    check(data("") + "<a/>", "CONTENT_AFTER_ROOT", "");
    check(data("").replacen("</m:DataSet></m:GenericData>", "", 1), "TRUNCATED_DOCUMENT", "2 elements deep");
    check(format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{}", data("")), "DTD_REFUSED", "");

    let malformed = "MALFORMED_JSON";
    check("{\"dataSets\": [{]}", malformed, "byte 15, line 1: found ']'");
    check("{\"dataSets\": {}}", malformed, "found an object; expected an array of SDMX-JSON, or null");
    check("{\"dataSets\": [[]]}", malformed, "found an array; expected an object");
    check("{\"dataSets\": [{\"series\": []}]}", malformed, "found an array; expected an object");
    check("{\"dataSets\": [{\"observations\": {\"0\": 1}}]}", malformed, "found a number; expected an array");
    check("{\"dataSets\": [], \"data\": {\"dataSets\": []}}", malformed, "\"dataSets\" twice");
    check("{\"dataSets\": [{\"series\": {}, \"series\": {}}]}", malformed, "\"series\" twice");
    check(
        "{\"dataSets\": [{\"observations\": {}, \"observations\": {}}]}",
        malformed,
        "\"observations\" twice",
    );
    check(
        "{\"dataSets\": [{\"series\": {\"0\": {\"observations\": {}, \"observations\": {}}}}]}",
        malformed,
        "twice",
    );
    check("{\"dataSets\": []} x", "CONTENT_AFTER_ROOT", "");
    check("{\"dataSets\": [", "TRUNCATED_DOCUMENT", "2 objects and arrays deep");
}

#[test]
fn a_failing_source_has_its_own_reason() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("cable cut"))
        }
    }
    assert_eq!(count(Failing).unwrap_err().reason(), "READ_FAILED");
    for (_, document) in formats::all() {
        let half = &document.as_bytes()[..document.len() / 2];
        let error = count(half.chain(Failing)).unwrap_err();
        assert!(error.reason() == "READ_FAILED" && error.to_string().contains("cable cut"), "{error}");
    }
}
