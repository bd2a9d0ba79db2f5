//! Callers that watch: health, and rule sets. They take neither the streams of an upstream nor the places of the mesh.

use dataflow_proto::analysis::v1 as analysis;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_tests::binary::Service;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::http;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW};
use dataflow_tests::services::LONG_TIMEOUT;
use futures_util::future::join_all;
use prost::Message;
use tokio::time::timeout;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::WATCH_RULESETS;

const WATCH_HEALTH: &str = "/grpc.health.v1.Health/Watch";

#[tokio::test(flavor = "multi_thread")]
async fn health_watches_of_an_upstream_share_one_stream() {
    // It takes five streams at most.
    let analysis = Service::start("analysis", &["--max-concurrent-requests", "4"]);
    let analysis_url = format!("http://{}", analysis.address);
    let gateway = Service::start("gateway", &["--analysis-url", &analysis_url]);
    let service = "dataflow.analysis.v1.AnalysisService".to_owned();
    let request = HealthCheckRequest { service }.encode_to_vec();
    let mut connections = Vec::new();
    for _ in 0..3 {
        let client = Client::connect(gateway.address.parse().unwrap(), DEFAULT_WINDOW).await;
        let watches = join_all((0..250).map(|_| client.send(WATCH_HEALTH, &request, &[])));
        connections.push(timeout(TIMEOUT, watches).await.expect("the watches begin"));
    }
    for watch in connections.iter_mut().flatten() {
        let frame = watch.as_mut().unwrap().body_mut().data();
        let frame = timeout(TIMEOUT, frame).await.expect("the status arrives").unwrap().unwrap();
        assert_eq!(HealthCheckResponse::decode(&frame[5..]).unwrap().status, 1, "SERVING");
    }
    let upstream = format!("http://{}", gateway.address).parse().unwrap();
    let body = br#"{"dataflow": {"id": "a"}}"#;
    let json = [("content-type", "application/json")];
    let called = http::request(&upstream, "POST", "/v1/dataflows:categorize", &json, body).await.unwrap();
    assert_eq!(called.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_from_outside_do_not_displace_those_of_the_mesh() {
    let limits = ["--max-concurrent-requests", "32"];
    let config = Service::start("config", &limits);
    let config_url = format!("http://{}", config.address);
    let gateway = Service::start("gateway", &[&limits[..], &["--config-url", &config_url]].concat());
    let mut watches = Vec::new();
    for _ in 0..8 {
        let client = Client::connect(gateway.address.parse().unwrap(), DEFAULT_WINDOW).await;
        let opened = join_all((0..20).map(|_| client.send(WATCH_RULESETS, b"", &[])));
        watches.extend(timeout(TIMEOUT, opened).await.expect("the streams begin or are rejected"));
    }
    let is_rejected = |watch: &&Result<::http::Response<h2::RecvStream>, h2::Error>| {
        watch.as_ref().unwrap().headers().get("grpc-status").is_some_and(|code| code == "8")
    };
    assert!(watches.iter().filter(is_rejected).count() > 100);

    let flags = [&["--config-url", config_url.as_str()][..], &LONG_TIMEOUT].concat();
    let analysis = Service::start("analysis", &flags);
    let mut client = AnalysisServiceClient::connect(format!("http://{}", analysis.address)).await.unwrap();
    let dataflow = analysis::Dataflow { id: "a".to_owned(), ..Default::default() };
    let request = analysis::CategorizeDataflowRequest { dataflow: Some(dataflow), ..Default::default() };
    let response = client.categorize_dataflow(request).await.unwrap().into_inner();
    assert_eq!(response.degraded, Vec::<i32>::new(), "it has the rules of config");
}
