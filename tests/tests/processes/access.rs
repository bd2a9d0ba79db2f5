//! Who may call what through the gateway: every method of the contract by every kind of caller, over gRPC and REST, and
//! what services learn of a caller.

use dataflow_mesh::access::{Access, AccessTable, Scope};
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::cache::v1 as pb;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::http::{self, HttpResponse};
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, GET, code_and_reason, framed};
use dataflow_tests::services::{self, Service};
use dataflow_tests::tokens::Issuer;
use prost::Message;
use prost_reflect::DescriptorPool;
use serde_json::{Value, json};
use tokio::time::timeout;
use tonic::Code;

use crate::mesh::stub::Stub;

mod refused;
mod rotation;

pub(crate) fn address(service: &Service) -> std::net::SocketAddr {
    let upstream = service.upstream.to_string();
    upstream.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
}

/// Code and reason of a call with an empty message, from the head of its response; OK if it has none.
pub(crate) async fn call(client: &Client, path: &str, headers: &[(&str, &str)]) -> (Code, String) {
    let (answer, mut body) = client.open(path, headers).await.unwrap();
    // A call that is refused may have ended already.
    let _ = body.send_data(framed(b""), true);
    let answer = timeout(TIMEOUT, answer).await.expect("a response").unwrap();
    match answer.headers().contains_key("grpc-status") {
        true => code_and_reason(answer.headers()),
        false => (Code::Ok, String::new()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_method_is_open_to_those_who_have_its_scope() {
    let issuer = Issuer::new();
    let (gateway, _services) = services::mesh(&["--jwks", issuer.jwks()]).await;
    let client = Client::connect(address(&gateway), DEFAULT_WINDOW).await;
    let table = AccessTable::of(FILE_DESCRIPTOR_SET);
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let methods = pool.services().flat_map(|service| {
        let name = service.full_name().to_owned();
        service.methods().map(move |method| format!("/{name}/{}", method.name())).collect::<Vec<_>>()
    });
    let callers = [("openid", None), ("read", Some(Scope::Read)), ("dataflow:write", Some(Scope::Write))];
    let callers: Vec<_> = callers.map(|(scopes, scope)| (issuer.bearer(scopes), scope)).into();
    for path in methods {
        let access = table.get(&path).unwrap();
        assert_eq!(call(&client, &path, &[]).await.1, "CREDENTIALS_MISSING", "{path}");
        for (bearer, scope) in &callers {
            let (code, reason) = call(&client, &path, &[("authorization", bearer)]).await;
            let refused = (code == Code::PermissionDenied).then_some(reason.as_str());
            let expected = match access {
                Access::Internal => Some("METHOD_INTERNAL"),
                Access::Scope(needed) if *scope < Some(needed) => Some("SCOPE_MISSING"),
                Access::OfMesh if *scope < Some(Scope::Admin) => Some("SCOPE_MISSING"),
                Access::TenantWrite if *scope < Some(Scope::Admin) => Some("SCOPE_MISSING"),
                Access::Scope(_) | Access::TenantWrite | Access::OfMesh => None,
            };
            assert_eq!(refused, expected, "{path} {scope:?}: {code:?} {reason}");
        }
    }
    for (path, expected) in [
        ("/grpc.health.v1.Health/Check", (Code::Ok, "")),
        (
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            (Code::Unauthenticated, "CREDENTIALS_MISSING"),
        ),
        ("/dataflow.cache.v1.CacheService/Unknown", (Code::Unauthenticated, "CREDENTIALS_MISSING")),
    ] {
        assert_eq!(call(&client, path, &[]).await, (expected.0, expected.1.to_owned()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_needs_a_scope_unless_the_docs_are_public() {
    let issuer = Issuer::new();
    let (read, none) = (issuer.bearer("read"), issuer.bearer("openid"));
    for (flags, anonymous, powerless) in [
        (&[][..], "CREDENTIALS_MISSING", "SCOPE_MISSING"),
        (&["--public-docs"], "", ""),
        (&["--allow-anonymous"], "", "SCOPE_MISSING"),
    ] {
        let gateway = services::gateway(&[&["--jwks", issuer.jwks()], flags].concat()).await;
        let client = Client::connect(address(&gateway), DEFAULT_WINDOW).await;
        for version in ["v1", "v1alpha"] {
            let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
            assert_eq!(call(&client, &path, &[]).await.1, anonymous, "{flags:?} {path}");
            for (bearer, expected) in [(&read, ""), (&none, powerless)] {
                let found = call(&client, &path, &[("authorization", bearer)]).await;
                assert_eq!(found.1, expected, "{flags:?} {path}");
            }
        }
        let change = call(&client, "/dataflow.config.v1.RuleService/CreateRule", &[]).await;
        assert_ne!(change.1, "", "{flags:?}");
    }
}

pub(crate) async fn send(
    gateway: &Service,
    request: (&str, &str),
    headers: &[(&str, &str)],
    body: &Value,
) -> HttpResponse {
    let headers = [&[("content-type", "application/json")], headers].concat();
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    http::request(&gateway.upstream, request.0, request.1, &headers, &body).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_is_refused_with_a_challenge_and_before_the_body_is_read() {
    let issuer = Issuer::new();
    let (gateway, _services) = services::mesh(&["--jwks", issuer.jwks(), "--jwt-audience", "dataflow"]).await;
    let bearer = |claims: Value| format!("Bearer {}", issuer.token(&claims));
    let own = |scope: &str| bearer(json!({"scope": scope, "aud": "dataflow"}));
    let rule = json!({"ruleId": "mine", "category": "HEALTH", "keywords": ["zz"]});
    let check = async |request: (&str, &str),
                       headers: &[(&str, &str)],
                       status: u16,
                       reason: &str,
                       challenge: &str| {
        let answer = send(&gateway, request, headers, &rule).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, status, "{request:?} {headers:?}: {text}");
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["details"][0]["reason"], reason, "{request:?} {headers:?}");
        let found = answer.headers.get("www-authenticate").map(|value| value.to_str().unwrap());
        assert!(found.unwrap_or_default().contains(challenge), "{found:?} {challenge}");
    };
    let create = ("POST", "/v1/rules");
    let missing = "Bearer realm=\"dataflow\"";
    check(create, &[], 401, "CREDENTIALS_MISSING", missing).await;
    check(("GET", "/api/v1/circuit-breakers/status"), &[], 401, "CREDENTIALS_MISSING", missing).await;
    let (read, write) = (own("read"), own("write"));
    check(create, &[("authorization", &read)], 403, "SCOPE_MISSING", "scope=\"admin\"").await;
    // The shared rules are those of administrators, its own those of a tenant.
    check(create, &[("authorization", &write)], 403, "SCOPE_MISSING", "scope=\"admin\"").await;
    let of_tenant = bearer(json!({"scope": "read", "aud": "dataflow", "tenant": "acme"}));
    check(create, &[("authorization", &of_tenant)], 403, "SCOPE_MISSING", "scope=\"write\"").await;
    check(
        ("POST", "/v1/cache:invalidate"),
        &[("authorization", &write)],
        403,
        "SCOPE_MISSING",
        "scope=\"admin\"",
    )
    .await;
    let both = [("authorization", read.as_str()), ("authorization", &read)];
    check(create, &both, 401, "CREDENTIALS_AMBIGUOUS", "invalid_request").await;
    check(create, &[("authorization", "Basic YTpi")], 401, "CREDENTIALS_UNSUPPORTED", "invalid_request")
        .await;
    check(create, &[("x-api-key", "dfk_unknown")], 401, "API_KEY_UNKNOWN", "invalid_token").await;
    let expired = bearer(json!({"scope": "admin", "aud": "dataflow", "exp": 1}));
    check(create, &[("authorization", &expired)], 401, "TOKEN_EXPIRED", "invalid_token").await;
    for wrong in [
        bearer(json!({"scope": "admin"})),
        bearer(json!({"scope": "admin", "aud": "others"})),
        bearer(json!({"scope": "admin", "aud": "dataflow", "tenant": "a/b"})),
        format!("Bearer {}", Issuer::new().token(&json!({"scope": "admin", "aud": "dataflow"}))),
        format!("{write}x"),
        format!("Bearer {}", "x".repeat(10_000)),
    ] {
        check(create, &[("authorization", &wrong)], 401, "TOKEN_INVALID", "invalid_token").await;
    }
    // A body that never comes does not delay the refusal.
    let waiting = [("authorization", read.as_str()), ("expect", "100-continue")];
    check(create, &waiting, 403, "SCOPE_MISSING", "insufficient_scope").await;
    for probe in ["/health", "/live", "/ready", "/health/status"] {
        assert_eq!(send(&gateway, ("GET", probe), &[], &Value::Null).await.status, 200, "{probe}");
    }
    let admin = own("admin");
    assert_eq!(send(&gateway, create, &[("authorization", &admin)], &rule).await.status, 200);
    let of_tenant = bearer(json!({"scope": "write", "aud": "dataflow", "tenant": "acme"}));
    let own = json!({"ruleId": "own", "category": "HEALTH", "keywords": ["zz"]});
    assert_eq!(send(&gateway, create, &[("authorization", &of_tenant)], &own).await.status, 200);
    // The surface of the predecessor has the scopes of the methods behind it.
    let legacy = ("GET", "/api/analysis/rules");
    assert_eq!(send(&gateway, legacy, &[], &Value::Null).await.status, 401);
    assert_eq!(send(&gateway, legacy, &[("authorization", &read)], &Value::Null).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_learn_the_caller_from_the_gateway_only() {
    let issuer = Issuer::new();
    let (gateway, _services) = services::mesh(&["--jwks", issuer.jwks()]).await;
    let bearer = |subject: &str, tenant: &str, scope: &str| {
        format!("Bearer {}", issuer.token(&json!({"sub": subject, "tenant": tenant, "scope": scope})))
    };
    let (ada, bob) = (bearer("ada", "acme", "write"), bearer("bob", "bolt", "write"));
    let admin = format!("Bearer {}", issuer.token(&json!({"sub": "root", "scope": "admin"})));
    let entry = "/v1/cache/entries/user/secret";
    let value = json!({"value": "eA=="});
    assert_eq!(send(&gateway, ("PUT", entry), &[("authorization", &ada)], &value).await.status, 200);
    for forged in ["dataflow-tenant", "Dataflow-Tenant", "x-none"] {
        let as_bob = [("authorization", bob.as_str()), (forged, "acme")];
        assert_eq!(send(&gateway, ("GET", entry), &as_bob, &Value::Null).await.status, 404, "{forged}");
        assert_eq!(send(&gateway, ("DELETE", entry), &as_bob, &Value::Null).await.status, 200, "{forged}");
    }
    let found = send(&gateway, ("GET", entry), &[("authorization", &ada)], &Value::Null).await;
    assert_eq!(found.status, 200, "{}", String::from_utf8_lossy(&found.body));

    let rule = json!({"ruleId": "mine", "category": "HEALTH", "keywords": ["zz"]});
    assert_eq!(send(&gateway, ("POST", "/v1/rules"), &[("authorization", &ada)], &rule).await.status, 200);
    let audit = send(&gateway, ("GET", "/v1/audit"), &[("authorization", &admin)], &Value::Null).await;
    let audit: Value = serde_json::from_slice(&audit.body).unwrap();
    let authors: Vec<_> =
        audit["records"].as_array().unwrap().iter().map(|record| &record["author"]).collect();
    assert!(authors.contains(&&json!("ada")), "{audit}");
}

#[tokio::test]
async fn credentials_do_not_reach_services() {
    let stub = Stub::start(&[]).await;
    let issuer = Issuer::new();
    let url = format!("http://{}", stub.address);
    for flags in [&["--cache-url", &url][..], &["--cache-url", &url, "--jwks", issuer.jwks()]] {
        let gateway = services::gateway(flags).await;
        let client = Client::connect(address(&gateway), DEFAULT_WINDOW).await;
        let bearer = issuer.bearer("read");
        let message = pb::GetEntryRequest { key: "credentials".to_owned() }.encode_to_vec();
        let headers = [("authorization", bearer.as_str()), ("cookie", "session=1")];
        let mut body = client.send(GET, &message, &headers).await.unwrap().into_body();
        let frame = timeout(TIMEOUT, body.data()).await.expect("the stub replies").unwrap().unwrap();
        let entry = pb::GetEntryResponse::decode(&frame[5..]).unwrap().entry.unwrap();
        assert_eq!(entry.value, "", "{flags:?}");
    }
    stub.stop().await;
}

#[tokio::test]
async fn the_admin_key_of_a_file_opens_everything() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let key = format!("dfk_{}", "k".repeat(40));
    std::fs::write(file.path(), &key).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let (gateway, _services) = services::mesh(&["--admin-key-file", &path]).await;
    let stats = ("GET", "/v1/cache:stats");
    assert_eq!(send(&gateway, stats, &[], &Value::Null).await.status, 401);
    assert_eq!(send(&gateway, stats, &[("x-api-key", &key)], &Value::Null).await.status, 200);
    let bearer = format!("Bearer {key}");
    assert_eq!(send(&gateway, stats, &[("authorization", &bearer)], &Value::Null).await.status, 200);
    let anonymous = services::mesh(&["--admin-key-file", &path, "--allow-anonymous"]).await;
    assert_eq!(send(&anonymous.0, ("GET", "/v1/rules"), &[], &Value::Null).await.status, 200);
    assert_eq!(send(&anonymous.0, stats, &[], &Value::Null).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_counts_from_its_creation_to_its_revocation() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let admin = format!("dfk_{}", "k".repeat(40));
    std::fs::write(file.path(), &admin).unwrap();
    let (gateway, [_analysis, _cache, config]) =
        services::mesh(&["--admin-key-file", file.path().to_str().unwrap()]).await;
    let url = config.upstream.to_string();
    let another =
        services::gateway(&["--admin-key-file", file.path().to_str().unwrap(), "--config-url", &url]).await;
    let as_admin = [("x-api-key", admin.as_str())];
    let create = async |key: Value| {
        let created = send(&gateway, ("POST", "/v1/keys"), &as_admin, &key).await;
        assert_eq!(created.status, 200, "{}", String::from_utf8_lossy(&created.body));
        let created: Value = serde_json::from_slice(&created.body).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&created["key"]["keyId"]), text(&created["secret"]))
    };
    let status = async |request: (&str, &str), key: &str, body: &Value| {
        send(&gateway, request, &[("x-api-key", key)], body).await.status
    };
    let (id, acme) = create(json!({"displayName": "ci", "scope": "WRITE", "tenant": "acme"})).await;
    let (_, bolt) = create(json!({"displayName": "bolt", "scope": "ADMIN", "tenant": "bolt"})).await;
    let (rules, entry) = ("/v1/rules", "/v1/cache/entries/user/secret");
    eventually(TIMEOUT, "the keys are known", async || {
        status(("GET", rules), &acme, &Value::Null).await == 200
            && status(("GET", rules), &bolt, &Value::Null).await == 200
            && send(&another, ("GET", rules), &[("x-api-key", &acme)], &Value::Null).await.status == 200
    })
    .await;
    assert_eq!(status(("PUT", entry), &acme, &json!({"value": "eA=="})).await, 200);
    assert_eq!(status(("GET", entry), &bolt, &Value::Null).await, 404, "of another tenant");
    assert_eq!(status(("GET", "/v1/cache:stats"), &acme, &Value::Null).await, 403);
    assert_eq!(status(("GET", "/v1/cache:stats"), &bolt, &Value::Null).await, 200);
    assert_eq!(status(("GET", "/v1/flags"), &bolt, &Value::Null).await, 403, "of all tenants");
    let revoke = format!("/v1/keys/{id}");
    assert_eq!(status(("DELETE", &revoke), &bolt, &Value::Null).await, 404, "of another tenant");
    assert_eq!(status(("DELETE", &revoke), &admin, &Value::Null).await, 200);
    let is_refused = async || status(("GET", rules), &acme, &Value::Null).await == 401;
    eventually(TIMEOUT, "the key is refused", is_refused).await;
    let is_refused =
        async || send(&another, ("GET", rules), &[("x-api-key", &acme)], &Value::Null).await.status == 401;
    eventually(TIMEOUT, "another gateway refuses it too", is_refused).await;

    // Without the config service, known keys count for a while, and others may be valid.
    config.stop().await;
    let breakers = "/api/v1/circuit-breakers/status";
    let is_undecided = async || status(("GET", breakers), &format!("{bolt}x"), &Value::Null).await == 503;
    eventually(TIMEOUT, "it is noticed that the config service is gone", is_undecided).await;
    assert_eq!(status(("GET", breakers), &bolt, &Value::Null).await, 200);
    assert_eq!(status(("GET", breakers), &admin, &Value::Null).await, 200);
}
