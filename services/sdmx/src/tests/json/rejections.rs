//! JSON of another kind, and malformed documents.

use super::message;
use crate::tests::read;

#[test]
fn json_of_another_kind_is_rejected() {
    let check = |document: &str, words: &str| {
        let error = read(document.as_bytes()).2.expect_err(document);
        assert_eq!(error.reason(), "NOT_A_STRUCTURE_MESSAGE", "{error}\n{document}");
        let shown = error.to_string();
        assert!(shown.contains(&format!("found {words}")), "{shown}");
        assert!(shown.contains("; expected a structure message: SDMX-ML 2.0"), "{shown}");
    };
    check("[1]", "a JSON array");
    check("{}", "an empty JSON object");
    check(r#"{"data": {}}"#, "JSON of another kind, with the members [\"data\"]");
    check(r#"{"structures":{"catalogs":[{}]}}"#, "JSON of another kind, with the members [\"structures\"]");
    check(r#"{"data":[{"id":"a"}],"a":1}"#, "JSON of another kind");
    check(r#"{"a":1} {"a":2}"#, "JSON of another kind");
    let data = "an SDMX data message in JSON";
    check(r#"{"meta":{},"data":{"structures":[],"dataSets":["#, data);
    check(r#"{"header":{},"structure":{"#, data);
    check(r#"{"header":{},"dataSets":[{"#, data);
    check(r#"{"meta":{"schema":"https://json.sdmx.org/2.0.0/sdmx-json-data-schema.json""#, data);
    check(r#"{"data":{"metadataSets":["#, "an SDMX metadata message in JSON");
    check(r#"{"version":"2.0","class":"dataset","value":["#, "JSON-stat");
    check(r#"{"type":"FeatureCollection","features":["#, "GeoJSON");
    check(r#"{"type":"Topology","arcs":["#, "GeoJSON");
    check(
        r#"{"errors":[{"code":404,"title":"No results"}]}"#,
        "an error message in JSON: \"404 No results\"",
    );
    check(r#"{"warning":{"status":413,"label":"later"}}"#, "an error message in JSON: \"413 later\"");
    check(r#"{"error":"gone","message":{"a":["x"]}}"#, "an error message in JSON: \"gone x\"");
}

#[test]
fn malformed_documents_are_rejected() {
    let check = |document: &str, reason: &str, words: &str| {
        let error = read(document.as_bytes()).2.expect_err(document);
        assert_eq!(error.reason(), reason, "{error}\n{document}");
        assert!(error.to_string().contains(words), "{error}\n{document}");
    };
    check(
        r#"{"data":{"dataflows":{}}}"#,
        "MALFORMED_JSON",
        "found an object as the value of \"dataflows\"; expected an array",
    );
    check(
        r#"{"data":{"dataflows":[],"dataflows":[]}}"#,
        "MALFORMED_JSON",
        "found the member \"dataflows\" twice",
    );
    check(r#"{"data":{},"data":{}}"#, "MALFORMED_JSON", "found the member \"data\" twice");
    check(
        r#"{"references":[]}"#,
        "MALFORMED_JSON",
        "found an array as the value of \"references\"; expected an object",
    );
    check(&(message("") + "x"), "CONTENT_AFTER_ROOT", "the end of the document");
    check(&message("{\"id\":\"a\",\"x\":NaN}"), "MALFORMED_JSON", "found NaN");
    // What precedes the error is returned.
    let (flows, _, end) = read(message(r#"{"id":"a"},{"id":"b",}"#).as_bytes());
    assert_eq!((flows.len(), end.unwrap_err().reason()), (1, "MALFORMED_JSON"));
    let document = message(r#"{"id":"GHG_IP","names":{"en":"Greenhouse"}}"#);
    for length in 1..document.len() {
        let error = read(&document.as_bytes()[..length]).2.expect_err("a truncated document");
        assert_eq!(error.reason(), "TRUNCATED_DOCUMENT", "{error}");
    }
}
