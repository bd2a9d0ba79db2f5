//! What a process writes to its log, and that it goes on where that cannot be written.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Stdio};

use dataflow_mesh::outbound::{Outbound, Upstream};
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_tests::binary::{self, Service};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::http;
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::NamedTempFile;

/// The record of the gateway about a request, once it has one; there may be no second one.
async fn access_record(up: &Service, request_id: &str) -> Value {
    let found = || -> Vec<Value> {
        let records = up.log().into_iter().map(|line| serde_json::from_str::<Value>(&line).unwrap());
        let is_found = |record: &Value| {
            record["message"] == "call: ended"
                && record["role"] == "gateway"
                && record["request_id"] == request_id
        };
        records.filter(is_found).collect()
    };
    eventually(TIMEOUT, request_id, async || !found().is_empty()).await;
    let mut found = found();
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

/// Lists rules over gRPC with this request id.
async fn list(upstream: &Upstream, request_id: &str, key: Option<&str>) {
    let mut request = tonic::Request::new(pb::ListRulesRequest::default());
    request.metadata_mut().insert("x-request-id", request_id.parse().unwrap());
    if let Some(key) = key {
        request.metadata_mut().insert("x-api-key", key.parse().unwrap());
    }
    let called = RuleServiceClient::new(Outbound::new(upstream, TIMEOUT)).list_rules(request).await;
    assert_eq!(called.is_ok(), key.is_some(), "{called:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_has_one_record_over_rest_and_grpc() {
    const KEY: &str = "dfk_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KEY).unwrap();
    let flags = ["--access-log", "all", "--admin-key-file", file.path().to_str().unwrap()];
    let names = ["--pod", "up-0", "--namespace", "test", "--node", "n1"];
    let up = Service::start("up", &[&flags[..], &names].concat());
    let upstream: Upstream = format!("http://{}", up.address).parse().unwrap();

    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [("x-request-id", "rest"), ("x-api-key", KEY), ("traceparent", trace)];
    let answer = http::request(&upstream, "GET", "/v1/rules?pageSize=1", &headers, b"").await.unwrap();
    assert_eq!(answer.status, 200);
    let record = access_record(&up, "rest").await;
    assert_eq!((&record["method"], &record["route"]), (&"GET".into(), &"/v1/rules".into()), "{record}");
    assert_eq!(record["status"], 200, "{record}");
    assert_eq!(record["bytes_out"], answer.body.len(), "{record}");
    assert_eq!(record["trace_id"], &trace[3..35], "{record}");
    assert!(record["upstream_ms"].as_f64().unwrap() <= record["took_ms"].as_f64().unwrap(), "{record}");
    assert!(record["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{record}");
    assert!(record["subject"].as_str().is_some_and(|subject| !subject.is_empty()), "{record}");
    for (key, value) in [("service", "dataflow"), ("pod", "up-0"), ("namespace", "test"), ("node", "n1")] {
        assert_eq!(record[key], value, "{record}");
    }

    list(&upstream, "grpc", Some(KEY)).await;
    let record = access_record(&up, "grpc").await;
    assert_eq!(record["method"], "dataflow.config.v1.RuleService/ListRules", "{record}");
    assert_eq!(record["code"], "OK", "{record}");
    assert_eq!(record["bytes_in"], 5, "a frame without a message: {record}");
    assert!(record["bytes_out"].as_u64() > Some(5), "{record}");
    assert!(record["upstream_ms"].is_number() && record["subject"].is_string(), "{record}");

    list(&upstream, "refused", None).await;
    assert_eq!(access_record(&up, "refused").await["code"], "Unauthenticated");
    let headers = [("x-request-id", "absent")];
    http::request(&upstream, "GET", "/v1/absent", &headers, b"").await.unwrap();
    let record = access_record(&up, "absent").await;
    assert_eq!((&record["status"], record.get("route")), (&404.into(), None), "{record}");
}

/// `up` with this standard error, its address and its admin port.
fn up(flags: &[&str], stderr: Stdio) -> (Child, Upstream, Upstream) {
    let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let ports = ["up", "--listen", "127.0.0.1:0", "--admin", &admin, "--log", "debug"];
    let mut child = binary::command(&[&ports[..], flags].concat()).stderr(stderr).spawn().unwrap();
    // Its reader is gone before the first record.
    drop(child.stderr.take());
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut ready = String::new();
    stdout.read_line(&mut ready).unwrap();
    let address = ready.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("{ready:?}"));
    (child, address.parse().unwrap(), format!("http://{admin}").parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_goes_on_without_its_log() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for (what, stderr) in [("a full disk", full as fn() -> Stdio), ("a closed pipe", Stdio::piped)] {
        for format in ["json", "text"] {
            let (mut child, upstream, admin) = up(&["--log-format", format], stderr());
            for _ in 0..3 {
                let answer = http::request(&upstream, "GET", "/v1/rules", &[], b"").await.unwrap();
                assert_eq!(answer.status, 200, "{what}, {format}");
            }
            let metrics = http::request(&admin, "GET", "/metrics", &[], b"").await.unwrap();
            let metrics = String::from_utf8(metrics.body).unwrap();
            let lost = metrics.lines().find_map(|line| line.strip_prefix("log_records_lost_total "));
            assert!(lost.unwrap().parse::<u64>().unwrap() > 3, "{what}, {format}: {lost:?}");
            assert!(metrics.contains("\npanics_total 0\n"), "{what}, {format}");
            binary::signal(&child, Signal::SIGTERM);
            let status = tokio::task::spawn_blocking(move || binary::wait(&mut child)).await.unwrap();
            assert_eq!(binary::code(status), 0, "{what}, {format}");
        }
    }
}
