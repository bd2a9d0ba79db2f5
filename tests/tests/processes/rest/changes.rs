//! Sequences of changes, where a request uses the previous response, and concurrent changes.

use dataflow_tests::http::{self, HttpResponse};
use dataflow_tests::services::{self, Service};
use futures_util::future::join_all;
use serde_json::{Value, json};

async fn send(gateway: &Service, method: &str, target: &str, body: &Value) -> HttpResponse {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    http::request(&gateway.upstream, method, target, &[("content-type", "application/json")], &body)
        .await
        .unwrap()
}

fn json_of(answer: &HttpResponse) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn read_modify_write_succeeds_unless_the_etag_has_changed() {
    let (gateway, _services) = services::mesh(&[]).await;
    for (target, field, values) in [
        ("/v1/rules/pop_rule?ruleset=legacy", "priority", [json!(11), json!(12)]),
        ("/v1/providers/IT1", "displayName", [json!("Istituto"), json!("Istat")]),
    ] {
        let read = send(&gateway, "GET", target, &Value::Null).await;
        assert_eq!(read.status, 200, "{target}");
        let mut resource = json_of(&read);
        resource[field] = values[0].clone();
        let changed = send(&gateway, "PATCH", target, &resource).await;
        assert_eq!(changed.status, 200, "{}", String::from_utf8_lossy(&changed.body));
        let mut changed = json_of(&changed);
        assert_ne!(changed["etag"], resource["etag"]);
        assert_ne!(changed["updateTime"], resource["updateTime"]);
        for name in ["etag", "updateTime"] {
            resource[name] = changed[name].clone();
        }
        assert_eq!(changed, resource, "nothing else has changed");

        changed["etag"] = json_of(&read)["etag"].clone();
        changed[field] = values[1].clone();
        let late = send(&gateway, "PATCH", target, &changed).await;
        assert_eq!(late.status, 412, "{target}");
        let now = send(&gateway, "GET", target, &Value::Null).await;
        assert_eq!(json_of(&now), resource, "a rejected change changes nothing");

        let etag = resource["etag"].as_str().unwrap();
        let link = if target.contains('?') { '&' } else { '?' };
        let removed = send(&gateway, "DELETE", &format!("{target}{link}etag={etag}"), &Value::Null).await;
        assert_eq!(removed.status, 200, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_update_of_a_legacy_client_is_lost() {
    let (gateway, _services) = services::mesh(&[]).await;
    let rules = "/api/analysis/rules";
    let add = |id: usize| {
        let rule = json!({"rule_id": format!("r{id}"), "category": "altri", "keywords": ["zz"]});
        let gateway = &gateway;
        async move { send(gateway, "POST", rules, &rule).await.status }
    };
    assert_eq!(join_all((0..10).map(add)).await, [201; 10]);
    // Of two clients that create the same rule, one succeeds.
    let mut twice = join_all([add(10), add(10)]).await;
    twice.sort_unstable();
    assert_eq!(twice, [201, 400]);

    let changes = [json!({"priority": 900}), json!({"description": "d"}), json!({"keywords": ["YY"]})];
    let change = async |body| send(&gateway, "PUT", "/api/analysis/rules/r0", &body).await.status;
    assert_eq!(join_all(changes.into_iter().map(change)).await, [200; 3]);
    let listed = send(&gateway, "GET", &format!("{rules}?category=altri"), &Value::Null).await;
    let listed = json_of(&listed);
    assert_eq!(listed["total_count"], 11);
    let first = &listed["rules"][0];
    assert_eq!(
        [&first["rule_id"], &first["priority"], &first["description"], &first["keywords"]],
        [&json!("r0"), &json!(900), &json!("d"), &json!(["yy"])]
    );
    assert!(first["updated_at"].as_str() > first["created_at"].as_str(), "{first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_export_has_a_line_per_change_with_its_author() {
    let (gateway, _services) = services::mesh(&[]).await;
    let put = json!({"is_active": false});
    let answer = send(&gateway, "PUT", "/api/analysis/rules/edu_rule", &put).await;
    assert_eq!(answer.status, 200);
    let accept = [("accept", "application/x-ndjson")];
    let export = http::request(&gateway.upstream, "GET", "/v1/audit:export", &accept, &[]).await.unwrap();
    let lines = String::from_utf8(export.body).unwrap();
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (record, position) in records.iter().zip(1..) {
        assert_eq!(record["position"], i32::to_string(&position));
    }
    let last = records.last().unwrap();
    let facts = ["action", "resource", "before", "after"].map(|name| last[name].as_str().unwrap());
    assert_eq!(facts, ["RULE_PUT", "rulesets/legacy/rules/edu_rule", "1", "2"]);
    assert_eq!(last["requestId"], answer.headers["x-request-id"].to_str().unwrap());
    let listed = send(&gateway, "GET", "/v1/audit?pageSize=1000", &Value::Null).await;
    assert_eq!(json_of(&listed)["records"], Value::from(records));
}
