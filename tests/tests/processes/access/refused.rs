//! A refused call is never forwarded: each kind of refusal, over each way into the mesh, before a service that records
//! what arrives.

use dataflow_tests::http;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, framed};
use dataflow_tests::services::{self, Service};
use dataflow_tests::tokens::Issuer;
use serde_json::json;
use tokio::time::timeout;
use tonic::Code;

use super::{TIMEOUT, address, code_and_reason};
use crate::foreign::recorder::Recorder;

/// How a call comes: over REST with a verb and a target, or over gRPC with a method.
#[derive(Debug, Clone, Copy)]
enum Way {
    Rest(&'static str, &'static str),
    Grpc(&'static str),
}

/// The method that each of them calls: unary, with a stream of requests, and with a stream of responses.
const WAYS: [(Way, &str); 10] = [
    (Way::Rest("GET", "/v1/rulesets"), "config.v1.RuleService/ListRulesets"),
    (Way::Rest("POST", "/v1/rules"), "config.v1.RuleService/CreateRule"),
    (Way::Rest("POST", "/v1/catalogues:analyze"), "analysis.v1.AnalysisService/AnalyzeCatalogue"),
    (Way::Rest("GET", "/v1/audit:export"), "config.v1.AuditService/ExportAuditRecords"),
    (Way::Rest("GET", "/api/analysis/rules"), "config.v1.RuleService/ListRulesets"),
    (Way::Rest("DELETE", "/api/analysis/rules/x"), "config.v1.RuleService/DeleteRule"),
    (Way::Rest("POST", "/api/analysis/dataflow"), "analysis.v1.AnalysisService/AnalyzeCatalogue"),
    (Way::Grpc("config.v1.RuleService/CreateRule"), "config.v1.RuleService/CreateRule"),
    (
        Way::Grpc("analysis.v1.AnalysisService/AnalyzeCatalogue"),
        "analysis.v1.AnalysisService/AnalyzeCatalogue",
    ),
    (Way::Grpc("config.v1.AuditService/ExportAuditRecords"), "config.v1.AuditService/ExportAuditRecords"),
];

/// What the gateway answers; over REST as a status.
async fn answer(gateway: &Service, client: &Client, way: Way, headers: &[(&str, &str)]) -> u16 {
    match way {
        Way::Rest(verb, target) => {
            let body: &[u8] = match (verb, target) {
                ("GET" | "DELETE", _) => b"",
                (_, "/v1/catalogues:analyze") => b"<Structure/>",
                (_, "/api/analysis/dataflow") => br#"{"xml_content": "<Structure/>"}"#,
                _ => br#"{"ruleId": "x", "category": "HEALTH", "keywords": ["zz"]}"#,
            };
            let kind = if target.ends_with(":analyze") { "application/xml" } else { "application/json" };
            let headers = [&[("content-type", kind)], headers].concat();
            http::request(&gateway.upstream, verb, target, &headers, body).await.unwrap().status
        }
        Way::Grpc(method) => {
            let (answer, mut body) = client.open(&format!("/dataflow.{method}"), headers).await.unwrap();
            // A call that is refused may have ended already.
            let _ = body.send_data(framed(b""), true);
            let answer = timeout(TIMEOUT, answer).await.expect("a response").unwrap();
            let code = match answer.headers().contains_key("grpc-status") {
                true => code_and_reason(answer.headers()).0,
                false => Code::Ok,
            };
            match code {
                Code::Ok => 200,
                Code::Unauthenticated => 401,
                Code::PermissionDenied => 403,
                Code::ResourceExhausted => 429,
                Code::Unavailable => 503,
                other => panic!("{method}: {other:?}"),
            }
        }
    }
}

/// These headers with a credential beside them.
fn and_bearer<'a>(headers: &[(&'a str, &'a str)], bearer: &'a str) -> Vec<(&'a str, &'a str)> {
    [headers, &[("authorization", bearer)]].concat()
}

/// Headers of a call, by name and value.
type Headers<'a> = Vec<(&'a str, &'a str)>;

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_is_never_forwarded() {
    let (mut recorder, issuer) = (Recorder::start().await, Issuer::new());
    let url = recorder.url.clone();
    let flags = ["--jwks", issuer.jwks(), "--analysis-url", &url, "--config-url", &url];
    let gateway = services::gateway(&flags).await;
    let client = Client::connect(address(&gateway), DEFAULT_WINDOW).await;
    let bearer = |claims: serde_json::Value| format!("Bearer {}", issuer.token(&claims));
    let root = bearer(json!({"sub": "root", "scope": "admin"}));
    let (powerless, expired) =
        (issuer.bearer("openid"), bearer(json!({"sub": "x", "scope": "admin", "exp": 1})));
    let foreign = format!("Bearer {}", Issuer::new().token(&json!({"sub": "x", "scope": "admin"})));
    // Its only call of an hour is used up below.
    let limited = bearer(json!({"sub": "busy", "scope": "admin", "dataflow_rate_limit": "1/h"}));
    let trusted = [
        ("dataflow-tenant", "acme"),
        ("dataflow-subject", "root"),
        ("dataflow-scopes", "admin"),
        ("Dataflow-Caller", "1"),
        ("l5d-client-id", "root"),
        ("x-forwarded-client-cert", "URI=spiffe://x/root"),
    ];
    let refusals: [(&str, u16, Headers<'_>); 9] = [
        ("no credentials", 401, Vec::new()),
        ("an invalid token", 401, vec![("authorization", &foreign)]),
        ("an expired token", 401, vec![("authorization", &expired)]),
        ("two credentials", 401, vec![("authorization", &root), ("authorization", &root)]),
        ("a key while none is known", 503, vec![("x-api-key", "dfk_unknown")]),
        ("no scope", 403, vec![("authorization", &powerless)]),
        ("trusted headers instead of credentials", 401, trusted.to_vec()),
        ("trusted headers instead of a scope", 403, and_bearer(&trusted, &powerless)),
        ("a rate limit", 429, vec![("authorization", &limited)]),
    ];
    assert_eq!(answer(&gateway, &client, WAYS[0].0, &[("authorization", &limited)]).await / 100, 2);
    recorder.next().await;
    for (way, method) in WAYS {
        for (refusal, status, headers) in &refusals {
            assert_eq!(answer(&gateway, &client, way, headers).await, *status, "{way:?}: {refusal}");
            assert!(recorder.is_quiet(), "{way:?}: {refusal} was forwarded");
        }
        // What is admitted arrives as the next call, so that none was on its way; and without what only the mesh may say.
        answer(&gateway, &client, way, &and_bearer(&trusted, &root)).await;
        let (path, headers) = recorder.next().await;
        assert_eq!(path, format!("/dataflow.{method}"), "{way:?}");
        let found = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!((found("dataflow-subject"), found("dataflow-tenant")), (Some("root"), None), "{way:?}");
        assert!(["l5d-client-id", "x-forwarded-client-cert"].map(found) == [None, None], "{headers:?}");
    }
    for internal in [
        "config.v1.AuditService/ReportRefusals",
        "config.v1.RuleService/GetOverlay",
        "config.v1.KeyService/WatchKeys",
    ] {
        let refused = answer(&gateway, &client, Way::Grpc(internal), &[("authorization", &root)]).await;
        assert_eq!(refused, 403, "{internal}");
    }
    assert!(recorder.is_quiet(), "a method of the mesh was forwarded");
}
