//! Tenants: what one of them changes for itself, and that none reaches what belongs to another.

mod isolation;
mod memory;
mod themes;

use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::http::{self, HttpResponse};
use dataflow_tests::services::{self, Service};
use dataflow_tests::tokens::Issuer;
use serde_json::{Value, json};

/// A gateway, and callers of it.
struct Mesh {
    gateway: Service,
    issuer: Issuer,
}

// === impl Mesh ===

impl Mesh {
    async fn start() -> (Self, [Service; 3]) {
        let issuer = Issuer::new();
        let (gateway, services) = services::mesh(&["--jwks", issuer.jwks()]).await;
        (Self { gateway, issuer }, services)
    }

    /// The credential of a caller with this scope, of this tenant if there is one.
    fn bearer(&self, tenant: &str, scope: &str) -> String {
        let mut claims = json!({"sub": format!("{tenant}-user"), "scope": scope});
        if !tenant.is_empty() {
            claims["tenant"] = json!(tenant);
        }
        format!("Bearer {}", self.issuer.token(&claims))
    }

    async fn send(
        &self,
        tenant: &str,
        request: (&str, &str),
        headers: &[(&str, &str)],
        body: &Value,
    ) -> HttpResponse {
        let bearer = self.bearer(tenant, "admin");
        let own = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let headers = [&own[..], headers].concat();
        let answer = http::request(&self.gateway.upstream, request.0, request.1, &headers, &body).await;
        answer.unwrap_or_else(|error| panic!("{request:?}: {error}"))
    }

    /// An upload of an administrator of a tenant, that succeeds.
    async fn upload(&self, tenant: &str, target: &str, headers: &[(&str, &str)], document: &str) -> Value {
        let bearer = self.bearer(tenant, "admin");
        let headers = [&[("authorization", bearer.as_str())], headers].concat();
        let document = document.as_bytes();
        let answer = http::request(&self.gateway.upstream, "POST", target, &headers, document).await.unwrap();
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// A call of an administrator of a tenant, or of the mesh, that succeeds.
    async fn call(&self, tenant: &str, method: &str, target: &str, body: &Value) -> Value {
        let answer = self.send(tenant, (method, target), &[], body).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 200, "{tenant} {method} {target}: {text}");
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }

    async fn get(&self, tenant: &str, target: &str) -> Value {
        self.call(tenant, "GET", target, &Value::Null).await
    }

    async fn status(&self, tenant: &str, method: &str, target: &str) -> u16 {
        self.send(tenant, (method, target), &[], &Value::Null).await.status
    }

    /// How analysis categorizes a text for a tenant.
    async fn categorize(&self, tenant: &str, ruleset: &str, text: &str) -> Value {
        let dataflow = json!({"id": "X", "names": {"en": text}});
        let request = json!({"dataflow": dataflow, "ruleset": ruleset});
        self.call(tenant, "POST", "/v1/dataflows:categorize", &request).await
    }
}

