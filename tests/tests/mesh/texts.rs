//! What a proxy says in place of a service reaches no caller: neither its texts, which contain addresses of pods, nor
//! UNAVAILABLE for a timeout of its own.

use std::net::SocketAddr;

use dataflow_tests::envoy::{self, Envoy};
use dataflow_tests::{http, services};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::fleet::free_ports;
use super::proxy::{cluster, listener, routes};

/// The response to a categorization through the proxy of a gateway, behind which analysis is at this address.
async fn categorize(analysis: SocketAddr, routes: &[Value]) -> (u16, Value) {
    let [at, admin] = free_ports(2)[..] else { unreachable!() };
    let _proxy = Envoy::start(admin, &[listener(at, routes, &[], None)], &[cluster("analysis", &[analysis])]);
    let gateway = services::gateway(&["--analysis-url", &format!("http://{at}")]).await;
    let fields = [("content-type", "application/json")];
    let body = br#"{"dataflow": {"id": "a"}}"#;
    let answer =
        http::request(&gateway.upstream, "POST", "/v1/dataflows:categorize", &fields, body).await.unwrap();
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_service_is_reported_without_addresses() {
    if !envoy::available() {
        return;
    }
    let closed = free_ports(1)[0];
    let (status, error) = categorize(closed, &routes("analysis")).await;
    assert_eq!((status, &error["details"][0]["reason"]), (503, &json!("UPSTREAM_UNAVAILABLE")), "{error}");
    assert_eq!(error["message"], "dataflow.analysis.v1.AnalysisService is unreachable");
    assert!(!error.to_string().contains(&closed.port().to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_of_the_proxy_is_a_timeout() {
    if !envoy::available() {
        return;
    }
    // It accepts connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut routes = routes("analysis");
    for route in &mut routes {
        // 5 s in the policy.
        route["route"]["timeout"] = json!("0.2s");
        route["route"]["max_grpc_timeout"] = json!("0.2s");
    }
    let (status, error) = categorize(silent.local_addr().unwrap(), &routes).await;
    assert_eq!((status, &error["details"][0]["reason"]), (504, &json!("UPSTREAM_TIMED_OUT")), "{error}");
}
