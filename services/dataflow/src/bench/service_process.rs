//! A child process of this executable that serves on a free port, as the benchmarks start, observe and stop it.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use dataflow_mesh::outbound::Upstream;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::time::ClockId;
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A running service, or `dataflow up`. It is killed when dropped.
pub(super) struct ServiceProcess {
    process: Child,
    id: Pid,
    /// Its public address.
    pub(super) address: Upstream,
    /// The address of its admin port, `HOST:PORT`.
    pub(super) admin: String,
}

// === impl ServiceProcess ===

impl ServiceProcess {
    /// Starts `dataflow analysis` alone.
    pub(super) async fn analysis() -> anyhow::Result<Self> {
        Self::service("analysis", &[]).await
    }

    /// Starts one service with the given flags.
    pub(super) async fn service(role: &str, flags: &[&str]) -> anyhow::Result<Self> {
        Self::start(role, role, 1, flags).await
    }

    /// Starts `dataflow up`, with its four services.
    pub(super) async fn up() -> anyhow::Result<Self> {
        Self::up_with(&[]).await
    }

    /// The same with the given flags.
    pub(super) async fn up_with(flags: &[&str]) -> anyhow::Result<Self> {
        Self::start("up", "gateway", 4, flags).await
    }

    /// Starts a command and waits until all its services are SERVING; `role` is the one whose address is called.
    async fn start(command: &str, role: &str, mut services: usize, flags: &[&str]) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([command, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", "info"])
            .args(["--log-format", "json"])
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let id = process.id().context("the process exited immediately")?;
        let mut log = BufReader::new(process.stderr.take().context("standard error is piped")?).lines();
        let (mut address, mut admin) = (None, None);
        while services > 0 {
            let line = log.next_line().await?.with_context(|| format!("{command} exited immediately"))?;
            let event: serde_json::Value = serde_json::from_str(&line)?;
            match event["message"].as_str() {
                Some("service: listening") if event["role"] == role => {
                    address = event["address"].as_str().map(|address| format!("http://{address}"))
                }
                Some("admin port: listening") => admin = event["address"].as_str().map(str::to_owned),
                Some("service: serving") => services -= 1,
                _ => {}
            }
        }
        // Discards further log lines, so that the process does not block on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        let address = address.context("the service logged no address")?.parse()?;
        let admin = admin.context("the process logged no address of its admin port")?;
        Ok(Self { process, id: Pid::from_raw(i32::try_from(id)?), address, admin })
    }

    /// A memory figure of it; see [`memory`].
    pub(super) fn memory(&self, figure: &str) -> anyhow::Result<u64> {
        memory(self.id, figure)
    }

    /// Pins all its threads to a processor.
    pub(super) fn pin(&self, processor: usize) -> anyhow::Result<()> {
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.id))? {
            let thread = thread?.file_name().to_string_lossy().parse()?;
            pin(Pid::from_raw(thread), processor)?;
        }
        Ok(())
    }

    /// CPU time of all its threads so far.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        cpu(self.id)
    }

    /// Stops it with SIGTERM, as Kubernetes does, and waits.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        kill(self.id, Signal::SIGTERM)?;
        let ended = self.process.wait().await?;
        ensure!(ended.success(), "it exited with {ended}");
        Ok(())
    }
}

/// CPU time of all threads of a process so far, finished ones included. `/proc/PID/stat` has only a resolution of 10
/// ms.
pub(super) fn cpu(id: Pid) -> anyhow::Result<Duration> {
    let time = ClockId::pid_cpu_clock_id(id).and_then(ClockId::now).context("the process has exited")?;
    Ok(time.into())
}

/// A memory figure of a process in KiB, by its name in `/proc/PID/status`.
pub(super) fn memory(id: Pid, figure: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find(|line| line.starts_with(figure)).context("no such figure")?;
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}

/// Pins a thread to a processor; 0 is the current thread.
pub(super) fn pin(thread: Pid, processor: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(processor)?;
    Ok(sched_setaffinity(thread, &set)?)
}
