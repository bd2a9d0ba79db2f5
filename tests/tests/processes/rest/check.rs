//! Checks a response against a scenario, and the format of failures, which scenarios need not repeat.

use dataflow_tests::http::HttpResponse;
use serde_json::{Value, json};

use super::scenario::{Response, Scenario, Shape};

const REQUEST_ID: &str = "x-request-id";

/// All deviations of a response from its scenario.
pub(crate) fn deviations(scenario: &Scenario, answer: &HttpResponse) -> Vec<String> {
    let expected = &scenario.response;
    let body = String::from_utf8_lossy(&answer.body);
    let json: Value = serde_json::from_str(&body).unwrap_or_default();
    let mut deviations = Vec::new();
    let mut expect = |holds: bool, wrong: &dyn Fn() -> String| {
        if !holds {
            deviations.push(wrong());
        }
    };

    expect(answer.status == expected.status, &|| {
        format!("status {}, not {}: {body:.400}", answer.status, expected.status)
    });
    for (name, value) in &expected.headers {
        let found = answer.headers.get(name);
        expect(found.is_some_and(|found| found == value), &|| {
            format!("header {name} is {found:?}, not {value:?}")
        });
    }
    expect(expected.body.as_ref().is_none_or(|whole| *whole == body), &|| format!("the body is {body:?}"));
    if let Some(wanted) = &expected.json {
        difference("", wanted, &json).iter().for_each(|wrong| expect(false, &|| wrong.clone()));
    }
    for key in &expected.absent {
        expect(json.pointer(&format!("/{key}")).is_none(), &|| format!("there is a {key:?}"));
    }
    expect(answer.headers.contains_key(REQUEST_ID) || expected.shape == Shape::Bare, &|| {
        format!("no {REQUEST_ID}")
    });
    let asks_why = expected.reason.is_some() || expected.field.is_some() || !expected.metadata.is_empty();
    expect(!asks_why || (expected.status >= 400 && expected.shape == Shape::Status), &|| {
        "only a failure in our format has a reason".to_owned()
    });
    // A response to HEAD has no body.
    if answer.status >= 400 && scenario.request.method != "HEAD" {
        let shape = match expected.shape {
            Shape::Status => status(expected, answer, &json),
            Shape::Predecessor => predecessor(answer.status, &json),
            Shape::Bare if answer.body.is_empty() => Vec::new(),
            Shape::Bare => vec!["it has a body".to_owned()],
        };
        shape.iter().for_each(|wrong| expect(false, &|| wrong.clone()));
    }
    deviations
}

/// The parts of `wanted` that are missing in `found`.
fn difference(at: &str, wanted: &Value, found: &Value) -> Vec<String> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let members = wanted.iter().flat_map(|(key, wanted)| match found.get(key) {
                Some(found) => difference(&format!("{at}.{key}"), wanted, found),
                None => vec![format!("{at}.{key} is missing")],
            });
            members.collect()
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            let pairs = wanted.iter().zip(found).enumerate();
            pairs.flat_map(|(index, (w, f))| difference(&format!("{at}[{index}]"), w, f)).collect()
        }
        _ if wanted == found => Vec::new(),
        _ => vec![format!("{at} is {found:.300}, not {wanted}")],
    }
}

/// The reason of a failure; empty if it has none.
pub(crate) fn reason(answer: &HttpResponse) -> String {
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    json["details"][0]["reason"].as_str().unwrap_or_default().to_owned()
}

