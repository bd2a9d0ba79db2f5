//! One trace from the gateway to Redis, as a collector receives it from real processes.

use std::collections::{BTreeMap, BTreeSet};

use dataflow_mesh::outbound::Upstream;
use dataflow_tests::binary::Service;
use dataflow_tests::collector::{Collector, Span};
use dataflow_tests::redis::{self, Server};
use dataflow_tests::{example, http, services};
use futures_util::{StreamExt, stream};

/// A mesh of four processes over Redis, whose spans a collector receives.
struct Mesh {
    collector: Collector,
    /// The gateway first.
    services: [Service; 4],
    _redis: Server,
}

/// Exports often, so that the queue of spans has room.
const FAST: [(&str, &str); 1] = [("OTEL_BSP_SCHEDULE_DELAY", "20")];

/// Starts a mesh with these flags of every process.
async fn mesh(flags: &[&str]) -> Mesh {
    let (collector, otlp) = Collector::start().await;
    let redis = Server::start();
    let store = ["--redis-url", redis.url(), "--redis-timeout", "20s"];
    let start = |role: &str, own: &[&str]| {
        let flags = [&["--otlp-endpoint", otlp.as_str()], flags, own].concat();
        Service::start_with_variables(role, &flags, &FAST)
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
    Mesh { collector, services: [gateway, analysis, cache, config], _redis: redis }
}

// === impl Mesh ===

impl Mesh {
    fn gateway(&self) -> Upstream {
        format!("http://{}", self.services[0].address).parse().unwrap()
    }

    /// Stops all processes, each of which exports its buffered spans at exit; returns those of calls, without the
    /// watches between the processes.
    async fn spans(self) -> Vec<Span> {
        for service in self.services {
            let (code, log) = tokio::task::spawn_blocking(|| service.stop()).await.unwrap();
            assert_eq!(code, 0, "{log:#?}");
        }
        self.collector.spans().into_iter().filter(|span| !span.name.contains("/Watch")).collect()
    }
}

/// Calls a mesh with these headers, and returns all exported spans.
async fn spans_of(headers: &[(&str, &str)], flags: &[&str]) -> Vec<Span> {
    let mesh = mesh(flags).await;
    let upstream = mesh.gateway();
    let example = std::fs::read(example()).unwrap();
    let rule = br#"{"ruleId": "traced", "category": "HEALTH", "keywords": ["care"]}"#;
    for (target, body) in [("/v1/catalogues:analyze", &example[..]), ("/v1/rules", rule)] {
        let kind = if body[0] == b'{' { "application/json" } else { "application/xml" };
        let headers = [headers, &[("content-type", kind)]].concat();
        let answer = http::request(&upstream, "POST", target, &headers, body).await.unwrap();
        assert_eq!(answer.status, 200, "{target}: {}", String::from_utf8_lossy(&answer.body));
    }
    mesh.spans().await
}

/// The distinct services, names and kinds of spans.
fn summary<'a>(spans: impl Iterator<Item = &'a Span>) -> BTreeSet<(&'a str, &'a str, bool)> {
    spans.map(|span| (span.resource["service.name"].as_str(), span.name.as_str(), span.is_client)).collect()
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// The spans of one analysis and one rule change in every trace: service, name, and whether it is a client span.
const EXPECTED: [(&str, &str, bool); 15] = [
    ("dataflow-gateway", "POST /v1/catalogues:analyze", false),
    ("dataflow-gateway", "dataflow.analysis.v1.AnalysisService/AnalyzeCatalogue", true),
    ("dataflow-analysis", "dataflow.analysis.v1.AnalysisService/AnalyzeCatalogue", false),
    ("dataflow-analysis", "receive", false),
    ("dataflow-analysis", "wait for a parser", false),
    ("dataflow-analysis", "parse and categorize", false),
    ("dataflow-analysis", "dataflow.cache.v1.CacheService/LeaseEntry", true),
    ("dataflow-analysis", "dataflow.cache.v1.CacheService/SetEntry", true),
    ("dataflow-cache", "dataflow.cache.v1.CacheService/LeaseEntry", false),
    ("dataflow-cache", "dataflow.cache.v1.CacheService/SetEntry", false),
    ("dataflow-cache", "redis commands", true),
    ("dataflow-gateway", "POST /v1/rules", false),
    ("dataflow-gateway", "dataflow.config.v1.RuleService/CreateRule", true),
    ("dataflow-config", "dataflow.config.v1.RuleService/CreateRule", false),
    ("dataflow-config", "redis commands", true),
];

/// Checks the attributes that the semantic conventions of OpenTelemetry require.
#[track_caller]
fn follow_the_conventions(spans: &[&Span]) {
    let has = |span: &Span, expected: &[(&str, &str)]| {
        for (key, value) in expected {
            assert_eq!(span.attributes.get(*key).map(String::as_str), Some(*value), "{span:#?}");
        }
    };
    let find = |name: &str, is_client: bool| {
        let found = spans.iter().find(|span| span.name == name && span.is_client == is_client);
        *found.unwrap_or_else(|| panic!("{name}"))
    };
    let create = [("rpc.service", "dataflow.config.v1.RuleService"), ("rpc.method", "CreateRule")];
    let entry = find("POST /v1/rules", false);
    let of_http = [("http.request.method", "POST"), ("http.route", "/v1/rules"), ("url.path", "/v1/rules")];
    has(entry, &of_http);
    has(entry, &[("http.response.status_code", "200"), ("network.protocol.version", "1.1")]);
    has(entry, &[("client.address", "127.0.0.1"), ("rpc.grpc.status_code", "0")]);
    has(entry, &create);
    for is_client in [true, false] {
        let call = find("dataflow.config.v1.RuleService/CreateRule", is_client);
        has(call, &[("rpc.system", "grpc")]);
        has(call, &create);
        assert_eq!(call.attributes.contains_key("server.port"), is_client, "{call:#?}");
        assert!(!call.has_failed, "{call:#?}");
    }
    let redis = find("redis commands", true);
    has(redis, &[("db.system.name", "redis"), ("server.address", "127.0.0.1")]);
    assert!(redis.attributes["db.operation.name"].chars().all(|c| c.is_ascii_uppercase() || c == '_'));
    assert!(redis.attributes["server.port"].parse::<u16>().is_ok(), "{redis:#?}");
    for span in spans {
        assert!(!span.resource["service.version"].is_empty(), "{span:#?}");
    }
}

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
        follow_the_conventions(&ours);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_sampling_decision_takes_precedence_over_the_ratio() {
    if !redis::available() {
        return;
    }
    let refused = format!("00-{TRACE}-{CALLER}-00");
    // Unless it is slow, which a busy machine may be.
    let no_tail = ["--trace-tail-rate", "0"];
    assert_eq!(spans_of(&[("traceparent", &refused)], &no_tail).await, []);
    assert_eq!(spans_of(&[], &[&no_tail[..], &["--trace-ratio", "0"]].concat()).await, []);
    let asked = format!("00-{TRACE}-{CALLER}-01");
    assert!(!spans_of(&[("traceparent", &asked)], &["--trace-ratio", "0"]).await.is_empty());
    // A call without a trace context starts a new trace.
    let begun = spans_of(&[], &[]).await;
    let of_gateway = begun.iter().filter(|span| span.resource["service.name"] == "dataflow-gateway");
    let traces: BTreeSet<_> = of_gateway.map(|span| span.trace.as_str()).collect();
    assert_eq!(traces.len(), 2, "{begun:#?}");
}

/// The calls of which every trace is looked at, and how many are made at a time.
const CALLS: usize = 1000;
const AT_ONCE: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_traces_are_whole_from_the_edge_to_redis() {
    if !redis::available() {
        return;
    }
    let mesh = mesh(&[]).await;
    let (gateway, example) = (mesh.gateway(), std::fs::read_to_string(example()).unwrap());
    let call = async |number: usize| {
        // Each document is another one, so that its result is not in the cache yet.
        let document = format!("{example}<!-- {number} -->");
        let parent = format!("00-{:032x}-{CALLER}-01", number + 1);
        let headers = [("content-type", "application/xml"), ("traceparent", parent.as_str())];
        let target = "/v1/catalogues:analyze";
        let answer = http::request(&gateway, "POST", target, &headers, document.as_bytes()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    };
    stream::iter(0..CALLS).map(call).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    let spans = mesh.spans().await;

    let mut traces = BTreeMap::<&str, Vec<&Span>>::new();
    for span in &spans {
        traces.entry(span.trace.as_str()).or_default().push(span);
    }
    for number in 1..=CALLS {
        let trace = traces.get(format!("{number:032x}").as_str()).map(Vec::as_slice).unwrap_or_default();
        let seen = summary(trace.iter().copied());
        // Those of the analysis.
        for expected in &EXPECTED[..8] {
            assert!(seen.contains(expected), "{number}: {expected:?} in {seen:#?}");
        }
        let ids: BTreeSet<_> = trace.iter().map(|span| span.id.as_str()).chain([CALLER]).collect();
        assert!(trace.iter().all(|span| ids.contains(span.parent.as_str())), "{number}: {trace:#?}");
    }
}
