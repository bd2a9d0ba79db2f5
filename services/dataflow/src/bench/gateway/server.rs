//! A server as a child process: started, waited for, watched by what the kernel counts of it, and killed when dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::bench::running;

/// A server that has not answered after this time never will.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Addresses that nobody listens on. Envoy cannot tell which port it was given, so it has to be told one; all are held
/// until the last is found, which makes them distinct.
pub(super) fn free_addresses<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    let held: Vec<_> =
        (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for (address, listener) in addresses.iter_mut().zip(&held) {
        *address = listener.local_addr()?;
    }
    Ok(addresses)
}

/// A running server.
pub(super) struct Server {
    name: &'static str,
    process: Child,
    id: Pid,
    /// What it writes to standard error.
    log: PathBuf,
}

// === impl Server ===

impl Server {
    /// Starts it, with its log in a directory of ours.
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

    /// What it is called in messages.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Asks again and again until the server answers well.
    pub(super) async fn answers<T>(
        &mut self,
        mut ask: impl AsyncFnMut() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let end = Instant::now() + TIMEOUT;
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if let Some(status) = self.process.try_wait()? {
                bail!("{} ended with {status}; it said:\n{}", self.name, self.last_words());
            }
            if Instant::now() > end {
                let said = self.last_words();
                return Err(error.context(format!("{} does not answer; it said:\n{said}", self.name)));
            }
            // Envoy does not tell when it is ready.
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// CPU time of all its threads so far.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        running::cpu(self.id).context(self.name)
    }

    /// What of it is in memory now, in MB.
    pub(super) fn memory(&self) -> anyhow::Result<f64> {
        Ok(running::memory(self.id, "VmRSS")? as f64 * 1024.0 / 1e6)
    }

    /// Ends it and waits. What was measured is on record, so it need not be asked politely.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }

    /// The end of its log.
    fn last_words(&self) -> String {
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
    async fn the_clock_is_the_childs_own() {
        let directory = tempfile::tempdir().unwrap();
        let mut idle = start("exec sleep 60", directory.path());
        let busy = start("while :; do :; done", directory.path());
        let before = busy.cpu().unwrap();
        // Asked as servers are: with pauses, and with an end.
        let has_run = async || {
            ensure!(busy.cpu()? - before >= Duration::from_millis(50), "it has not run for long");
            Ok(())
        };
        idle.answers(has_run).await.unwrap();
        assert!(idle.cpu().unwrap() < Duration::from_millis(50));
        assert!(idle.memory().unwrap() > 0.0);
    }

    #[tokio::test]
    async fn a_server_that_ends_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let mut server = start("echo no such port >&2; exit 3", directory.path());
        let error = server.answers::<()>(async || bail!("refused")).await.unwrap_err();
        assert_eq!(error.to_string(), "it ended with exit status: 3; it said:\nno such port");
    }

    #[test]
    fn free_addresses_are_distinct() {
        let [a, b] = free_addresses().unwrap();
        assert_ne!(a, b);
    }
}
