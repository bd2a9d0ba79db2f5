//! Traces of real processes: each method has a span, and a collector that does not work delays no call.

use std::collections::BTreeSet;

use ::http::{Request, StatusCode};
use axum::Router;
use dataflow_mesh::outbound::{Outbound, Upstream};
use dataflow_proto::config::v1::ListRulesRequest;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_tests::binary::Service;
use dataflow_tests::collector::{Collector, Span};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::{http, services};
use prost::Message;
use prost_types::FileDescriptorSet;
use serde_json::Value;
use tokio::net::TcpListener;
use tower::ServiceExt;

/// Exports often and does not wait long, so that the tests are short.
const FAST: [(&str, &str); 2] = [("OTEL_BSP_SCHEDULE_DELAY", "20"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "200")];

fn records(service: &Service) -> Vec<Value> {
    service.log().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// All methods of our services: `package.Service/Method`.
fn methods() -> Vec<String> {
    let set = FileDescriptorSet::decode(dataflow_proto::FILE_DESCRIPTOR_SET).unwrap();
    let of_service = |package: &str, service: &prost_types::ServiceDescriptorProto| -> Vec<String> {
        let name = |method: &prost_types::MethodDescriptorProto| {
            format!("{package}.{}/{}", service.name(), method.name())
        };
        service.method.iter().map(name).collect()
    };
    let files = set.file.iter().filter(|file| file.package().starts_with("dataflow."));
    files
        .flat_map(|file| file.service.iter().flat_map(|service| of_service(file.package(), service)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_has_a_span_when_its_call_is_sampled() {
    let (collector, url) = Collector::start().await;
    let mut variables = FAST.to_vec();
    variables.extend([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_SERVICE_NAME", "named"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,k8s.node.name=n7"),
    ]);
    let up = Service::start_with_variables("up", &[], &variables);
    let records = records(&up);
    let address_of = |role: &str| -> Upstream {
        let of_role = |record: &&Value| record["message"] == "service: listening" && record["role"] == role;
        let record = records.iter().find(of_role).unwrap_or_else(|| panic!("{role} listens"));
        format!("http://{}", record["address"].as_str().unwrap()).parse().unwrap()
    };
    let methods = methods();
    assert!(methods.len() > 30, "{methods:?}");
    for method in &methods {
        let package = method.split('.').nth(1).unwrap();
        let role = match package {
            "mesh" => "gateway",
            "catalogue" => "analysis",
            role => role,
        };
        // One empty message; what it is answered does not matter here.
        let body = tonic::body::Body::new(http_body_util::Full::new(bytes::Bytes::from_static(&[0; 5])));
        let request = Request::post(format!("/{method}")).header("content-type", "application/grpc");
        let request = request.header("te", "trailers").header("grpc-timeout", "20S").body(body).unwrap();
        let answer = Outbound::new(&address_of(role), TIMEOUT).oneshot(request).await;
        // Dropped: a watch would not end.
        assert_eq!(answer.unwrap().status(), StatusCode::OK, "{method}");
    }
    let missing = || -> Vec<String> {
        let spans = collector.spans().into_iter().filter(|span| !span.is_client);
        let seen: BTreeSet<_> = spans.map(|span| span.name).collect();
        methods.iter().filter(|method| !seen.contains(*method)).cloned().collect()
    };
    eventually(TIMEOUT, "every method has a span", async || missing().is_empty()).await;
    let span = &collector.spans()[0];
    for (key, value) in
        [("service.name", "named"), ("deployment.environment.name", "test"), ("k8s.node.name", "n7")]
    {
        assert_eq!(span.resource[key], value, "{span:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_does_not_work_delays_no_call_and_is_one_warning() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = services::closed_port();
    let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
    let urls =
        [("silent", url(&silent)), ("refusing", url(&refusing)), ("closed", closed.upstream.to_string())];
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            kept.push(stream);
        }
    });
    let too_many = Router::new().fallback(async || StatusCode::TOO_MANY_REQUESTS);
    tokio::spawn(axum::serve(refusing, too_many).into_future());
    for (what, url) in urls {
        let up = Service::start_with_variables("up", &["--otlp-endpoint", &url], &FAST);
        let [upstream, admin] = [&up.address, &up.admin].map(|at| format!("http://{at}").parse().unwrap());
        let lost = async || -> u64 {
            let metrics = http::request(&admin, "GET", "/metrics", &[], b"").await.unwrap();
            let metrics = String::from_utf8(metrics.body).unwrap();
            let lost =
                metrics.lines().find_map(|line| line.strip_prefix("trace_spans_total{outcome=\"lost\"} "));
            lost.unwrap().parse().unwrap()
        };
        // Each call is answered, whatever the collector does meanwhile, and several exports fail.
        let mut before = 0;
        for _ in 0..3 {
            let answer = http::request(&upstream, "GET", "/v1/rules", &[], b"").await.unwrap();
            assert_eq!(answer.status, 200, "{what}");
            eventually(TIMEOUT, what, async || lost().await > before).await;
            before = lost().await;
        }
        let (code, log) = tokio::task::spawn_blocking(|| up.stop()).await.unwrap();
        assert_eq!(code, 0, "{what}: {log:#?}");
        let is_impaired = |line: &&String| ["\"WARN\"", "\"ERROR\""].iter().any(|level| line.contains(level));
        let impaired: Vec<_> = log.iter().filter(is_impaired).collect();
        assert_eq!(impaired.len(), 1, "{what}: {impaired:#?}");
        assert!(impaired[0].contains("traces: collector did not take spans"), "{what}: {impaired:#?}");
    }
}

/// The trace of a caller that did not sample it.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// The spans of a call over REST and of one over gRPC, neither of them sampled at its start, through this role.
async fn spans_of_calls(role: &str, flags: &[&str]) -> Vec<Span> {
    let (collector, url) = Collector::start().await;
    let of_traces = ["--otlp-endpoint", &url, "--trace-ratio", "0"];
    let service = Service::start(role, &[&of_traces, flags].concat());
    let upstream: Upstream = format!("http://{}", service.address).parse().unwrap();
    let parent = format!("00-{TRACE}-{CALLER}-00");
    http::request(&upstream, "GET", "/v1/rules", &[("traceparent", &parent)], b"").await.unwrap();
    // What it is answered is seen in the spans.
    let _ = RuleServiceClient::new(Outbound::new(&upstream, TIMEOUT))
        .list_rules(ListRulesRequest::default())
        .await;
    // A process exports its buffered spans at exit.
    let (code, log) = tokio::task::spawn_blocking(|| service.stop()).await.unwrap();
    assert_eq!(code, 0, "{log:#?}");
    collector.spans()
}

/// Checks that both calls have the spans of the gateway, and that the first ones of them say this reason.
#[track_caller]
fn have_the_spans_of_the_gateway(spans: &[Span], reason: &str) {
    const METHOD: &str = "dataflow.config.v1.RuleService/ListRules";
    let mut seen: Vec<_> = spans.iter().map(|span| (span.name.as_str(), span.is_client)).collect();
    seen.sort_unstable();
    let expected = [("GET /v1/rules", false), (METHOD, false), (METHOD, true), (METHOD, true)];
    assert_eq!(seen, expected, "{spans:#?}");
    for span in spans {
        let found = span.attributes.get("sampling.reason").map(String::as_str);
        assert_eq!(found, (!span.is_client).then_some(reason), "{span:#?}");
        let parents = spans.iter().filter(|other| other.id == span.parent && other.trace == span.trace);
        assert_eq!(parents.count(), usize::from(span.is_client), "{spans:#?}");
    }
    let of_caller = spans.iter().find(|span| span.name == "GET /v1/rules").unwrap();
    assert_eq!((of_caller.trace.as_str(), of_caller.parent.as_str()), (TRACE, CALLER));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_and_slow_calls_have_traces_that_say_why_up_to_a_rate() {
    // Every call takes at least no time.
    let slow = spans_of_calls("up", &["--slow-request", "0s"]).await;
    have_the_spans_of_the_gateway(&slow, "slow");
    let closed = services::closed_port();
    let closed = closed.upstream.to_string();
    let urls = ["--analysis-url", &closed, "--cache-url", &closed, "--config-url", &closed];
    let failed = spans_of_calls("gateway", &urls).await;
    have_the_spans_of_the_gateway(&failed, "error");
    assert!(failed.iter().all(|span| span.has_failed), "{failed:#?}");
    for none in [&["--slow-request", "1h"][..], &["--slow-request", "0s", "--trace-tail-rate", "0"]] {
        assert_eq!(spans_of_calls("up", none).await, [], "{none:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_of_the_key_set_is_a_trace_of_its_own() {
    let (collector, url) = Collector::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = listener.local_addr().unwrap();
    let router = Router::new().fallback(async || StatusCode::BAD_GATEWAY);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let variables = [&FAST[..], &[("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())]].concat();
    let jwks = format!("http://{issuer}/keys?secret=hidden");
    let up = Service::start_with_variables("up", &["--jwks", &jwks], &variables);
    let fetch = || collector.spans().into_iter().find(|span| span.is_client && span.name == "GET");
    eventually(TIMEOUT, "the fetch has a span", async || fetch().is_some()).await;
    let span = fetch().unwrap();
    assert!(span.has_failed && span.parent.is_empty(), "{span:?}");
    let port = issuer.port().to_string();
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "502"),
        ("server.address", "127.0.0.1"),
        ("server.port", &port),
        ("url.full", &format!("http://{issuer}/keys")),
        ("error.type", "status"),
    ] {
        assert_eq!(span.attributes.get(key).map(String::as_str), Some(value), "{key}: {span:?}");
    }
    let admin = format!("http://{}", up.admin).parse().unwrap();
    let scraped = http::request(&admin, "GET", "/metrics", &[], b"").await.unwrap();
    let text = String::from_utf8(scraped.body).unwrap();
    assert!(text.contains("gateway_key_set_fetches_total{outcome=\"fetched\"} 0\n"), "{text}");
    assert!(!text.contains("gateway_key_set_fetches_total{outcome=\"status\"} 0\n"), "{text}");
}
