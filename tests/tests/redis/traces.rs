//! One trace from the gateway to Redis, as a collector receives it from real processes.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use dataflow_tests::binary::Service;
use dataflow_tests::redis::{self, Server};
use dataflow_tests::{example, http, services};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

/// The checked fields of a span, with ids in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    service: String,
    name: String,
    /// Whether it is a client span.
    calls: bool,
    trace: String,
    id: String,
    parent: String,
}

/// An OTLP receiver that records spans.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_process in request.into_inner().resource_spans {
            let attributes = of_process.resource.unwrap_or_default().attributes;
            let name = attributes.into_iter().find(|attribute| attribute.key == "service.name");
            let service = match name.and_then(|name| name.value?.value) {
                Some(Value::StringValue(name)) => name,
                other => panic!("every process has a service name: {other:?}"),
            };
            let spans = of_process.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.spans.lock().unwrap().extend(spans.map(|span| Span {
                service: service.clone(),
                calls: span.kind() == SpanKind::Client,
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
            }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A collector and its URL.
async fn collector() -> (Collector, String) {
    let (collector, listener) =
        (Collector::default(), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = tonic::service::Routes::new(TraceServiceServer::new(collector.clone())).into_axum_router();
    tokio::spawn(axum::serve(listener, routes).into_future());
    (collector, url)
}

/// Calls a mesh of four processes over Redis with these headers, and returns all exported spans.
async fn spans_of(headers: &[(&str, &str)], flags: &[&str]) -> Vec<Span> {
    let (collector, otlp) = collector().await;
    let redis = Server::start();
    let store = ["--redis-url", redis.url(), "--redis-timeout", "20s"];
    let start = |role: &str, own: &[&str]| {
        Service::start(role, &[&["--otlp-endpoint", otlp.as_str()], flags, own].concat())
    };
    let config = start("config", &store);
    let cache = start("cache", &store);
    let url = |service: &Service| format!("http://{}", service.address);
    let (config_url, cache_url) = (url(&config), url(&cache));
    let analysis = start(
        "analysis",
        &[&["--config-url", &config_url, "--cache-url", &cache_url][..], &services::LONG_TIMEOUT].concat(),
    );
    let analysis_url = url(&analysis);
    let gateway = start(
        "gateway",
        &["--analysis-url", &analysis_url, "--config-url", &config_url, "--cache-url", &cache_url],
    );

    let upstream = url(&gateway).parse().unwrap();
    let example = std::fs::read(example()).unwrap();
    let rule = br#"{"ruleId": "traced", "category": "HEALTH", "keywords": ["care"]}"#;
    for (target, body) in [("/v1/catalogues:analyze", &example[..]), ("/v1/rules", rule)] {
        let kind = if body[0] == b'{' { "application/json" } else { "application/xml" };
        let headers = [headers, &[("content-type", kind)]].concat();
        let answer = http::request(&upstream, "POST", target, &headers, body).await.unwrap();
        assert_eq!(answer.status, 200, "{target}: {}", String::from_utf8_lossy(&answer.body));
    }
    // A process exports its buffered spans at exit.
    for service in [gateway, analysis, cache, config] {
        let (code, log) = tokio::task::spawn_blocking(|| service.stop()).await.unwrap();
        assert_eq!(code, 0, "{log:#?}");
    }
    let spans = collector.spans.lock().unwrap().clone();
    // Without the watches between the processes.
    spans.into_iter().filter(|span| !span.name.contains("/Watch")).collect()
}

/// The distinct services, names and kinds of spans.
fn summary<'a>(spans: impl Iterator<Item = &'a Span>) -> BTreeSet<(&'a str, &'a str, bool)> {
    spans.map(|span| (span.service.as_str(), span.name.as_str(), span.calls)).collect()
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// The spans of one analysis and one rule change in every trace: service, name, and whether it is a client span.
const EXPECTED: [(&str, &str, bool); 12] = [
    ("dataflow-gateway", "dataflow.analysis.v1.AnalysisService/AnalyzeCatalogue", false),
    ("dataflow-gateway", "dataflow.analysis.v1.AnalysisService/AnalyzeCatalogue", true),
    ("dataflow-analysis", "dataflow.analysis.v1.AnalysisService/AnalyzeCatalogue", false),
    ("dataflow-analysis", "dataflow.cache.v1.CacheService/LeaseEntry", true),
    ("dataflow-analysis", "dataflow.cache.v1.CacheService/SetEntry", true),
    ("dataflow-cache", "dataflow.cache.v1.CacheService/LeaseEntry", false),
    ("dataflow-cache", "dataflow.cache.v1.CacheService/SetEntry", false),
    ("dataflow-cache", "redis commands", true),
    ("dataflow-gateway", "dataflow.config.v1.RuleService/CreateRule", false),
    ("dataflow-gateway", "dataflow.config.v1.RuleService/CreateRule", true),
    ("dataflow-config", "dataflow.config.v1.RuleService/CreateRule", false),
    ("dataflow-config", "redis commands", true),
];

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_covers_all_services_down_to_redis() {
    if !redis::available() {
        return;
    }
    let w3c = format!("00-{TRACE}-{CALLER}-01");
    let b3 = format!("{TRACE}-{CALLER}-1");
    for header in [("traceparent", w3c.as_str()), ("b3", b3.as_str())] {
        let spans = spans_of(&[header], &[]).await;
        let ours: Vec<_> = spans.iter().filter(|span| span.trace == TRACE).collect();
        let spans_seen = summary(ours.iter().copied());
        for expected in EXPECTED {
            assert!(spans_seen.contains(&expected), "{header:?}: {expected:?} in {spans_seen:#?}");
        }
        // One tree: the parent of every span is another span or the caller's.
        let ids: BTreeSet<_> = ours.iter().map(|span| span.id.as_str()).chain([CALLER]).collect();
        let orphans: Vec<_> = ours.iter().filter(|span| !ids.contains(span.parent.as_str())).collect();
        assert!(orphans.is_empty(), "{orphans:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_sampling_decision_takes_precedence_over_the_ratio() {
    if !redis::available() {
        return;
    }
    let refused = format!("00-{TRACE}-{CALLER}-00");
    assert_eq!(spans_of(&[("traceparent", &refused)], &[]).await, []);
    assert_eq!(spans_of(&[], &["--trace-ratio", "0"]).await, []);
    let asked = format!("00-{TRACE}-{CALLER}-01");
    assert!(!spans_of(&[("traceparent", &asked)], &["--trace-ratio", "0"]).await.is_empty());
    // A call without a trace context starts a new trace.
    let begun = spans_of(&[], &[]).await;
    let of_gateway = begun.iter().filter(|span| span.service == "dataflow-gateway");
    let traces: BTreeSet<_> = of_gateway.map(|span| span.trace.as_str()).collect();
    assert_eq!(traces.len(), 2, "{begun:#?}");
}
