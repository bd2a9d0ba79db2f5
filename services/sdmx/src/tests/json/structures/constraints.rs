//! Constraints in SDMX-JSON: every version of the format, and what they are attached to.

use super::*;

const FLOW: &str = "urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=A:F(1.0)";
const STRUCTURE: &str = "urn:sdmx:org.sdmx.infomodel.datastructure.DataStructure=A:D(2.0)";

/// A constraint of SDMX-JSON 2.0 with these members, attached to dataflow `F`, with this content.
pub(super) fn constraint(members: &str, content: &str) -> String {
    format!(
        "\"dataConstraints\":[{{\"id\":\"C\",\"agencyID\":\"A\",\"version\":\"1.0\",\"role\":\"Actual\",{members}\
         \"constraintAttachment\":{{\"dataflows\":[\"{FLOW}\"]}},{content}}}]"
    )
}

/// As in SDMX-JSON 2.0, where values are objects.
pub(super) const REGION: &str = r#""cubeRegions":[{"include":true,"keyValues":[
    {"id":"FREQ","values":[{"value":"A"},{"value":"Q"},{"value":"A"}]},{"id":"SEX","values":[{"value":"1"}]},
    {"id":"TIME_PERIOD","timeRange":{"startPeriod":{"period":"2001","isInclusive":true},"endPeriod":{"period":"2018-Q2"}}}],
    "components":[{"id":"X","values":[{"value":"1"}]}]}]"#;

/// The same in SDMX-JSON 1.0, where values are texts; members in another order.
const REGION_1: &str = r#""cubeRegions":[{"attributes":[{"id":"X","values":["1"]}],"keyValues":[
    {"values":["1"],"id":"SEX"},{"timeRange":{"endPeriod":{"period":"2018-Q2"},"startPeriod":{"period":"2001"}},
    "id":"TIME_PERIOD"},{"values":["A","Q","A"],"id":"FREQ"}],"isIncluded":true}]"#;

#[test]
fn constraints_of_every_version_are_read() {
    let metrics = r#""annotations":[{"id":"obs_count","title":"70","type":"sdmx_metrics"},
        {"id":"series_count","type":"sdmx_metrics","text":"6","texts":{"en":"6"}}],"#;
    let period =
        r#","referencePeriod":{"startTime":"2001-01-01T00:00:00Z","endTime":"2018-01-01T00:00:00Z"}"#;
    let check = |list: &str, is_actual: bool| {
        let found = structures(&list.replace(
            "constraintAttachment\":{",
            &format!("constraintAttachment\":{{\"dataStructures\":[\"{STRUCTURE}\"],"),
        ));
        let [first] = found.constraints() else { panic!("{list}: {found:?}") };
        assert_eq!((first.to_string().as_str(), first.is_actual), ("A:C(1.0)", is_actual), "{list}");
        assert_eq!((first.observation_count, first.series_count), (Some(70), Some(6)));
        let reference = |id: &str, version: &str| Reference {
            agency_id: "A".into(),
            id: id.into(),
            version: version.into(),
        };
        assert_eq!(first.dataflows, [reference("F", "1.0")]);
        assert_eq!(first.data_structures, [reference("D", "2.0")]);
        assert_eq!(keys(first), ["FREQ 3 A Q", "SEX 1", "TIME_PERIOD 0 2001 2018-Q2"]);
        assert_eq!(first.periods.last.unwrap().to_string(), "2018-01-01");
    };
    let [second, first] =
        [REGION, REGION_1].map(|region| message(&constraint(metrics, &format!("{region}{period}"))));
    for document in [first, second] {
        check(&document, true);
        check(&document.replace("\"Actual\"", "\"Allowed\""), false);
        let content =
            document.replace("dataConstraints", "contentConstraints").replace("\"role\"", "\"type\"");
        check(&content, true);
        check(&content.replace("\"Actual\"", "\"allowed\""), false);
        check(&content.replace("\"type\":\"Actual\",", ""), true);
        check(&document.replace("\"role\":\"Actual\",", ""), false);
    }
}

