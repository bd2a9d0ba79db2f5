//! The handling of client headers: those that the gateway forwards, and those that it returns.

use std::sync::{Arc, Mutex};

use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_server::{AnalysisService, AnalysisServiceServer};
use dataflow_tests::services::Service;
use dataflow_tests::{http, services};
use serde_json::json;
use tokio::net::TcpListener;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

/// An analysis service that records the metadata of its calls.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<MetadataMap>>>);

#[tonic::async_trait]
impl AnalysisService for Recorder {
    async fn categorize_dataflow(
        &self,
        request: Request<pb::CategorizeDataflowRequest>,
    ) -> Result<Response<pb::CategorizeDataflowResponse>, Status> {
        self.0.lock().unwrap().push(request.metadata().clone());
        Ok(Response::new(pb::CategorizeDataflowResponse::default()))
    }

    async fn analyze_catalogue(
        &self,
        request: Request<Streaming<pb::AnalyzeCatalogueRequest>>,
    ) -> Result<Response<pb::AnalyzeCatalogueResponse>, Status> {
        self.0.lock().unwrap().push(request.metadata().clone());
        let analysis = Some(pb::Analysis::default());
        Ok(Response::new(pb::AnalyzeCatalogueResponse { analysis }))
    }

    async fn evaluate_rules(
        &self,
        request: Request<pb::EvaluateRulesRequest>,
    ) -> Result<Response<pb::EvaluateRulesResponse>, Status> {
        self.0.lock().unwrap().push(request.metadata().clone());
        Ok(Response::new(pb::EvaluateRulesResponse::default()))
    }
}

/// A recorder, and a gateway in front of it.
async fn recorded() -> (Recorder, Service) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let recorder = Recorder::default();
    let router = Routes::new(AnalysisServiceServer::new(recorder.clone())).into_axum_router();
    tokio::spawn(axum::serve(listener, router).into_future());
    (recorder, services::gateway(&["--analysis-url", &url]).await)
}

#[tokio::test]
async fn trusted_headers_are_removed_from_outside_requests() {
    let (recorder, gateway) = recorded().await;
    let sent = [
        ("dataflow-tenant", "somebody-else"),
        ("Dataflow-Subject", "root"),
        ("dataflow-scopes", "admin"),
        ("dataflow-peer", "service"),
        // Headers of a body that is transcoded.
        ("repr-digest", "sha-256=:AA==:"),
        ("l5d-client-id", "x"),
        ("x-envoy-peer-metadata", "x"),
        ("x-forwarded-client-cert", "x"),
        ("x-canary", "blue"),
        ("x-request-id", "from-the-caller"),
    ];
    let answer =
        http::request(&gateway.upstream, "POST", "/v1/dataflows:categorize", &sent, b"{}").await.unwrap();
    assert_eq!(answer.status, 200);
    let calls = recorder.0.lock().unwrap();
    let [call] = calls.as_slice() else { panic!("{} calls", calls.len()) };
    for (name, value) in sent {
        let passes = name == "x-canary" || name == "x-request-id";
        let expected = passes.then_some(value);
        let found = call.get(name.to_lowercase()).map(|found| found.to_str().unwrap());
        assert_eq!(found, expected, "{name}");
    }
}

#[tokio::test]
async fn the_digest_of_a_document_is_forwarded() {
    let (recorder, gateway) = recorded().await;
    let digest = [("repr-digest", "sha-256=:AA==:")];
    let answer =
        http::request(&gateway.upstream, "POST", "/v1/catalogues:analyze", &digest, b"<a/>").await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(recorder.0.lock().unwrap()[0].get("repr-digest").unwrap(), "sha-256=:AA==:");
}

