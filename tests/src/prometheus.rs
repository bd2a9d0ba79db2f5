//! A real Prometheus that scrapes one process, with the rules of `k8s/observability`.

use std::fs;
use std::process::{Child, Command, Stdio};

use dataflow_mesh::outbound::Upstream;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::eventually::{TIMEOUT, eventually_blocking};
use crate::manifests::{documents, each};
use crate::{http, in_repository, tools};

/// The executable.
const PROGRAM: &str = "prometheus";

/// Where it says in its log on which port it listens.
const LISTENING: &str = "msg=\"Listening on\" address=";

/// A running server. It is killed when dropped.
#[derive(Debug)]
pub struct Prometheus {
    upstream: Upstream,
    // Fields are dropped in this order: the process before its directory.
    _process: Process,
    _directory: TempDir,
}

/// A child process that is killed when dropped.
#[derive(Debug)]
struct Process(Child);

/// Whether this machine has Prometheus; see [`tools::available`].
pub fn available() -> bool {
    tools::available(PROGRAM)
}

// === impl Prometheus ===

impl Prometheus {
    /// Starts a server that scrapes this address every second, labelled as a pod of a cluster, and evaluates all rules as
    /// often.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn scraping(address: &str) -> Self {
        let directory = TempDir::with_prefix("prometheus-").expect("a temporary directory can be created");
        let at = directory.path();
        let labels = json!({"namespace": "local", "service": "up", "pod": "up"});
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{
                "job_name": "dataflow",
                "static_configs": [{"targets": [address], "labels": labels}],
            }],
        });
        // YAML has JSON as a part of it.
        for (file, content) in [("prometheus.yaml", config), ("rules.yaml", json!({"groups": groups()}))] {
            fs::write(at.join(file), content.to_string()).expect("a new directory takes files");
        }
        let log = fs::File::create(at.join("log")).expect("a new directory takes files");
        let child = Command::new(PROGRAM)
            .arg("--config.file")
            .arg(at.join("prometheus.yaml"))
            .arg("--storage.tsdb.path")
            .arg(at.join("data"))
            .args(["--web.listen-address", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let process = Process(child.expect("prometheus is installed"));
        let mut listening = None;
        eventually_blocking(TIMEOUT, "prometheus listens", || {
            let log = fs::read_to_string(at.join("log")).unwrap_or_default();
            let lines = log.split_once(LISTENING).and_then(|(_, after)| after.split_once('\n'));
            listening = lines.map(|(address, _)| format!("http://{}", address.trim()));
            listening.is_some()
        });
        let upstream = listening.and_then(|url| url.parse().ok()).expect("it logs an address");
        Self { upstream, _process: process, _directory: directory }
    }

    /// The result of a query now: one value for each series.
    ///
    /// # Errors
    ///
    /// What Prometheus says of a query that it refuses.
    ///
    /// # Panics
    ///
    /// If it does not reply.
    pub async fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let target = format!("/api/v1/query?query={query}");
        let response = http::request(&self.upstream, "GET", &target, &[], b"").await.expect("it replies");
        let reply: Value = serde_json::from_slice(&response.body).expect("it replies in JSON");
        match reply["status"].as_str() {
            Some("success") => Ok(match &reply["data"]["result"] {
                // A scalar or a string: a time and a value.
                value if reply["data"]["resultType"] != "vector" => vec![value.clone()],
                series => each(series).cloned().collect(),
            }),
            _ => Err(reply["error"].to_string()),
        }
    }
}

/// The groups of all rules, each of which is evaluated as often as this server does by default.
fn groups() -> Vec<Value> {
    let folder = in_repository("k8s/observability/rules");
    let files = fs::read_dir(folder).expect("there are rules").flatten();
    let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    let mut groups = Vec::new();
    for name in names {
        for document in documents(&format!("k8s/observability/rules/{name}")) {
            for group in each(&document["spec"]["groups"]) {
                let mut group = group.clone();
                group.as_object_mut().expect("a group is an object").remove("interval");
                groups.push(group);
            }
        }
    }
    groups
}

// === impl Process ===

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
