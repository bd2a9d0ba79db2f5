//! Pass-through: the client receives the same frames that the upstream sent.

use dataflow_tests::http2::{Client, DEFAULT_WINDOW, GET, code_and_reason, trailers_only};
use std::net::SocketAddr;

use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_proto::config::v1::{ListRulesetsRequest, WatchRulesetsRequest};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::services::{self, Service};
use tonic::Code;
use tonic_types::StatusExt;

use super::stub::{LONG, Stub};

/// A gateway in front of a stub, and a client of it.
async fn through(stub: &Stub, flags: &[&str]) -> (Service, Client) {
    let url = format!("http://{}", stub.address);
    let gateway = services::gateway(&[&["--cache-url", &url], flags].concat()).await;
    let address = gateway.upstream.to_string();
    let address: SocketAddr = address.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    (gateway, Client::connect(address, DEFAULT_WINDOW).await)
}

#[tokio::test]
async fn a_failed_call_is_trailers_only_whichever_layer_rejected_it() {
    let stub = Stub::start(&[]).await;
    let (_gateway, caller) = through(&stub, &["--analysis-url", "http://127.0.0.1:1"]).await;
    let check = |answer: &_, code: Code, reason: &str| {
        assert_eq!(trailers_only(answer), (code, reason.to_owned()));
    };
    check(&caller.get("fail", &[]).await, Code::InvalidArgument, "GRPC_TIMEOUT_MALFORMED");
    check(&caller.get("wait", &[("grpc-timeout", "50m")]).await, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    let unknown = caller.send("/dataflow.cache.v1.CacheService/Purge", b"", &[]).await.unwrap();
    check(&unknown, Code::Unimplemented, "METHOD_UNKNOWN");
    let unknown = caller.send("/dataflow.secret.v1.SecretService/Get", b"", &[]).await.unwrap();
    check(&unknown, Code::Unimplemented, "METHOD_UNKNOWN");
    let dead = "/dataflow.analysis.v1.AnalysisService/CategorizeDataflow";
    check(&caller.send(dead, b"", &[]).await.unwrap(), Code::Unavailable, "UPSTREAM_UNAVAILABLE");
    // The upstream rejects a malformed message: the gateway does not decode it.
    check(&caller.send(GET, b"\xff\xff", &[]).await.unwrap(), Code::InvalidArgument, "MESSAGE_MALFORMED");
}

#[tokio::test]
async fn a_long_response_arrives_complete_with_its_status() {
    let stub = Stub::start(&[]).await;
    let (_gateway, caller) = through(&stub, &[]).await;
    let mut body = caller.get("long", &[]).await.into_body();
    let mut length = 0;
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        length += data.len();
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    assert!(length > LONG);
    assert_eq!(code_and_reason(&body.trailers().await.unwrap().unwrap()).0, Code::Ok);
}

#[tokio::test]
async fn a_watch_ends_when_the_gateway_stops_although_its_upstream_runs() {
    let config = services::config([]).await;
    let gateway = services::gateway(&["--config-url", &config.upstream.to_string()]).await;
    let mut client = RuleServiceClient::new(gateway.channel());
    let mut watch = client.watch_rulesets(WatchRulesetsRequest::default()).await.unwrap().into_inner();
    while !watch.message().await.unwrap().unwrap().complete {}
    let ((), end) = tokio::join!(gateway.stop(), watch.message());
    let reason = end.unwrap_err().get_error_details().error_info().map(|info| info.reason.clone());
    assert_eq!(reason.as_deref(), Some("DRAINING"));
    assert!(config.readiness.ready());
}

#[tokio::test]
async fn watches_have_a_separate_limiter() {
    let config = services::config([]).await;
    let flags = ["--config-url", &config.upstream.to_string(), "--max-concurrent-requests", "3"];
    let gateway = services::gateway(&flags).await;
    let watch = async || {
        RuleServiceClient::new(gateway.channel()).watch_rulesets(WatchRulesetsRequest::default()).await
    };
    let mut watches = Vec::new();
    for _ in 0..3 {
        watches.push(watch().await.unwrap());
    }
    assert_eq!(watch().await.unwrap_err().code(), Code::ResourceExhausted);
    RuleServiceClient::new(gateway.channel()).list_rulesets(ListRulesetsRequest {}).await.unwrap();
}

#[tokio::test]
async fn a_response_to_head_has_no_body_over_http_2() {
    let gateway = services::gateway(&[]).await;
    let address = gateway.upstream.to_string();
    let address = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut requests = requests.ready().await.unwrap();
    let request = http::Request::head(format!("http://{address}/live")).body(()).unwrap();
    let answer = requests.send_request(request, true).unwrap().0.await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["content-length"] != "0", "the length of the response to GET");
    assert!(answer.body().is_end_stream());
}

#[tokio::test]
async fn a_call_in_flight_finishes_during_the_gateways_stop() {
    let stub = Stub::start(&[]).await;
    let (gateway, caller) = through(&stub, &[]).await;
    let readiness = gateway.readiness.clone();
    let (answer, ()) = tokio::join!(caller.get("wait", &[]), async {
        let stopping = tokio::spawn(gateway.stop());
        eventually(TIMEOUT, "it drains", async || !readiness.ready()).await;
        stub.go_on.notify_one();
        stopping.await.unwrap();
    });
    let mut body = answer.into_body();
    while body.data().await.is_some() {}
    assert_eq!(code_and_reason(&body.trailers().await.unwrap().unwrap()).0, Code::Ok);
}
