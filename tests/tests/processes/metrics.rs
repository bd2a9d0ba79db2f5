//! What the metrics of a gateway say of the calls that it refuses.

use std::net::SocketAddr;

use dataflow_mesh::metrics::Metrics;
use dataflow_tests::http::{self, head};
use dataflow_tests::http2::{Client, DEFAULT_WINDOW};
use dataflow_tests::services::{self, Service};
use dataflow_tests::tokens::Issuer;

const LIST_RULES: &str = "/dataflow.config.v1.RuleService/ListRules";

fn address(service: &Service) -> SocketAddr {
    let upstream = service.upstream.to_string();
    upstream.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
}

/// The refused calls of the gateway, by reason.
fn refused(metrics: &Metrics) -> Vec<(String, u64)> {
    let text = metrics.encode();
    let samples = text.lines().filter_map(|line| {
        let sample = line.strip_prefix("rpc_refusals_total{role=\"gateway\",reason=\"")?;
        let (reason, count) = sample.split_once("\"} ")?;
        Some((reason.to_owned(), count.parse().unwrap()))
    });
    let mut samples: Vec<_> = samples.collect();
    samples.sort();
    samples
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_calls_count_once_by_their_reason_over_every_protocol() {
    let issuer = Issuer::new();
    let flags = [
        "--jwks",
        issuer.jwks(),
        "--rate-limit",
        "5/h",
        "--rate-burst",
        "5",
        "--max-target-bytes",
        "100",
        "--max-body-bytes",
        "9",
    ];
    let (gateway, _services) = services::mesh(&flags).await;
    let expected = |counts: [u64; 6]| {
        let reasons = ["authentication", "draining", "memory", "overload", "rate", "size"];
        reasons.map(str::to_owned).into_iter().zip(counts).collect::<Vec<_>>()
    };
    assert_eq!(refused(&gateway.metrics), expected([0; 6]), "present from the start");
    let client = Client::connect(address(&gateway), DEFAULT_WINDOW).await;
    let bearer = issuer.bearer("admin");
    let authorization = ("authorization", bearer.as_str());
    let send = async |method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]| {
        http::request(&gateway.upstream, method, target, headers, body).await.unwrap().status
    };

    assert_eq!(send("GET", "/v1/rules", &[], b"").await, 401);
    drop(client.send(LIST_RULES, b"", &[]).await);
    assert_eq!(refused(&gateway.metrics), expected([2, 0, 0, 0, 0, 0]));

    let json = ("content-type", "application/json");
    let long = format!("/v1/rules?{}", "x".repeat(100));
    assert_eq!(send("GET", &long, &[], b"").await, 413);
    let categorize = "/v1/dataflows:categorize";
    assert_eq!(send("POST", categorize, &[authorization, json], &[b' '; 10]).await, 413);
    // Without a length, it is refused while it arrives.
    let chunked = [authorization, json, ("transfer-encoding", "chunked")];
    let chunked = format!("{}a\r\n{}\r\n0\r\n\r\n", head("POST", categorize, &chunked, None), " ".repeat(10));
    assert_eq!(http::send(&gateway.upstream, chunked.as_bytes()).await.unwrap().status, 413);
    assert_eq!(refused(&gateway.metrics), expected([2, 0, 0, 0, 0, 3]));

    // Served calls and mistakes of the caller are no refusals.
    assert_eq!(send("GET", "/v1/rules", &[authorization], b"").await, 200);
    assert_eq!(send("GET", "/v1/rules/none", &[authorization], b"").await, 404);
    assert_eq!(send("GET", "/nowhere", &[], b"").await, 404);
    assert_eq!(refused(&gateway.metrics), expected([2, 0, 0, 0, 0, 3]));

    // Two documents and two reads were four of five.
    assert_eq!(send("GET", "/v1/rules", &[authorization], b"").await, 200);
    assert_eq!(send("GET", "/v1/rules", &[authorization], b"").await, 429);
    drop(client.send(LIST_RULES, b"", &[authorization]).await);
    assert_eq!(refused(&gateway.metrics), expected([2, 0, 0, 0, 2, 3]));
}
