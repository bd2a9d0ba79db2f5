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
async fn the_etag_of_a_response_is_the_precondition_of_a_change() {
    let (gateway, _services) = services::mesh(&[]).await;
    let send = async |method: &str, target: &str, conditions: &[&str], body: &Value| {
        let json = [("content-type", "application/json")];
        let conditions = conditions.iter().map(|condition| ("if-match", *condition));
        let headers: Vec<_> = json.into_iter().chain(conditions).collect();
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        http::request(&gateway.upstream, method, target, &headers, &body).await.unwrap()
    };
    let etag =
        |answer: &HttpResponse| answer.headers.get("etag").map(|etag| etag.to_str().unwrap().to_owned());
    let rule = json!({"ruleId": "mine", "category": "HEALTH", "keywords": ["zz"]});
    let provider =
        json!({"displayName": "X", "baseUrl": "https://example.org/rest", "dialect": "SDMX_REST_2_1"});
    let provider = json!({"providerId": "XX", "provider": provider});
    for (collection, resource, target, field) in [
        ("/v1/rules", rule, "/v1/rules/mine", "description"),
        ("/v1/providers", provider, "/v1/providers/XX", "displayName"),
    ] {
        let created = send("POST", collection, &[], &resource).await;
        assert_eq!(created.status, 200, "{}", String::from_utf8_lossy(&created.body));
        let first = etag(&created).unwrap();
        assert_eq!(first, format!("\"{}\"", json_of(&created)["etag"].as_str().unwrap()));
        assert_eq!(etag(&send("GET", target, &[], &Value::Null).await).as_ref(), Some(&first));

        let change = |text: &str| json!({field: text});
        let changed = send("PATCH", target, &[&first], &change("one")).await;
        assert_eq!(changed.status, 200, "{}", String::from_utf8_lossy(&changed.body));
        let second = etag(&changed).unwrap();
        assert_ne!(second, first);
        let weak = format!("W/{second}");
        for stale in [&first, &weak, "\"\"", "\"x\""] {
            for method in ["PATCH", "DELETE"] {
                let body = if method == "PATCH" { change("two") } else { Value::Null };
                let refused = send(method, target, &[stale], &body).await;
                assert_eq!(
                    refused.status,
                    412,
                    "{method} {stale}: {}",
                    String::from_utf8_lossy(&refused.body)
                );
                assert_eq!(json_of(&refused)["details"][0]["reason"], "ETAG_MISMATCH", "{method} {stale}");
            }
        }
        for wrong in ["abc", "\"abc", "", "\"a b\""] {
            let wrong = &[wrong];
            let refused = send("PATCH", target, wrong, &change("two")).await;
            assert_eq!(refused.status, 400, "{wrong:?}: {}", String::from_utf8_lossy(&refused.body));
            assert_eq!(json_of(&refused)["details"][0]["reason"], "PRECONDITION_INVALID", "{wrong:?}");
        }
        // The body may name the same version, but no other.
        let (same, other) = (json_of(&changed)["etag"].clone(), json_of(&created)["etag"].clone());
        for (own, status) in [(other, 400), (same, 200)] {
            let body = json!({field: "three", "etag": own});
            assert_eq!(send("PATCH", target, &[&second], &body).await.status, status, "{own}");
        }
        let any = send("PATCH", target, &["*"], &change("four")).await;
        assert_eq!(any.status, 200);
        assert_eq!(send("DELETE", target, &[&etag(&any).unwrap()], &Value::Null).await.status, 200);
        assert_eq!(send("DELETE", target, &["*"], &Value::Null).await.status, 404);
    }
    // A cache entry is written by PUT, whether or not it exists.
    let entry = json!({"value": "eA=="});
    let entries = "/v1/cache/entries/user/a";
    let written = send("PUT", entries, &[], &entry).await;
    assert_eq!(written.status, 200, "{}", String::from_utf8_lossy(&written.body));
    let first = etag(&send("GET", entries, &[], &Value::Null).await).unwrap();
    assert_eq!(send("PUT", entries, &[&first], &entry).await.status, 200);
    assert_eq!(send("PUT", entries, &[&first], &entry).await.status, 412);
    // A whole rule set, too.
    let rollback = "/v1/rulesets/default:rollback";
    let refused = send("POST", rollback, &["\"1\""], &json!({"revision": 1})).await;
    assert_eq!(json_of(&refused)["details"][0]["reason"], "ETAG_MISMATCH");
    let sets = json_of(&send("GET", "/v1/rulesets", &[], &Value::Null).await);
    let present =
        sets["rulesets"].as_array().unwrap().iter().find(|set| set["ruleset"] == "default").unwrap();
    let present = format!("{}", present["etag"]);
    let back = send("POST", rollback, &[&present], &json!({"revision": 1})).await;
    assert_eq!(back.status, 200, "{}", String::from_utf8_lossy(&back.body));
    let refused = send("POST", "/v1/cache:invalidate", &["\"1\""], &json!({"tags": ["a"]})).await;
    assert_eq!(json_of(&refused)["details"][0]["reason"], "PRECONDITION_INVALID");
    // A list of resources has no etag of its own.
    assert_eq!(etag(&send("GET", "/v1/rules", &[], &Value::Null).await), None);
}