/// The deviations of a failure from the JSON of a `google.rpc.Status`.
fn status(expected: &Response, answer: &HttpResponse, problem: &Value) -> Vec<String> {
    let detail = |kind: &str| {
        let kind = format!("type.googleapis.com/google.rpc.{kind}");
        let details = problem["details"].as_array().into_iter().flatten();
        details.into_iter().find(move |detail| detail["@type"] == kind).cloned().unwrap_or_default()
    };
    let (info, request, bad) = (detail("ErrorInfo"), detail("RequestInfo"), detail("BadRequest"));
    let id = answer.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let is_said = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let violations = bad["fieldViolations"].as_array();
    let names = |field: &String| {
        let mut violations = violations.into_iter().flatten();
        violations.any(|violation| violation["field"] == **field && is_said(&violation["description"]))
    };
    let has = |(key, value): (&String, &String)| {
        if value.is_empty() { is_said(&info["metadata"][key]) } else { info["metadata"][key] == **value }
    };
    let content_type = answer.headers.get("content-type");
    let facts = [
        (
            content_type.is_some_and(|found| found == "application/json"),
            "the content type is not JSON".to_owned(),
        ),
        (
            problem["code"].as_u64().is_some_and(|code| (1..=16).contains(&code)),
            format!("code {}", problem["code"]),
        ),
        (is_said(&problem["message"]), format!("message {}", problem["message"])),
        (is_said(&info["reason"]) && is_said(&info["domain"]), format!("ErrorInfo {info}")),
        (!id.is_empty() && request["requestId"] == id, format!("RequestInfo {request}, {REQUEST_ID} {id:?}")),
        (
            expected.reason.as_ref().is_none_or(|reason| info["reason"] == **reason),
            format!("reason {}, not {:?}: {}", info["reason"], expected.reason, problem["message"]),
        ),
        (
            expected.metadata.iter().all(has),
            format!("metadata {}, not {:?}", info["metadata"], expected.metadata),
        ),
        (expected.field.as_ref().is_none_or(names), format!("BadRequest {bad}, not {:?}", expected.field)),
    ];
    facts.into_iter().filter(|(holds, _)| !holds).map(|(_, wrong)| wrong).collect()
}

/// The deviations of a failure from the predecessor's format.
fn predecessor(status: u16, json: &Value) -> Vec<String> {
    let is_whole = if status == 422 {
        let deviations = json["detail"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_whole = |wrong: &Value| {
            (wrong["loc"][0] == "body" || wrong["loc"][0] == "query")
                && wrong["msg"].is_string()
                && wrong["type"].is_string()
        };
        !deviations.is_empty() && deviations.iter().all(is_whole)
    } else {
        json["success"] == false
            && json["error_code"] == format!("HTTP_{status}")
            && ["error_type", "detail", "instance", "timestamp"].iter().all(|key| json[key].is_string())
    };
    if is_whole { Vec::new() } else { vec![format!("not the predecessor's format: {json}")] }
}

#[test]
fn objects_may_have_more_fields_and_lists_may_not() {
    let check = |wanted: Value, found: Value, expected: &[&str]| {
        assert_eq!(difference("", &wanted, &found), expected, "{wanted} in {found}");
    };
    check(json!({"a": 1}), json!({"a": 1, "b": 2}), &[]);
    check(json!({"a": [{}, {"b": 1}]}), json!({"a": [{"c": 1}, {"b": 1}]}), &[]);
    check(
        json!({"a": {"b": 1, "c": 2}}),
        json!({"a": {"b": "1"}}),
        &[".a.b is \"1\", not 1", ".a.c is missing"],
    );
    check(json!([1, 2]), json!([1, 3]), &["[1] is 3, not 2"]);
    check(json!([1]), json!([1, 2]), &[" is [1,2], not [1]"]);
    check(json!({"a": null}), json!({}), &[".a is missing"]);
    check(json!({}), Value::Null, &[" is null, not {}"]);
}

#[test]
fn a_failure_in_another_format_is_detected() {
    let check = |id: &'static str, reason: &str, expected: usize| {
        let request: Scenario =
            serde_saphyr::from_str("{name: a, request: {target: /}, response: {status: 404, reason: A}}")
                .unwrap();
        let details = json!([
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "d"},
            {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "1"},
        ]);
        let body = json!({"code": 5, "message": "m", "details": details}).to_string().into_bytes();
        let headers = [("content-type", "application/json"), (REQUEST_ID, id)];
        let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let answer = HttpResponse { status: 404, headers: headers.into_iter().collect(), body };
        assert_eq!(deviations(&request, &answer).len(), expected, "{id} {reason}");
    };
    check("1", "A", 0);
    check("2", "A", 1);
    check("1", "B", 1);
    check("1", "", 2);
}
