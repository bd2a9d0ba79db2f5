//! What SDMX-JSON allows.

use super::*;

/// A message of version 2.0 with these data sets, and this dimension at the observations.
fn message(data_sets: &str, dimension: &str) -> String {
    format!(
        "{{\"data\": {{\"dataSets\": {data_sets}, \"structures\": [{{\"dimensions\": {{\"observation\": [{dimension}]}}}}]}}}}"
    )
}

#[test]
fn observations_of_every_shape() {
    let check = |observations: &str, expected: &str| {
        check(
            &message(&format!("[{{\"series\": {{\"0\": {{\"observations\": {observations}}}}}}}]"), "{}"),
            expected,
        );
    };
    check(
        "{\"0\": [1], \"1\": [-0.5, 0, null], \"2\": [\"text\"], \"3\": [[1, 2]], \"4\": [{\"en\": \"x\"}]}",
        "1 0 1 5 0 - -",
    );
    check("{\"0\": [null, 0], \"1\": [], \"2\": [\"NaN\"], \"3\": [\"\"], \"4\": null}", "1 0 1 5 5 - -");
    check("{}", "1 0 1 0 0 - -");
    check("null", "1 0 1 0 0 - -");
}

#[test]
fn data_sets_of_every_shape() {
    let check = |data_sets: &str, expected: &str| check(&message(data_sets, "{}"), expected);
    check("[]", "0 0 0 0 0 - -");
    check("null", "0 0 0 0 0 - -");
    check("[null, {}, {\"series\": {}}]", "2 0 0 0 0 - -");
    check("[{\"observations\": {\"0:0\": [1], \"0:1\": [2]}}]", "1 0 2 2 0 - -");
    check(
        "[{\"series\": {\"0\": null, \"1\": {}}, \"attributes\": [0], \"annotations\": [{\"series\": {\"0\": 1}}]}]",
        "1 0 2 0 0 - -",
    );
    check("[{\"dimensionGroupAttributes\": {\"0:\": [0], \":1\": [1]}, \"groups\": 1}]", "1 2 0 0 0 - -");
}

#[test]
fn periods_are_those_of_the_time_dimension() {
    let check = |dimension: &str, expected: &str| {
        check(&message("[{}]", dimension), &format!("1 0 0 0 0 {expected}"));
    };
    check(
        "{\"id\": \"TIME_PERIOD\", \"values\": [{\"id\": \"2002\"}, {\"value\": \"2001-Q1\"}, \"2003\", null]}",
        "2001-Q1 2003",
    );
    check("{\"values\": [{\"id\": \"2001\"}], \"role\": \"time\", \"id\": \"T\"}", "2001 2001");
    check("{\"id\": \"K\", \"values\": [{\"id\": \"2001\"}]}", "- -");
    check("{\"id\": \"TIME_PERIOD\", \"values\": [{\"id\": \"TOTAL\", \"name\": \"2001\"}]}", "- -");
    check("{\"id\": \"TIME_PERIOD\", \"values\": null}", "- -");
}

#[test]
fn the_structure_that_a_message_names() {
    let check = |links: &str, expected: &str| {
        let document = format!("{{\"dataSets\": [], \"structure\": {{\"links\": {links}}}}}");
        assert_eq!(named(&count(document.as_bytes()).unwrap()), expected, "{document}");
    };
    check(
        "[{\"urn\": \"urn:sdmx:org.sdmx.infomodel.codelist.Codelist=A:C(1.0)\"}, \
          {\"urn\": \"urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=A:F(1.0)\"}]",
        "Dataflow A:F(1.0)",
    );
    check("[{\"uri\": \"https://a/structure/dataflow/A/F/1.0\"}]", "Dataflow A:F(1.0)");
    check("[{\"href\": 1}, null]", "");
    check("null", "");
}

#[test]
fn the_version_of_a_message() {
    let check = |document: &str, expected: Option<&str>| {
        assert_eq!(count(document.as_bytes()).unwrap().version, expected, "{document}");
    };
    let schema = "https://raw.githubusercontent.com/sdmx-twg/sdmx-json/develop/data-message/tools/schemas";
    check("{\"dataSets\": []}", None);
    check("{\"dataSets\": [], \"structure\": {}}", Some("1.0"));
    check("{\"data\": {\"dataSets\": [], \"structures\": []}}", Some("2.0"));
    for (part, version) in [("1.0", "1.0"), ("2.0.0", "2.0")] {
        let schema = format!("{schema}/{part}/sdmx-json-data-schema.json");
        check(&format!("{{\"meta\": {{\"schema\": \"{schema}\"}}, \"dataSets\": []}}"), Some(version));
    }
}
