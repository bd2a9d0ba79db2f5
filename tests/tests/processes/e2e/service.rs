//! Services as processes, as pods run them and the kubelet probes them.

use std::io::{Read, Write};
use std::net::TcpStream;

use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_tests::binary::{self, Service};
use dataflow_tests::eventually::{TIMEOUT, eventually_blocking};
use dataflow_tests::services;
use nix::sys::signal::Signal;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Status and body of an HTTP/1.1 GET.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let status = response.split(' ').nth(1).unwrap().parse().unwrap();
    (status, response.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_make_a_mesh() {
    let (config, cache) = (Service::start("config", &[]), Service::start("cache", &[]));
    let (config_url, cache_url) = (format!("http://{}", config.address), format!("http://{}", cache.address));
    let peers = ["--config-url", &config_url, "--cache-url", &cache_url];
    let analysis = Service::start("analysis", &[&peers[..], &services::LONG_TIMEOUT].concat());

    let mut client = AnalysisServiceClient::connect(format!("http://{}", analysis.address)).await.unwrap();
    let names = [("en".to_owned(), "Hospital discharges".to_owned())].into();
    let dataflow = Some(pb::Dataflow { id: "X".to_owned(), names, ..Default::default() });
    let request = pb::CategorizeDataflowRequest { dataflow, ..Default::default() };
    let reply = client.categorize_dataflow(request).await.unwrap().into_inner();
    assert_eq!((reply.rules_revision, reply.degraded.len()), (1, 0), "the rules came from config");
    drop(client);

    for service in [analysis, cache, config] {
        let (code, log) = service.stop();
        assert_eq!(code, 0, "{log:#?}");
        binary::assert_no_warnings(&log, &[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_health_and_metrics_are_those_of_the_process() {
    let service = Service::start("analysis", &[]);
    for probe in ["/livez", "/startupz", "/readyz"] {
        assert_eq!(get(&service.admin, probe), (200, "ok\n".to_owned()), "{probe}");
    }
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", service.address)).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut health = HealthClient::new(channel.clone());
    for name in ["", "dataflow.analysis.v1.AnalysisService"] {
        let reply = health.check(HealthCheckRequest { service: name.to_owned() }).await.unwrap();
        assert_eq!(reply.into_inner().status(), ServingStatus::Serving, "{name:?}");
    }
    let unknown =
        health.check(HealthCheckRequest { service: "no.such.Service".to_owned() }).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound);

    let empty = pb::CategorizeDataflowRequest::default();
    AnalysisServiceClient::new(channel).categorize_dataflow(empty).await.unwrap_err();
    let (status, metrics) = get(&service.admin, "/metrics");
    assert_eq!(status, 200);
    let refused = "grpc_server_handled_total{role=\"analysis\",grpc_service=\"dataflow.analysis.v1.AnalysisService\",\
                   grpc_method=\"CategorizeDataflow\",grpc_code=\"InvalidArgument\"} 1";
    assert!(metrics.contains(refused), "{metrics}");
    assert!(!metrics.contains("grpc.health"), "probes are not counted");
}

#[test]
fn the_error_names_a_port_in_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = binary::run(&["cache", "--listen", &address, "--admin", "127.0.0.1:0"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains(&format!("cannot listen on {address}")), "{ended:?}");
}

#[test]
fn the_error_names_an_invalid_log_filter() {
    for command in [&["cache", "--admin", "127.0.0.1:0"][..], &["analyze", "-"]] {
        let ended = binary::run(&[command, &["--log", "info,=="]].concat());
        assert_eq!(ended.code, 2, "{command:?}: {ended:?}");
        assert!(ended.stderr.contains("'info,==' for '--log <FILTER>'"), "{ended:?}");
    }
}

#[test]
fn log_lines_are_json_or_text() {
    let check = |format: &str, expected: &str| {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let flags = ["cache", "--listen", &address, "--admin", "127.0.0.1:0", "--log-format", format];
        let ended = binary::run(&flags);
        assert!(ended.stderr.lines().next().unwrap().contains(expected), "{format}: {ended:?}");
    };
    check("json", "\"message\":\"admin port: listening\"");
    check("text", "INFO");
}

#[test]
fn healthcheck_checks_the_process_in_the_same_container() {
    let service = Service::start("cache", &["--drain-delay", "60s"]);
    let ask = |admin: &str| binary::run(&["healthcheck", "--admin", admin]);
    let ended = ask(&service.admin);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    // As in a pod's environment: the admin port listens on all addresses.
    let everywhere = service.admin.replace("127.0.0.1", "0.0.0.0");
    assert_eq!(ask(&everywhere).code, 0);

    service.signal(Signal::SIGTERM);
    eventually_blocking(TIMEOUT, "it drains", || {
        service.log().iter().any(|line| line.contains("service: draining"))
    });
    let ended = ask(&service.admin);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("/readyz: 503"), "{ended:?}");

    // The drain delay has a minute left; a second signal does not wait for it.
    let (code, log) = service.stop();
    assert_eq!(code, 143, "{log:#?}");
    assert_eq!(ask("127.0.0.1:1").code, 4);
}
