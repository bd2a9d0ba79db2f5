//! Panics in a real process: an answer for the caller, one record in the log, a count, and no harm to others.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use dataflow_mesh::outbound::{Outbound, Upstream};
use dataflow_proto::cache::v1 as pb;
use dataflow_proto::cache::v1::cache_service_client::CacheServiceClient;
use dataflow_proto::config::v1 as config;
use dataflow_proto::config::v1::audit_service_client::AuditServiceClient;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::{binary, http};
use serde_json::Value;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

/// The process `panicking-mesh`.
struct Mesh {
    child: Child,
    /// By role; `admin` is the admin port.
    addresses: BTreeMap<String, Upstream>,
    log: Arc<Mutex<Vec<String>>>,
    reading: Option<JoinHandle<()>>,
}

// === impl Mesh ===

impl Mesh {
    /// Starts it and waits until it serves.
    async fn start(flags: &[&str]) -> Self {
        let mut this = Self::spawn(flags);
        eventually(TIMEOUT, "both services serve", async || this.records("service: serving").len() == 2)
            .await;
        for record in this.records("listening") {
            let address: SocketAddr = record["address"].as_str().unwrap().parse().unwrap();
            let role = record["role"].as_str().unwrap_or("admin").to_owned();
            this.addresses.insert(role, format!("http://{address}").parse().unwrap());
        }
        this
    }

    fn spawn(flags: &[&str]) -> Self {
        let ports = ["--admin", "127.0.0.1:0", "--log-format", "json"];
        let mut child = Command::new(env!("CARGO_BIN_EXE_panicking-mesh"))
            .args(ports)
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&log);
        let reading = std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line));
        });
        Self { child, addresses: BTreeMap::new(), log, reading: Some(reading) }
    }

    fn at(&self, role: &str) -> &Upstream {
        &self.addresses[role]
    }

    /// The records of the log with this text in their message. Every line is one.
    fn records(&self, text: &str) -> Vec<Value> {
        let log = self.log.lock().unwrap();
        let records = log.iter().map(|line| {
            serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("not a record: {line}"))
        });
        records.filter(|record| record["message"].as_str().is_some_and(|it| it.contains(text))).collect()
    }

    /// The records with this text, once there are so many; there may be no more.
    async fn expect_records(&self, text: &str, count: usize) -> Vec<Value> {
        let waiting = format!("{count} records {text:?}");
        eventually(TIMEOUT, &waiting, async || self.records(text).len() >= count).await;
        let records = self.records(text);
        assert_eq!(records.len(), count, "{records:#?}");
        records
    }

    /// A sample of `/metrics`.
    async fn metric(&self, name: &str) -> Option<u64> {
        let metrics = http::request(self.at("admin"), "GET", "/metrics", &[], b"").await.unwrap();
        let metrics = String::from_utf8(metrics.body).unwrap();
        metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    async fn readyz(&self) -> u16 {
        http::request(self.at("admin"), "GET", "/readyz", &[], b"").await.unwrap().status
    }

    /// GetEntry over gRPC, at `role`, on one connection.
    fn client(&self, role: &str) -> CacheServiceClient<Outbound> {
        CacheServiceClient::new(Outbound::new(self.at(role), TIMEOUT))
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn get(client: &mut CacheServiceClient<Outbound>, key: &str, request_id: &str) -> Result<(), Status> {
    let mut request = Request::new(pb::GetEntryRequest { key: key.to_owned() });
    request.metadata_mut().insert("x-request-id", request_id.parse().unwrap());
    client.get_entry(request).await.map(drop)
}

#[track_caller]
fn assert_panic(status: &Status) {
    let reason = status.get_error_details().error_info().map(|info| info.reason.clone());
    assert_eq!((status.code(), reason.as_deref()), (Code::Internal, Some("PANIC")), "{status:?}");
    assert_eq!(status.message(), "internal failure", "no detail of it reaches the caller");
}

#[tokio::test]
async fn a_call_that_panics_is_answered_logged_once_and_counted_and_others_go_on() {
    let mesh = Mesh::start(&[]).await;
    assert_eq!(mesh.metric("panics_total").await, Some(0), "from the beginning");
    let mut panics = 0;
    for role in ["cache", "gateway"] {
        let mut client = mesh.client(role);
        for key in ["call", "blocking"] {
            let request_id = format!("grpc-{role}-{key}");
            assert_panic(&get(&mut client, key, &request_id).await.unwrap_err());
            panics += 1;
            // The same connection, at once.
            get(&mut client, "fine", "fine").await.unwrap();
            let records = mesh.expect_records("panicked", panics).await;
            let record = records.last().unwrap();
            assert_eq!(record["level"], "ERROR");
            assert_eq!(record["request_id"], request_id.as_str(), "{record}");
            assert_eq!(record["method"], "dataflow.cache.v1.CacheService/GetEntry");
            assert!(record["location"].as_str().unwrap().contains("panicking-mesh.rs:"), "{record}");
            assert!(record["panic"].as_str().unwrap().starts_with("a call panics"), "{record}");
        }
    }
    let headers = [("x-request-id", "rest-call")];
    let answer =
        http::request(mesh.at("gateway"), "GET", "/v1/cache/entries/call", &headers, b"").await.unwrap();
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &problem["code"]), (500, &13.into()), "{problem}");
    assert_eq!(problem["details"][0]["reason"], "PANIC", "{problem}");
    let records = mesh.expect_records("panicked", panics + 1).await;
    assert_eq!(records[panics]["request_id"], "rest-call");
    assert_eq!(mesh.metric("panics_total").await, Some(panics as u64 + 1));
    let code = "grpc_server_handled_total{role=\"cache\",grpc_service=\"dataflow.cache.v1.CacheService\",\
                grpc_method=\"GetEntry\",grpc_code=\"Internal\"}";
    assert_eq!(mesh.metric(code).await, Some(panics as u64 + 1));
    assert_eq!(mesh.readyz().await, 200);
}

