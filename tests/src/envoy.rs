//! A real Envoy: what stands beside every process in a mesh.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::eventually::{TIMEOUT, eventually_blocking};
use crate::tools;

/// The program. `make tools` puts it where the tests look.
const PROGRAM: &str = "envoy";

/// A running Envoy.
pub struct Envoy {
    admin: SocketAddr,
    child: Child,
    directory: TempDir,
}

/// Whether this machine has Envoy. If not, says aloud that what asked is skipped: it should return.
///
/// # Panics
///
/// When there is none where `CI=true`.
pub fn available() -> bool {
    tools::available(PROGRAM)
}

/// The full name of a message of Envoy's extensions.
pub fn message(extension: &str) -> String {
    format!("type.googleapis.com/envoy.extensions.{extension}")
}

/// An address as Envoy's configuration has it.
pub fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip(), "port_value": address.port() } })
}

// === impl Envoy ===

impl Envoy {
    /// Starts Envoy with these listeners and clusters and its admin port there, and waits until it serves.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn start(admin: SocketAddr, listeners: &[Value], clusters: &[Value]) -> Self {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let bootstrap = json!({
            "admin": { "address": socket(admin) },
            "static_resources": { "listeners": listeners, "clusters": clusters },
        });
        let (config, log) = (directory.path().join("envoy.json"), directory.path().join("log"));
        fs::write(&config, bootstrap.to_string()).expect("a new directory takes files");
        let log = File::create(log).expect("a new directory takes files");
        let mut command = Command::new(PROGRAM);
        command.arg("--config-path").arg(config);
        // Without hot restart it shares no memory with another Envoy of this machine.
        command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let mut envoy = Self { admin, child: child.expect("envoy starts"), directory };
        eventually_blocking(TIMEOUT, "Envoy is ready", || {
            let ended = envoy.child.try_wait().expect("our own child can be waited for");
            assert!(ended.is_none(), "Envoy ended: {}", envoy.log());
            envoy.ask("/ready").is_ok_and(|answer| answer.contains("LIVE"))
        });
        envoy
    }

    /// What its admin port answers.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn ask(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// The value of one of its statistics, 0 before it was ever counted.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn statistic(&self, name: &str) -> u64 {
        let answer = self.ask(&format!("/stats?filter=^{name}$")).expect("the admin port answers");
        let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.map_or(0, |value| value.trim().parse().expect("a statistic is a number"))
    }

    /// What it said.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.directory.path().join("log"));
        log.unwrap_or_else(|error| error.to_string())
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // A test that failed must not leave a server behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