fn rule(id: &str, category: &str, keyword: &str) -> Value {
    json!({"ruleId": id, "category": category, "keywords": [keyword], "priority": 1000})
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_a_tenant_count_for_its_own_calls_alone() {
    let (mesh, [_analysis, _cache, config]) = Mesh::start().await;
    let created = mesh.call("acme", "POST", "/v1/rules", &rule("own", "HEALTH", "alphabetical")).await;
    assert_eq!((&created["owner"], created["etag"].is_string()), (&json!("TENANT"), true), "{created}");
    for tenant in ["", "bolt"] {
        assert_eq!(mesh.status(tenant, "GET", "/v1/rules/own").await, 404, "{tenant}");
    }
    let text = "Alphabetical order";
    eventually(TIMEOUT, "the tenant's rule counts", async || {
        let found = mesh.categorize("acme", "", text).await;
        found["category"] == "HEALTH" && found["overlayRevision"] == "1" && found["degraded"] == json!([])
    })
    .await;
    for tenant in ["", "bolt"] {
        let found = mesh.categorize(tenant, "", text).await;
        assert_eq!(
            (&found["category"], &found["overlayRevision"]),
            (&json!("OTHER"), &json!("0")),
            "{found}"
        );
    }

    // The shared rule of the same name is hidden, and its later changes too.
    mesh.call("", "POST", "/v1/rules", &rule("own", "LABOUR", "alphabetical")).await;
    eventually(TIMEOUT, "the shared rule counts", async || {
        mesh.categorize("bolt", "", text).await["category"] == "LABOUR"
    })
    .await;
    assert_eq!(mesh.categorize("acme", "", text).await["category"], "HEALTH");
    let restored = mesh.call("acme", "POST", "/v1/rules/own:restore", &json!({})).await;
    assert_eq!((&restored["owner"], &restored["category"]), (&json!("SHARED"), &json!("LABOUR")));
    eventually(TIMEOUT, "the tenant has the shared rule again", async || {
        let found = mesh.categorize("acme", "", text).await;
        found["category"] == "LABOUR" && found["overlayRevision"] == "0"
    })
    .await;
    let missing = mesh.send("", ("POST", "/v1/rules/own:restore"), &[], &json!({})).await;
    assert_eq!(missing.status, 400, "a caller of no tenant has nothing of its own");

    // An etag is that of the rule which is seen.
    let etag = restored["etag"].as_str().unwrap().to_owned();
    let change = json!({"category": "ECONOMY"});
    for (sent, status) in [("0", 412), (etag.as_str(), 200), (&etag, 412)] {
        let quoted = format!("\"{sent}\"");
        let answer = mesh.send("acme", ("PATCH", "/v1/rules/own"), &[("if-match", &quoted)], &change).await;
        assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
    }
    let listed = mesh.get("acme", "/v1/rulesets/default/revisions").await;
    let authors: Vec<_> =
        listed["revisions"].as_array().unwrap().iter().map(|made| &made["author"]).collect();
    assert_eq!(authors, ["acme-user"; 3]);
    let back = mesh.call("acme", "POST", "/v1/rulesets/default:rollback", &json!({"revision": 0})).await;
    assert_eq!(back["overlayRevision"], "4");
    // The etag of a rule set covers the shared set, too.
    mesh.call("", "PATCH", "/v1/rules/own", &json!({"category": "POPULATION"})).await;
    let condition = format!("{}", back["etag"]);
    let rollback = ("POST", "/v1/rulesets/default:rollback");
    let stale = mesh.send("acme", rollback, &[("if-match", &condition)], &json!({"revision": 0})).await;
    assert_eq!(stale.status, 412, "{}", String::from_utf8_lossy(&stale.body));
    mesh.call("", "PATCH", "/v1/rules/own", &json!({"category": "LABOUR"})).await;
    assert_eq!(mesh.get("acme", "/v1/rules/own").await["owner"], "SHARED");

    // What cannot be had is said, and the shared rules are used.
    mesh.call("acme", "POST", "/v1/rules", &{
        let mut legacy = rule("own", "HEALTH", "alphabetical");
        legacy["ruleset"] = json!("legacy");
        legacy
    })
    .await;
    mesh.call("acme", "POST", "/v1/rules", &rule("later", "HEALTH", "alphabetical")).await;
    let shared = mesh.get("", "/v1/rules").await["revision"].clone();
    eventually(TIMEOUT, "all changes have arrived", async || {
        let found = mesh.categorize("acme", "", text).await;
        found["overlayRevision"] == "5" && found["rulesRevision"] == shared
    })
    .await;
    config.stop().await;
    let found = mesh.categorize("acme", "legacy", text).await;
    assert_eq!(found["degraded"], json!(["SHARED_RULES"]), "{found}");
    let found = mesh.categorize("acme", "", text).await;
    assert_eq!((&found["degraded"], &found["overlayRevision"]), (&json!([]), &json!("5")), "compiled before");
}

/// The lease for the result is given back, which only the tenant itself can do: otherwise, the second call would wait for
/// a result that does not come.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_cannot_be_read_delays_no_later_call_of_the_tenant() {
    let (mesh, _services) = Mesh::start().await;
    for _ in 0..2 {
        let answer = mesh.send("acme", ("POST", "/v1/catalogues:analyze"), &[], &json!({})).await;
        assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(&answer.body));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_of_a_tenant_are_its_own() {
    let (mesh, _services) = Mesh::start().await;
    let quota = json!({"displayName": "mine"});
    let own = mesh.call("acme", "PATCH", "/v1/providers/IT1", &quota).await;
    assert_eq!((&own["owner"], &own["displayName"]), (&json!("TENANT"), &json!("mine")));
    assert_eq!(mesh.get("bolt", "/v1/providers/IT1").await["owner"], "SHARED");
    assert_eq!(mesh.get("", "/v1/providers/IT1").await["displayName"], "ISTAT");
    mesh.call("acme", "DELETE", "/v1/providers/ECB", &Value::Null).await;
    let ids = async |tenant: &str| {
        let listed = mesh.get(tenant, "/v1/providers").await;
        let all = listed["providers"].as_array().unwrap().clone();
        all.iter().map(|provider| provider["providerId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(!ids("acme").await.contains(&"ECB".to_owned()) && ids("bolt").await.contains(&"ECB".to_owned()));
    let back = mesh.call("acme", "POST", "/v1/providers/ECB:restore", &json!({})).await;
    assert_eq!(back["providerId"], "ECB");
    assert_eq!(ids("acme").await, ids("").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_moves_tenants_to_another_rule_set() {
    let (mesh, _services) = Mesh::start().await;
    let flags = mesh.get("", "/v1/flags").await;
    assert_eq!(flags["flags"][0]["flagId"], "legacy-rules");
    assert_eq!(flags["flags"][0]["etag"], "0");
    let ruleset = async |tenant: &str| {
        // A rule set of SUBSTRING has another confidence than one of WORDS for the same text.
        let (by_default, legacy) = (
            mesh.categorize(tenant, "default", "Popolazione residente").await,
            mesh.categorize(tenant, "legacy", "Popolazione residente").await,
        );
        let found = mesh.categorize(tenant, "", "Popolazione residente").await;
        assert_ne!(by_default["confidence"], legacy["confidence"]);
        if found == legacy { "legacy" } else { "default" }
    };
    assert_eq!(ruleset("acme").await, "default");
    let flag = json!({"tenants": {"acme": true}, "etag": "0"});
    let set = mesh.call("", "PUT", "/v1/flags/legacy-rules", &flag).await;
    assert_eq!(set["tenants"], json!({"acme": true}));
    eventually(TIMEOUT, "the flag is on for the tenant", async || ruleset("acme").await == "legacy").await;
    assert_eq!((ruleset("bolt").await, ruleset("").await), ("default", "default"));
    let stale = mesh.send("", ("PUT", "/v1/flags/legacy-rules"), &[], &flag).await;
    assert_eq!(stale.status, 412);
    let wrong = mesh.send("", ("PUT", "/v1/flags/legacy-rules"), &[], &json!({"percentage": 101})).await;
    assert_eq!(wrong.status, 400, "{}", String::from_utf8_lossy(&wrong.body));
    assert_eq!(mesh.status("", "GET", "/v1/flags/unknown").await, 404);
    mesh.call("", "PUT", "/v1/flags/legacy-rules", &json!({"enabled": true})).await;
    eventually(TIMEOUT, "the flag is on for all", async || ruleset("").await == "legacy").await;
    let audit = mesh.get("", "/v1/audit?page_size=1000&author=-user").await;
    let actions: Vec<_> =
        audit["records"].as_array().unwrap().iter().map(|record| &record["action"]).collect();
    assert_eq!(actions, ["FLAG_PUT", "FLAG_PUT"], "by author");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_is_read_by_tenant_time_and_author() {
    let (mesh, _services) = Mesh::start().await;
    mesh.call("acme", "POST", "/v1/rules", &rule("one", "HEALTH", "zz")).await;
    mesh.call("bolt", "POST", "/v1/rules", &rule("two", "HEALTH", "zz")).await;
    mesh.call("", "POST", "/v1/rules", &rule("three", "HEALTH", "zz")).await;
    let records = async |tenant: &str, query: &str| {
        let mut found = Vec::new();
        let mut token = String::new();
        loop {
            let page = mesh.get(tenant, &format!("/v1/audit?pageSize=2&pageToken={token}&{query}")).await;
            found.extend(page["records"].as_array().unwrap().clone());
            token = page["nextPageToken"].as_str().unwrap().to_owned();
            if token.is_empty() {
                return found;
            }
        }
    };
    let resources = |records: &[Value]| {
        let puts = records.iter().filter(|record| record["action"] == "RULE_PUT");
        puts.map(|record| record["resource"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let all = records("", "").await;
    assert_eq!(resources(&all), "one two three");
    let own = records("acme", "").await;
    assert_eq!((resources(&own).as_str(), own.len()), ("one", 1));
    assert_eq!(
        (&own[0]["tenant"], &own[0]["before"], &own[0]["after"]),
        (&json!("acme"), &json!("0"), &json!("1"))
    );
    let peer: std::net::SocketAddr = own[0]["peer"].as_str().unwrap().parse().unwrap();
    assert!(peer.ip().is_loopback(), "{peer}");
    assert_eq!(resources(&records("", "author=bolt-user").await), "two");
    let time =
        all.iter().find(|record| record["tenant"] == "bolt").unwrap()["time"].as_str().unwrap().to_owned();
    assert_eq!(resources(&records("", &format!("startTime={time}")).await), "two three");
    assert_eq!(resources(&records("", &format!("endTime={time}")).await), "one");
    let exported = mesh.send("bolt", ("GET", "/v1/audit:export"), &[], &Value::Null).await;
    let lines = String::from_utf8(exported.body.to_vec()).unwrap();
    assert_eq!((lines.lines().count(), lines.contains("rules/two")), (1, true), "{lines}");
}