#[tokio::test]
async fn a_stream_that_panics_ends_with_the_status_after_what_it_sent() {
    let mesh = Mesh::start(&[]).await;
    for role in ["cache", "gateway"] {
        let mut client = AuditServiceClient::new(Outbound::new(mesh.at(role), TIMEOUT));
        let records = client.export_audit_records(config::ExportAuditRecordsRequest::default()).await;
        let mut records = records.unwrap().into_inner();
        assert!(records.message().await.unwrap().is_some());
        assert_panic(&records.message().await.unwrap_err());
    }
    let answer = http::request(mesh.at("gateway"), "GET", "/v1/audit:export", &[], b"").await.unwrap();
    let lines: Vec<Value> = answer
        .body
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    assert_eq!((answer.status, lines.len()), (200, 2), "{lines:#?}");
    assert_eq!(lines[1]["error"]["details"][0]["reason"], "PANIC", "{lines:#?}");
    let records = mesh.expect_records("panicked", 3).await;
    assert!(records.iter().all(|record| record["request_id"].is_string()), "{records:#?}");
    assert_eq!(mesh.metric("panics_total").await, Some(3));
}

#[tokio::test]
async fn a_restarting_task_restarts_and_a_bare_thread_is_logged() {
    let mesh = Mesh::start(&[]).await;
    let mut client = mesh.client("cache");
    for restarts in 1..=2 {
        get(&mut client, "restarting", "").await.unwrap();
        let restarted =
            async || mesh.metric("task_restarts_total{task=\"restarting\"}").await == Some(restarts);
        eventually(TIMEOUT, "the task restarts", restarted).await;
    }
    let records = mesh.expect_records("task: panicked", 2).await;
    assert_eq!(records[0]["task"], "restarting", "{records:#?}");
    assert!(records[0]["location"].as_str().unwrap().contains("panicking-mesh.rs:"));

    get(&mut client, "thread", "").await.unwrap();
    let records = mesh.expect_records("thread: panicked", 1).await;
    assert_eq!(records[0]["panic"], "a thread panics", "{records:#?}");

    get(&mut client, "abandoned", "").await.unwrap();
    let records = mesh.expect_records("thread: panicked", 2).await;
    assert_eq!(records[1]["panic"], "work without a caller panics", "{records:#?}");
    assert_eq!(mesh.metric("panics_total").await, Some(4));
    assert_eq!(mesh.readyz().await, 200);
}

// Of several threads, so that its connections close while it waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_an_essential_task_is_unready_drains_and_fails() {
    let mut mesh = Mesh::start(&["--drain-delay", "10s"]).await;
    let mut client = mesh.client("cache");
    get(&mut client, "essential", "").await.unwrap();
    eventually(TIMEOUT, "it is unready", async || mesh.readyz().await == 503).await;
    // It drains as on any stop: calls are served meanwhile.
    get(&mut client, "fine", "").await.unwrap();
    let status = binary::wait(&mut mesh.child);
    assert_eq!(binary::code(status), 7, "the status of a failed task");
    mesh.reading.take().unwrap().join().unwrap();
    let records = mesh.records("task: essential task ended");
    assert_eq!((records.len(), &records[0]["task"]), (1, &"essential".into()), "{records:#?}");
    assert!(records[0]["how"].as_str().unwrap().contains("an essential task panics"), "{records:#?}");
}

#[tokio::test]
async fn a_process_that_panics_while_it_starts_fails_with_a_record() {
    let mut mesh = Mesh::spawn(&["--panic-at-start"]);
    let status = binary::wait(&mut mesh.child);
    assert_eq!(binary::code(status), 7, "the status of a failed task");
    mesh.reading.take().unwrap().join().unwrap();
    let records = mesh.records("panicked");
    assert_eq!(records.len(), 1, "{records:#?}");
    assert!(records[0]["panic"].as_str().unwrap().contains("the start panics"), "{records:#?}");
}
