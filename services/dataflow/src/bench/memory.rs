//! How much memory one catalogue costs, as the kernel counts it.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use dataflow_mesh::outbound::{Outbound, Upstream};
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::google::api::HttpBody;
use futures_util::StreamExt;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio_util::io::ReaderStream;

use super::On;

const LIMIT: Duration = Duration::from_secs(600);

/// Runs `analyze`, then a lone `analysis` that is sent the same file over gRPC.
pub(super) async fn measure(on: &On) -> anyhow::Result<String> {
    let ended = Command::new(std::env::current_exe()?)
        .args(["analyze", "--quiet", "--format", "json"])
        .arg(&on.file)
        .stdout(Stdio::null())
        .status()
        .await?;
    ensure!(ended.code().is_some_and(|code| code == 0 || code == 5), "analyze ended with {ended}");
    // So far `analyze` is the only child that has ended. The kernel counts in KiB.
    let analyze = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss().unsigned_abs();

    let service = Analysis::start().await?;
    let idle = service.memory("VmRSS")?;
    let total = service.analyse(on).await?;
    let peak = service.memory("VmHWM")?;
    service.stop().await?;

    let megabytes = |kibibytes: u64| kibibytes as f64 * 1024.0 / 1e6;
    Ok(format!(
        "{total} dataflows in {:.1} MB\n\
         analysis, idle           {:7.1} MB (below 25)\n\
         analysis, peak over idle {:7.1} MB (below 64)\n\
         analyze, peak            {:7.1} MB (below 128)\n",
        std::fs::metadata(&on.file)?.len() as f64 / 1e6,
        megabytes(idle),
        megabytes(peak.saturating_sub(idle)),
        megabytes(analyze),
    ))
}

/// A `dataflow analysis` of our own, on a free port.
pub(super) struct Analysis {
    process: Child,
    id: Pid,
    address: Upstream,
}

impl Analysis {
    /// Starts it and waits until it says SERVING.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["analysis", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", "info"])
            .args(["--log-format", "json"])
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let id = process.id().context("the process has ended at once")?;
        let mut log = BufReader::new(process.stderr.take().context("standard error is piped")?).lines();
        let mut address = None;
        while let Some(line) = log.next_line().await? {
            let event: serde_json::Value = serde_json::from_str(&line)?;
            match event["message"].as_str() {
                Some("listening") => {
                    address = event["address"].as_str().map(|address| format!("http://{address}"))
                }
                Some("serving") => break,
                _ => {}
            }
        }
        // Whatever it says from now on, it must not block on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        let address = address.context("the service did not say where it listens")?.parse()?;
        Ok(Self { process, id: Pid::from_raw(i32::try_from(id)?), address })
    }

    /// Sends a file; how many dataflows are in it.
    async fn analyse(&self, on: &On) -> anyhow::Result<i32> {
        let file = tokio::fs::File::open(&on.file).await?;
        let messages = ReaderStream::with_capacity(file, 64 * 1024).map(|piece| {
            let document = HttpBody { data: piece.unwrap_or_default(), ..Default::default() };
            pb::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() }
        });
        let mut client = AnalysisServiceClient::new(Outbound::new(&self.address, LIMIT));
        client = client.max_decoding_message_size(usize::MAX);
        let reply = client.analyze_catalogue(messages).await?.into_inner();
        Ok(reply.analysis.context("the reply holds no analysis")?.total)
    }

    /// A figure of `/proc/PID/status` in KiB.
    fn memory(&self, figure: &str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id))?;
        let line = status.lines().find(|line| line.starts_with(figure)).context("no such figure")?;
        let digits: String = line.chars().filter(char::is_ascii_digit).collect();
        Ok(digits.parse()?)
    }

    /// Stops it as Kubernetes would, and waits.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        kill(self.id, Signal::SIGTERM)?;
        let ended = self.process.wait().await?;
        ensure!(ended.success(), "analysis ended with {ended}");
        Ok(())
    }
}