#[tokio::test]
async fn a_request_id_that_is_too_long_or_empty_is_replaced() {
    let gateway = services::gateway(&[]).await;
    for given in ["x".repeat(129), "x".repeat(8000), String::new()] {
        let headers = [("x-request-id", given.as_str())];
        let answer = http::request(&gateway.upstream, "GET", "/health", &headers, &[]).await.unwrap();
        let id = answer.headers["x-request-id"].to_str().unwrap();
        assert!(answer.status == 200 && id != given && (1..=128).contains(&id.len()), "{given:.10}: {id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_responses_are_compressed_and_have_an_etag_of_their_own() {
    use std::io::Read;

    let (gateway, _services) = services::mesh(&[]).await;
    let target = "/v1/rules?ruleset=legacy&pageSize=500";
    let plain = http::request(&gateway.upstream, "GET", target, &[], b"").await.unwrap();
    assert_eq!(plain.headers["vary"], "Accept, Accept-Encoding");
    let gzip = [("accept-encoding", "gzip")];
    let coded = http::request(&gateway.upstream, "GET", target, &gzip, b"").await.unwrap();
    assert_eq!((coded.status, coded.headers["content-encoding"].to_str().unwrap()), (200, "gzip"));
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&coded.body[..]).read_to_end(&mut text).unwrap();
    assert_eq!(text, plain.body);

    // A single rule is a resource with an etag; in the coding it is another representation.
    let words: Vec<String> = (0..200).map(|number| format!("\"keyword{number}\"")).collect();
    let rule = format!(
        r#"{{"ruleId": "large", "category": "HEALTH", "priority": 1, "keywords": [{}]}}"#,
        words.join(",")
    );
    let json = [("content-type", "application/json")];
    let created =
        http::request(&gateway.upstream, "POST", "/v1/rules", &json, rule.as_bytes()).await.unwrap();
    assert_eq!(created.status, 200, "{}", String::from_utf8_lossy(&created.body));
    let read = http::request(&gateway.upstream, "GET", "/v1/rules/large", &gzip, b"").await.unwrap();
    let etag = read.headers["etag"].to_str().unwrap();
    assert!(etag.ends_with("-gzip\""), "{etag}");
    let conditions = [("accept-encoding", "gzip"), ("if-none-match", etag)];
    let again = http::request(&gateway.upstream, "GET", "/v1/rules/large", &conditions, b"").await.unwrap();
    assert_eq!((again.status, again.headers["etag"].to_str().unwrap()), (304, etag));
    assert_eq!(again.headers["vary"], "Accept, Accept-Encoding");
    let change = [("content-type", "application/json"), ("if-match", etag)];
    let changed =
        http::request(&gateway.upstream, "PATCH", "/v1/rules/large", &change, br#"{"priority": 2}"#);
    assert_eq!(changed.await.unwrap().status, 200, "the etag of the representation is that of the resource");
}

/// A resource above the size up to which replies are held, whose etag decides nevertheless.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_resource_has_an_etag_too() {
    let (gateway, _services) = services::mesh(&[]).await;
    let keywords: Vec<_> = (0..1000).map(|index| format!("{index:a>256}")).collect();
    let rule = json!({"ruleId": "large", "category": "HEALTH", "keywords": keywords,
        "description": "d".repeat(4096)});
    let json = ("content-type", "application/json");
    let body = rule.to_string();
    let created =
        http::request(&gateway.upstream, "POST", "/v1/rules", &[json], body.as_bytes()).await.unwrap();
    assert_eq!(created.status, 200, "{}", String::from_utf8_lossy(&created.body));
    assert!(created.body.len() > 256 * 1024, "{}", created.body.len());
    let etag = created.headers["etag"].to_str().unwrap().to_owned();
    let get = async |etag: &str| {
        let headers = [("if-none-match", etag)];
        http::request(&gateway.upstream, "GET", "/v1/rules/large", &headers, b"").await.unwrap()
    };
    let unchanged = get(&etag).await;
    assert_eq!((unchanged.status, unchanged.headers["etag"].to_str().unwrap()), (304, etag.as_str()));
    assert_eq!(get("\"other\"").await.status, 200);
}