/// In SDMX-JSON 2.1 a constraint of availability has one region, one artefact, and its numbers as members.
#[test]
fn availability_is_read() {
    let of = |members: &str| {
        let document = message(&format!(
            "\"availabilityConstraints\":[{{{members},\"constraintAttachment\":{{\"dataflow\":\"{FLOW}\"}},\
             \"cubeRegion\":{{\"keyValues\":[{{\"id\":\"FREQ\",\"values\":[{{\"value\":\"M\"}}]}}]}}}}]"
        ));
        let found = structures(&document);
        let [first] = found.constraints() else { panic!("{members}: {found:?}") };
        assert_eq!(
            (keys(first), first.dataflows.len(), first.is_actual),
            (vec!["FREQ 1 M".to_owned()], 1, true)
        );
        [first.observation_count, first.series_count]
    };
    assert_eq!(of(r#""seriesCount":3,"obsCount":42"#), [Some(42), Some(3)]);
    assert_eq!(of(r#""seriesCount":"many","obsCount":-1"#), [None; 2]);
}

#[test]
fn a_region_may_be_open_or_excluded() {
    let check = |content: &str, expected: &[&str]| {
        let found = structures(&message(&constraint("", &format!("\"cubeRegions\":[{content}]"))));
        assert_eq!(keys(&found.constraints()[0]), expected, "{content}");
    };
    let region = |members: &str, key: &str| format!("{{{members}\"keyValues\":[{{{key}}}]}}");
    check(&region("", r#""id":"K","values":["x"]"#), &["K 1"]);
    check(&region(r#""include":false,"#, r#""id":"K","values":["x"]"#), &[]);
    check(r#"{"keyValues":[{"id":"K","values":["x"]}],"isIncluded":"false"}"#, &[]);
    check(&region("", r#""id":"K","values":["x"],"include":false"#), &["K 1+"]);
    check(&region("", r#""values":["x"],"cascadeValues":["x"],"id":"K""#), &["K 1+"]);
    check(&region("", r#""values":["x"],"cascadeValues":[],"id":"K""#), &["K 1"]);
    check(&region("", r#""id":"K","values":[{"value":"x","cascadeValues":true}]"#), &["K 1+"]);
    check(&region("", r#""id":"K","values":[{"value":"x","cascadeValues":"excluderoot"}]"#), &["K 1+"]);
    check(&region("", r#""id":"K","values":[{"value":"x","cascadeValues":false}]"#), &["K 1"]);
    check(&region("", r#""values":["x%"],"id":"K""#), &["K 1+"]);
    check(r#"{"keyValues":[]}"#, &[]);
    check(&region("", r#""values":["M","U"],"id":"freq""#), &["freq 2+ M"]);
    check(&region("", r#""values":["2003","2001","x"],"id":"TIME_PERIOD""#), &["TIME_PERIOD 3 2001 2003"]);
    check(&region("", r#""values":["2003"],"id":"YEAR""#), &["YEAR 1"]);
    check(&region("", r#""id":"T","timeRange":{"afterPeriod":"2001"}"#), &["T 0 2001"]);
    let many: Vec<_> = (1..=17).map(|years| format!("\"A{years}\"")).collect();
    let document = message(&constraint(
        "",
        &format!(
            "\"cubeRegions\":[{}]",
            region("", &format!("\"values\":[{}],\"id\":\"FREQ\"", many.join(",")))
        ),
    ));
    let found = structures(&document);
    let key = &found.constraints()[0].regions[0].keys[0];
    assert_eq!((key.frequencies.len(), key.is_open), (16, true));
}

#[test]
fn irregular_constraints_are_reported() {
    let check = |content: &str, expected: &[&str]| {
        let (found, _, reasons) = structures_within(&[&message(content)], &Limits::default());
        assert_eq!((found.constraints().len(), reasons.as_slice()), (1, expected), "{content}");
    };
    let unattached = constraint("", REGION).replace("constraintAttachment", "other");
    check(&unattached, &["CONSTRAINT_WITHOUT_ATTACHMENT"]);
    check(&constraint("", REGION).replace(&format!("\"{FLOW}\""), ""), &["CONSTRAINT_WITHOUT_ATTACHMENT"]);
    let other =
        |attachment: &str| constraint("", REGION).replace(&format!("\"dataflows\":[\"{FLOW}\"]"), attachment);
    check(&other("\"dataProvider\":\"urn\""), &[]);
    check(&other("\"provisionAgreements\":[\"urn\"]"), &[]);
    check(&other("\"provisionAgreements\":[]"), &["CONSTRAINT_WITHOUT_ATTACHMENT"]);
    check(&other("\"queryableDataSources\":[{\"dataURL\":\"u\"}]"), &[]);
    check(&other("\"dataflows\":[\"no URN\"]"), &[]);
    check(&other("\"dataflows\":{}"), &["INVALID_MEMBER", "CONSTRAINT_WITHOUT_ATTACHMENT"]);
    check(&constraint("\"obsCount\":5,\"seriesCount\":6,", REGION), &["CONTRADICTORY_COUNTS"]);
    check(&constraint("", "\"cubeRegions\":5"), &["INVALID_MEMBER"]);
    check(
        &constraint("", "\"cubeRegions\":[{\"keyValues\":[{\"values\":[[]],\"timeRange\":7}]}]"),
        &["INVALID_MEMBER"; 2],
    );
    check(
        &constraint(
            "",
            "\"cubeRegions\":[{\"keyValues\":[{\"timeRange\":{\"endPeriod\":[]}}],\"include\":[]}]",
        ),
        &["INVALID_MEMBER"; 2],
    );
}

/// A million values of one dimension take no memory, wherever its name is.
#[test]
fn the_number_of_values_is_not_limited() {
    let values = vec!["\"001272\""; 1_000_000].join(",");
    for key in
        [format!("\"id\":\"GEO\",\"values\":[{values}]"), format!("\"values\":[{values}],\"id\":\"GEO\"")]
    {
        let document = message(&constraint("", &format!("\"cubeRegions\":[{{\"keyValues\":[{{{key}}}]}}]")));
        let limits = Limits { structure_bytes: 2_000, ..Limits::default() };
        let (structures, _, reasons) = structures_within(&[&document], &limits);
        assert_eq!((keys(&structures.constraints()[0]), reasons.len()), (vec!["GEO 1000000".to_owned()], 0));
    }
}

#[test]
fn keys_of_one_constraint_are_bounded() {
    let check = |count: usize, expected: &[&str]| {
        let keys: Vec<_> =
            (0..count).map(|number| format!("{{\"id\":\"K{number}\",\"values\":[\"x\"]}}")).collect();
        let region = format!("\"cubeRegions\":[{{\"keyValues\":[{}]}}]", keys.join(","));
        let (found, _, reasons) =
            structures_within(&[&message(&constraint("", &region))], &Limits::default());
        assert_eq!((found.is_empty(), reasons), (!expected.is_empty(), expected.to_vec()), "{count}");
    };
    check(128, &[]);
    check(129, &["STRUCTURES_CUT_SHORT"]);
}
