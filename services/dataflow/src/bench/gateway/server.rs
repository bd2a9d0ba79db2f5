//! A server as a child process: started, awaited, observed by the kernel's counters, and killed when dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::bench::service_process;

/// Longest wait for the first successful response.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Free addresses. Envoy does not report a port that the kernel assigned, so its port is chosen in advance. All
/// listeners stay open until the last is bound, which makes the addresses distinct.
pub(super) fn free_addresses<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    let listeners: Vec<_> =
        (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for (address, listener) in addresses.iter_mut().zip(&listeners) {
        *address = listener.local_addr()?;
    }
    Ok(addresses)
}

/// A running server.
pub(super) struct Server {
    name: &'static str,
    process: Child,
    id: Pid,
    /// The file of its standard error.
    log: PathBuf,
}

// === impl Server ===

impl Server {
    /// Starts it, with its log in the given directory.
    pub(super) fn start(name: &'static str, mut command: Command, directory: &Path) -> anyhow::Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let id = process.id().context("a process that was not waited for has an id")?;
        Ok(Self { name, process, id: Pid::from_raw(i32::try_from(id)?), log })
    }

    /// Its name in messages.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Retries an attempt until it succeeds, the server exits or [`TIMEOUT`] has passed.
    pub(super) async fn until_ok<T>(
        &mut self,
        mut attempt: impl AsyncFnMut() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let end = Instant::now() + TIMEOUT;
        loop {
            let error = match attempt().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if let Some(status) = self.process.try_wait()? {
                bail!("{} exited with {status}; last log lines:\n{}", self.name, self.log_tail());
            }
            if Instant::now() > end {
                let log = self.log_tail();
                return Err(error.context(format!("{} does not respond; last log lines:\n{log}", self.name)));
            }
            // Envoy gives no signal when it is ready.
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// CPU time of all its threads so far.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        service_process::cpu(self.id).context(self.name)
    }

    /// Its resident memory now, in MB.
    pub(super) fn memory(&self) -> anyhow::Result<f64> {
        Ok(service_process::memory(self.id, "VmRSS")? as f64 * 1024.0 / 1e6)
    }

    /// Kills it and waits. The measurements are complete, so no graceful stop is needed.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }

    /// The end of its log.
    fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;

    fn start(script: &str, directory: &Path) -> Server {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Server::start("it", command, directory).unwrap()
    }

    #[tokio::test]
    async fn cpu_time_is_that_of_the_child_alone() {
        let directory = tempfile::tempdir().unwrap();
        let mut idle = start("exec sleep 60", directory.path());
        let busy = start("while :; do :; done", directory.path());
        let before = busy.cpu().unwrap();
        // Polled as servers are: with pauses and a timeout.
        let has_run = async || {
            ensure!(busy.cpu()? - before >= Duration::from_millis(50), "it has not run long enough");
            Ok(())
        };
        idle.until_ok(has_run).await.unwrap();
        assert!(idle.cpu().unwrap() < Duration::from_millis(50));
        assert!(idle.memory().unwrap() > 0.0);
    }

    #[tokio::test]
    async fn waiting_stops_when_the_server_exits() {
        let directory = tempfile::tempdir().unwrap();
        let mut server = start("echo no such port >&2; exit 3", directory.path());
        let error = server.until_ok::<()>(async || bail!("refused")).await.unwrap_err();
        assert_eq!(error.to_string(), "it exited with exit status: 3; last log lines:\nno such port");
    }

    #[test]
    fn free_addresses_are_distinct() {
        let [a, b] = free_addresses().unwrap();
        assert_ne!(a, b);
    }
}
