//! Refused writes and the uses of API keys, from a call at the gateway to what an administrator sees.

use std::sync::Arc;

use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::key_service_client::KeyServiceClient;
use dataflow_store::embedded::Embedded;
use dataflow_store::key::Space;
use dataflow_store::logs::Logs;
use dataflow_tests::editor::small;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, code_and_reason};
use dataflow_tests::services::{self, Service};
use dataflow_tests::tokens::Issuer;
use dataflow_tests::{http, refusals};
use futures_util::future::join_all;
use prost::Message;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::access::{address, send};

/// Several refusals of one caller, all of which these tests want to see.
const FLAGS: [&str; 2] = ["--refusal-log-rate", "100"];

fn bearer(issuer: &Issuer, subject: &str, tenant: &str, scope: &str) -> String {
    let mut claims = json!({"sub": subject, "scope": scope});
    if !tenant.is_empty() {
        claims["tenant"] = tenant.into();
    }
    format!("Bearer {}", issuer.token(&claims))
}

/// The refusals that a caller sees with this query.
async fn listed(gateway: &Service, bearer: &str, query: &str) -> Vec<Value> {
    let target = format!("/v1/audit/refusals?pageSize=1000&{query}");
    let answer = send(gateway, ("GET", &target), &[("authorization", bearer)], &Value::Null).await;
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer.status, 200, "{body}");
    body["refusals"].as_array().cloned().unwrap_or_default()
}

