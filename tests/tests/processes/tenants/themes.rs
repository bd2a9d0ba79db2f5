//! Themes that a tenant changes for itself.

use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::{http, in_repository};
use serde_json::{Value, json};

use super::Mesh;

// === impl Mesh ===

impl Mesh {
    /// The analysis of a catalogue that contains its themes, in which a dataflow has the theme of ISTAT's health.
    async fn analyze(&self, tenant: &str) -> Value {
        let document = std::fs::read(in_repository("tests/data/themed.xml")).unwrap();
        let bearer = self.bearer(tenant, "read");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/xml")];
        let path = "/v1/catalogues:analyze";
        let answer = http::request(&self.gateway.upstream, "POST", path, &headers, &document).await.unwrap();
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// The category of that dataflow.
    async fn category(&self, tenant: &str) -> String {
        self.analyze(tenant).await["dataflows"][0]["category"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn themes_of_a_tenant_count_for_its_own_calls_alone() {
    let (mesh, [_analysis, _cache, config]) = Mesh::start().await;
    let path = "/v1/themes/istat-health";
    let found = mesh.analyze("acme").await;
    assert_eq!(
        (&found["dataflows"][0]["category"], &found["themesRevision"]),
        (&json!("HEALTH"), &json!("0"))
    );
    let own = mesh.call("acme", "PATCH", path, &json!({"category": "LABOUR"})).await;
    assert_eq!((&own["owner"], &own["category"]), (&json!("TENANT"), &json!("LABOUR")), "{own}");
    assert_eq!(mesh.get("bolt", path).await["category"], "HEALTH");
    eventually(TIMEOUT, "the tenant's theme decides", async || mesh.category("acme").await == "LABOUR").await;
    let found = mesh.analyze("acme").await;
    let revisions = [&found["themesRevision"], &found["themesOverlayRevision"], &found["degraded"]];
    assert_eq!(revisions, [&json!("1"), &json!("1"), &json!([])]);
    for tenant in ["", "bolt"] {
        assert_eq!(mesh.category(tenant).await, "HEALTH", "{tenant}");
    }

    // A later change of the shared theme is hidden, until the tenant restores it.
    mesh.call("", "PATCH", path, &json!({"category": "ECONOMY"})).await;
    eventually(TIMEOUT, "the shared theme decides", async || mesh.category("bolt").await == "ECONOMY").await;
    assert_eq!(mesh.category("acme").await, "LABOUR");
    let restored = mesh.call("acme", "POST", &format!("{path}:restore"), &json!({})).await;
    assert_eq!((&restored["owner"], &restored["category"]), (&json!("SHARED"), &json!("ECONOMY")));
    eventually(TIMEOUT, "the tenant has the shared theme", async || mesh.category("acme").await == "ECONOMY")
        .await;
    let missing = mesh.send("", ("POST", "/v1/themes/istat-health:restore"), &[], &json!({})).await;
    assert_eq!(missing.status, 400, "a caller of no tenant has nothing of its own");

    // An etag is that of the theme which is seen; one that no change has made has an etag too.
    let etag = restored["etag"].as_str().unwrap().to_owned();
    let change = json!({"category": "OTHER"});
    for (sent, status) in [("0", 412), (etag.as_str(), 200), (&etag, 412)] {
        let quoted = format!("\"{sent}\"");
        let answer = mesh.send("acme", ("PATCH", path), &[("if-match", &quoted)], &change).await;
        assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
    }
    let prices = "/v1/themes/istat-prices";
    let built_in = format!("\"{}\"", mesh.get("bolt", prices).await["etag"].as_str().unwrap());
    let first = [("if-match", built_in.as_str())];
    assert_eq!(mesh.send("bolt", ("PATCH", prices), &first, &change).await.status, 200);
    let listed = mesh.get("acme", "/v1/themes/revisions").await;
    let authors: Vec<_> =
        listed["revisions"].as_array().unwrap().iter().map(|made| &made["author"]).collect();
    assert_eq!(authors, ["acme-user"; 3]);
    let back = mesh.call("acme", "POST", "/v1/themes:rollback", &json!({"revision": 0})).await;
    assert_eq!((&back["revision"], &back["overlayRevision"]), (&json!("2"), &json!("4")));
    assert_eq!(mesh.get("acme", path).await["owner"], "SHARED");

    // What cannot be had is said, and the shared themes are used.
    mesh.call("bolt", "PATCH", path, &change).await;
    mesh.call("acme", "PATCH", path, &change).await;
    eventually(TIMEOUT, "the change has arrived", async || mesh.category("acme").await == "OTHER").await;
    config.stop().await;
    let found = mesh.analyze("acme").await;
    assert_eq!(
        (&found["degraded"], &found["themesOverlayRevision"]),
        (&json!([]), &json!("5")),
        "known before"
    );
    let found = mesh.analyze("bolt").await;
    assert_eq!(found["degraded"], json!(["SHARED_THEMES"]), "{found}");
    assert_eq!(found["dataflows"][0]["category"], "ECONOMY");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_may_only_read_without_the_scope_to_write() {
    let (mesh, _services) = Mesh::start().await;
    let bearer = mesh.bearer("acme", "read");
    let call = async |method: &str, path: &str| {
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body: &[u8] = if method == "GET" { b"" } else { b"{}" };
        http::request(&mesh.gateway.upstream, method, path, &headers, body).await.unwrap().status
    };
    for (method, path, status) in [
        ("GET", "/v1/themes", 200),
        ("GET", "/v1/themes/istat-health", 200),
        ("GET", "/v1/themes/revisions", 200),
        ("GET", "/v1/themes:export", 200),
        ("POST", "/v1/themes", 403),
        ("PATCH", "/v1/themes/istat-health", 403),
        ("DELETE", "/v1/themes/istat-health", 403),
        ("POST", "/v1/themes/istat-health:restore", 403),
        ("POST", "/v1/themes:rollback", 403),
        ("POST", "/v1/themes:replace", 403),
    ] {
        assert_eq!(call(method, path).await, status, "{method} {path}");
    }
}