/// Conditions that a service does not compare itself: the gateway reads the resource first.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_may_name_several_etags_and_those_that_must_not_be() {
    let (gateway, _services) = services::mesh(&[]).await;
    let send = async |method: &str, target: &str, conditions: &[(&str, &str)], body: &Value| {
        let headers = [&[("content-type", "application/json")], conditions].concat();
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        http::request(&gateway.upstream, method, target, &headers, &body).await.unwrap()
    };
    let check = async |method: &str, target: &str, conditions: &[(&str, &str)], status: u16, reason: &str| {
        let body = match method {
            "PATCH" => json!({"description": format!("{conditions:?}")}),
            "PUT" => json!({"value": "eA=="}),
            "POST" => json!({"ruleId": "other", "category": "HEALTH", "keywords": ["zz"]}),
            _ => Value::Null,
        };
        let answer = send(method, target, conditions, &body).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, status, "{method} {target} {conditions:?}: {text}");
        if status >= 400 {
            assert_eq!(json_of(&answer)["details"][0]["reason"], reason, "{method} {conditions:?}: {text}");
        }
        answer.headers.get("etag").map(|etag| etag.to_str().unwrap().to_owned())
    };
    let rule = json!({"ruleId": "mine", "ruleset": "legacy", "category": "HEALTH", "keywords": ["zz"]});
    assert_eq!(send("POST", "/v1/rules", &[], &rule).await.status, 200);
    let target = "/v1/rules/mine?ruleset=legacy";
    let current = async || check("GET", target, &[], 200, "").await.unwrap();
    let (mismatch, invalid) = ("ETAG_MISMATCH", "PRECONDITION_INVALID");

    let first = current().await;
    let list = format!("\"x\", {first}");
    let second = check("PATCH", target, &[("if-match", &list)], 200, "").await.unwrap();
    assert_ne!(second, first);
    check("PATCH", target, &[("if-match", &list)], 412, mismatch).await;
    check("PATCH", target, &[("if-match", &first), ("if-match", &second)], 200, "").await;
    let third = current().await;
    check("PATCH", target, &[("if-match", &format!("W/{third}, \"x\""))], 412, mismatch).await;
    let list = format!("{first}, W/{third}");
    check("PATCH", target, &[("if-none-match", &list)], 412, mismatch).await;
    check("PATCH", target, &[("if-none-match", "*")], 412, mismatch).await;
    assert_eq!(current().await, third, "a rejected change changes nothing");
    check("PATCH", target, &[("if-none-match", &first)], 200, "").await;
    let fourth = current().await;
    let both = [("if-match", fourth.as_str()), ("if-none-match", &first)];
    check("DELETE", target, &both, 200, "").await;
    check("DELETE", target, &both, 404, "RULE_NOT_FOUND").await;
    check("PATCH", target, &[("if-none-match", "*")], 404, "RULE_NOT_FOUND").await;

    // PUT makes what does not exist.
    let entry = "/v1/cache/entries/user/conditions";
    check("PUT", entry, &[("if-match", "*")], 412, mismatch).await;
    check("PUT", entry, &[("if-none-match", "*")], 200, "").await;
    check("PUT", entry, &[("if-none-match", "*")], 412, mismatch).await;
    check("PUT", entry, &[("if-match", "*")], 200, "").await;
    // Nothing is read for a method that changes no resource.
    for condition in [("if-none-match", "*"), ("if-none-match", "\"x\""), ("if-match", "\"x\", \"y\"")] {
        check("POST", "/v1/rules", &[condition], 400, invalid).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_sent_unless_the_client_has_it() {
    let (gateway, _services) = services::mesh(&[]).await;
    for target in ["/v1/rules/pop_rule?ruleset=legacy", "/v1/providers/IT1"] {
        let read = send(&gateway, "GET", target, &Value::Null).await;
        let etag = read.headers["etag"].to_str().unwrap();
        let weak = format!("W/{etag}");
        let list = format!("\"other\", {weak}");
        for (method, name, value, status) in [
            ("GET", "if-none-match", etag, 304),
            ("GET", "if-none-match", &weak, 304),
            ("GET", "if-none-match", &list, 304),
            ("GET", "if-none-match", "*", 304),
            ("HEAD", "if-none-match", etag, 304),
            ("GET", "if-none-match", "\"other\"", 200),
            ("GET", "if-match", etag, 200),
            ("GET", "if-match", "*", 200),
            ("GET", "if-match", &weak, 412),
            ("GET", "if-match", "\"other\"", 412),
        ] {
            let answer =
                http::request(&gateway.upstream, method, target, &[(name, value)], b"").await.unwrap();
            assert_eq!(answer.status, status, "{method} {target} {name}: {value}");
            match status {
                412 => assert_eq!(json_of(&answer)["details"][0]["reason"], "ETAG_MISMATCH"),
                304 => {
                    assert_eq!((answer.headers["etag"].to_str().unwrap(), &answer.body[..]), (etag, &b""[..]))
                }
                _ => assert_eq!(answer.body, read.body),
            }
        }
    }
}