/// Subject, method, code and reason, in order.
fn told(refusals: &[Value]) -> Vec<[String; 4]> {
    let text = |refusal: &Value, name: &str| refusal[name].as_str().unwrap_or_default().to_owned();
    let told = |refusal: &Value| ["subject", "method", "code", "reason"].map(|name| text(refusal, name));
    let mut all: Vec<_> = refusals.iter().map(told).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_over_the_embedded_store() {
    let store = Arc::new(Embedded::new(1 << 20));
    let config = services::config_over(Arc::clone(&store) as _, small()).await;
    refusals::refusals_are_listed_to_their_tenant(&config, &config).await;
    refusals::the_last_use_of_a_key_is_listed(&config, &config).await;
    refusals::invalid_requests_are_rejected(&config).await;
    let key = refusals::created(&config).await;
    let use_time = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 });
    let uses = vec![pb::KeyUse { key_id: key.key_id.clone(), use_time }];
    let mut keys = KeyServiceClient::new(config.channel());
    keys.report_key_uses(pb::ReportKeyUsesRequest { uses }).await.unwrap();
    let known = refusals::list(&config, "", Default::default()).await.unwrap();
    config.stop().await;
    let restarted = services::config_over(store, small()).await;
    assert_eq!(refusals::list(&restarted, "", Default::default()).await.unwrap(), known);
    assert_eq!(refusals::last_use(&restarted, &key.key_id).await, Some(1_700_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_writes_are_seen_by_administrators_of_their_tenant() {
    let issuer = Issuer::new();
    let (gateway, _services) = services::mesh(&[&["--jwks", issuer.jwks()][..], &FLAGS].concat()).await;
    let (reader, writer) = (bearer(&issuer, "ada", "acme", "read"), bearer(&issuer, "bob", "acme", "write"));
    let (acme, bolt) = (bearer(&issuer, "eve", "acme", "admin"), bearer(&issuer, "zoe", "bolt", "admin"));
    let root = bearer(&issuer, "root", "", "admin");
    let rest = async |request: (&str, &str), caller: &str, etag: Option<&str>, body: Value, status: u16| {
        let mut headers = vec![("authorization", caller), ("x-request-id", "r-7")];
        headers.extend(etag.map(|etag| ("if-match", etag)));
        let answer = send(&gateway, request, &headers, &body).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, status, "{request:?} {body}: {text}");
    };
    let rule = |keyword: &str| json!({"ruleId": "mine", "category": "HEALTH", "keywords": [keyword]});
    let (rules, mine) = (("POST", "/v1/rules"), ("PATCH", "/v1/rules/mine"));
    rest(rules, &reader, None, rule("secret-1"), 403).await;
    rest(rules, &writer, None, rule("zz"), 200).await;
    rest(rules, &writer, None, rule("secret-2"), 409).await;
    rest(rules, &writer, None, json!({"ruleId": "other", "category": "HEALTH", "keywords": []}), 400).await;
    rest(mine, &writer, Some("\"ffff\""), json!({"priority": 7}), 412).await;
    let several = Some("\"fffe\", \"ffff\"");
    rest(mine, &writer, several, json!({"priority": 7}), 412).await;
    let legacy = ("POST", "/api/analysis/rules");
    let of_legacy = json!({"rule_id": "x", "category": "salute", "keywords": ["secret-3"]});
    rest(legacy, &reader, None, of_legacy, 403).await;
    rest(("GET", "/v1/flags"), &acme, None, Value::Null, 403).await;
    rest(
        ("POST", "/v1/keys"),
        &bolt,
        None,
        json!({"displayName": "x", "scope": "READ", "tenant": "acme"}),
        403,
    )
    .await;
    // None of these is a refused write of a caller that is known.
    rest(("GET", "/v1/rules/none"), &writer, None, Value::Null, 404).await;
    rest(("GET", "/v1/rules?pageSize=-1"), &writer, None, Value::Null, 400).await;
    rest(("DELETE", "/v1/rules/none"), &writer, None, Value::Null, 404).await;
    rest(rules, "Bearer a.b.c", None, rule("zz"), 401).await;

    let client = Client::connect(address(&gateway), DEFAULT_WINDOW).await;
    let service = "dataflow.config.v1.RuleService";
    let call = async |method: &str, caller: &str, message: Vec<u8>| {
        let path = format!("/{service}/{method}");
        let mut body = client.send(&path, &message, &[("authorization", caller)]).await.unwrap().into_body();
        // To the trailers, if the failure is there.
        while timeout(TIMEOUT, body.data()).await.expect("it ends").is_some() {}
        let _ = body.trailers().await;
    };
    call("CreateRule", &reader, Vec::new()).await;
    let delete =
        pb::DeleteRuleRequest { rule: "mine".to_owned(), etag: "ffff".to_owned(), ..Default::default() };
    call("DeleteRule", &writer, delete.encode_to_vec()).await;

    let told_of = |subject: &str, method: &str, code: &str, reason: &str| {
        let method = if method.contains('/') { method.to_owned() } else { format!("{service}/{method}") };
        [subject.to_owned(), method, code.to_owned(), reason.to_owned()]
    };
    let mut of_acme = vec![
        told_of("ada", "CreateRule", "PERMISSION_DENIED", "SCOPE_MISSING"),
        told_of("bob", "CreateRule", "ALREADY_EXISTS", "RULE_EXISTS"),
        told_of("bob", "CreateRule", "INVALID_ARGUMENT", "RULESET_INVALID"),
        told_of("bob", "UpdateRule", "ABORTED", "ETAG_MISMATCH"),
        told_of("bob", "UpdateRule", "ABORTED", "ETAG_MISMATCH"),
        told_of("ada", "CreateRule", "PERMISSION_DENIED", "SCOPE_MISSING"),
        told_of("eve", "dataflow.config.v1.FlagService/ListFlags", "PERMISSION_DENIED", "METHOD_OF_MESH"),
        told_of("ada", "CreateRule", "PERMISSION_DENIED", "SCOPE_MISSING"),
        told_of("bob", "DeleteRule", "ABORTED", "ETAG_MISMATCH"),
    ];
    of_acme.sort();
    let of_bolt =
        [told_of("zoe", "dataflow.config.v1.KeyService/CreateKey", "PERMISSION_DENIED", "TENANT_MISMATCH")];
    eventually(TIMEOUT, "all refusals are recorded", async || {
        listed(&gateway, &root, "").await.len() >= of_acme.len() + of_bolt.len()
    })
    .await;
    let seen = listed(&gateway, &acme, "").await;
    assert_eq!(told(&seen), of_acme);
    assert_eq!(told(&listed(&gateway, &bolt, "").await), of_bolt, "of its tenant alone");
    assert_eq!(listed(&gateway, &root, "").await.len(), of_acme.len() + of_bolt.len());
    assert_eq!(listed(&gateway, &bolt, "subject=bob").await, [Value::Null; 0]);
    assert_eq!(listed(&gateway, &acme, "subject=ada").await.len(), 3);
    assert_eq!(listed(&gateway, &acme, "endTime=2001-01-01T00:00:00Z").await, [Value::Null; 0]);
    assert_eq!(listed(&gateway, &acme, "startTime=2001-01-01T00:00:00Z").await.len(), of_acme.len());
    for refusal in &seen {
        assert!(refusal["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{refusal}");
        assert!(
            refusal["tenant"] == "acme" && !refusal["requestId"].as_str().unwrap().is_empty(),
            "{refusal}"
        );
        assert!(!refusal.to_string().contains("secret"), "{refusal}");
    }
    assert!(seen.iter().filter(|refusal| refusal["requestId"] == "r-7").count() == 7, "{seen:?}");
    let answer =
        send(&gateway, ("GET", "/v1/audit/refusals"), &[("authorization", &writer)], &Value::Null).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_with_many_refusals_fills_no_log() {
    let issuer = Issuer::new();
    let (gateway, _services) = services::mesh(&["--jwks", issuer.jwks(), "--refusal-log-rate", "3"]).await;
    let (reader, root) = (bearer(&issuer, "ada", "acme", "read"), bearer(&issuer, "root", "", "admin"));
    for _ in 0..10 {
        let headers = [("authorization", reader.as_str())];
        assert_eq!(send(&gateway, ("POST", "/v1/rules"), &headers, &json!({})).await.status, 403);
    }
    eventually(TIMEOUT, "three are recorded", async || listed(&gateway, &root, "").await.len() == 3).await;
    eventually(TIMEOUT, "and all are counted", async || {
        let metrics = gateway.metrics.encode();
        let samples = ["outcome=\"left_out\"} 7\n", "outcome=\"reported\"} 3\n", "outcome=\"lost\"} 0\n"];
        let is_exposed = |sample| metrics.contains(&format!("gateway_refused_writes_total{{{sample}"));
        samples.into_iter().all(is_exposed)
    })
    .await;
}

/// The config service takes no more at once: what a report has too many of would be lost.
#[tokio::test(flavor = "multi_thread")]
async fn many_refusals_at_once_are_reported_in_parts() {
    let issuer = Issuer::new();
    let store = Arc::new(Embedded::new(1 << 20));
    let config = services::config_over(Arc::clone(&store) as _, small()).await;
    let url = config.upstream.to_string();
    let flags = ["--config-url", &url, "--jwks", issuer.jwks(), "--refusal-log-rate", "1000"];
    let gateway = services::gateway(&flags).await;
    let client = Client::connect(address(&gateway), DEFAULT_WINDOW).await;
    let reader = bearer(&issuer, "ada", "acme", "read");
    let headers = [("authorization", reader.as_str())];
    let calls = (0..250).map(|_| client.send("/dataflow.config.v1.RuleService/CreateRule", b"", &headers));
    for answer in join_all(calls).await {
        assert_eq!(code_and_reason(answer.unwrap().headers()).1, "SCOPE_MISSING");
    }
    let sizes = async || -> Vec<usize> {
        let records = store.read(&Space::durable("config").key("refusals"), 0, usize::MAX).await.unwrap();
        let stored = records.into_iter().map(|record| pb::StoredRefusals::decode(record.value).unwrap());
        stored.map(|stored| stored.refusals.len()).collect()
    };
    eventually(TIMEOUT, "all are recorded", async || sizes().await.iter().sum::<usize>() == 250).await;
    assert!(sizes().await.iter().all(|size| *size <= 100), "{:?}", sizes().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_config_service_calls_go_on_and_lost_reports_are_counted() {
    let issuer = Issuer::new();
    let (gateway, [_analysis, _cache, config]) =
        services::mesh(&[&["--jwks", issuer.jwks()][..], &FLAGS].concat()).await;
    config.stop().await;
    let writer = bearer(&issuer, "bob", "acme", "write");
    let headers = [("authorization", writer.as_str())];
    let refused = async || {
        // The gateway decides both by itself.
        let denied =
            send(&gateway, ("POST", "/v1/cache:invalidate"), &headers, &json!({"tags": ["x"]})).await;
        let text = [("authorization", writer.as_str()), ("content-type", "text/plain")];
        let parts = http::request(&gateway.upstream, "POST", "/v1/rules", &text, b"x").await.unwrap();
        (denied.status, parts.status)
    };
    assert_eq!(refused().await, (403, 415));
    let lost = || {
        let metrics = gateway.metrics.encode();
        let samples = metrics.lines().find_map(|line| {
            line.strip_prefix("gateway_refused_writes_total{outcome=\"lost\"} ")?.parse::<u64>().ok()
        });
        samples.unwrap()
    };
    eventually(TIMEOUT, "the lost refusals are counted", async || lost() == 2).await;
    assert_eq!(refused().await, (403, 415));
    let dataflow = json!({"dataflow": {"id": "X", "names": {"en": "Population"}}});
    assert_eq!(send(&gateway, ("POST", "/v1/dataflows:categorize"), &headers, &dataflow).await.status, 200);
    let entry = ("PUT", "/v1/cache/entries/user/x");
    assert_eq!(send(&gateway, entry, &headers, &json!({"value": "eA=="})).await.status, 200);
    eventually(TIMEOUT, "so are later ones", async || lost() == 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_use_of_a_key_is_shown_and_its_refusals_name_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let admin = format!("dfk_{}", "k".repeat(40));
    std::fs::write(file.path(), &admin).unwrap();
    let flags = ["--admin-key-file", file.path().to_str().unwrap()];
    let (gateway, [_analysis, _cache, config]) = services::mesh(&flags).await;
    let as_admin = [("x-api-key", admin.as_str())];
    let json_of = async |request: (&str, &str), body: &Value| -> Value {
        serde_json::from_slice(&send(&gateway, request, &as_admin, body).await.body).unwrap()
    };
    let created = json_of(("POST", "/v1/keys"), &json!({"displayName": "ci", "scope": "READ"})).await;
    let (id, secret) = (created["key"]["keyId"].as_str().unwrap(), created["secret"].as_str().unwrap());
    assert_eq!(created["key"].get("lastUseTime"), None);
    assert_eq!(refusals::last_use(&config, id).await, None);
    let as_key = [("x-api-key", secret)];
    eventually(TIMEOUT, "the key is known", async || {
        send(&gateway, ("POST", "/v1/rules"), &as_key, &json!({})).await.status == 403
    })
    .await;
    eventually(TIMEOUT, "its use is recorded", async || {
        let keys = json_of(("GET", "/v1/keys"), &Value::Null).await;
        keys["keys"][0]["lastUseTime"].as_str().is_some_and(|time| time.starts_with("20"))
    })
    .await;
    eventually(TIMEOUT, "its refusal is recorded", async || {
        let found = json_of(("GET", "/v1/audit/refusals"), &Value::Null).await;
        let refusal = &found["refusals"][0];
        refusal["keyId"] == id && refusal["subject"] == format!("key:{id}") && refusal["tenant"] == ""
    })
    .await;
}
