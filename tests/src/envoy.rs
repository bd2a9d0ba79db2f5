//! A real Envoy, as the sidecar of a process in a mesh.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::eventually::{TIMEOUT, eventually_blocking};
use crate::tools;

/// The executable. `make tools` installs it on the `PATH` of the tests.
const PROGRAM: &str = "envoy";

/// A running Envoy.
pub struct Envoy {
    admin: SocketAddr,
    child: Child,
    directory: TempDir,
}

/// Whether this machine has Envoy. If not, it prints that the calling test is skipped, which must return.
///
/// # Panics
///
/// If it is missing and `CI=true`.
pub fn available() -> bool {
    tools::available(PROGRAM)
}

/// The full name of a message of Envoy's extensions.
pub fn message(extension: &str) -> String {
    format!("type.googleapis.com/envoy.extensions.{extension}")
}

/// An address in Envoy's configuration.
pub fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip(), "port_value": address.port() } })
}

// === impl Envoy ===

impl Envoy {
    /// Starts Envoy with these listeners and clusters and this admin address, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// If it does not become ready.
    pub fn start(admin: SocketAddr, listeners: &[Value], clusters: &[Value]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let bootstrap = json!({
            "admin": { "address": socket(admin) },
            "static_resources": { "listeners": listeners, "clusters": clusters },
        });
        let (config, log) = (directory.path().join("envoy.json"), directory.path().join("log"));
        fs::write(&config, bootstrap.to_string()).expect("a new directory takes files");
        let log = File::create(log).expect("a new directory takes files");
        let mut command = Command::new(PROGRAM);
        command.arg("--config-path").arg(config);
        // Without hot restart it shares no memory with another Envoy on this machine.
        command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let mut envoy = Self { admin, child: child.expect("envoy starts"), directory };
        eventually_blocking(TIMEOUT, "Envoy is ready", || {
            let ended = envoy.child.try_wait().expect("our own child can be waited for");
            assert!(ended.is_none(), "Envoy exited: {}", envoy.log());
            envoy.get("/ready").is_ok_and(|response| response.contains("LIVE"))
        });
        envoy
    }

    /// Sends a GET request to its admin port and returns the whole response.
    ///
    /// # Errors
    ///
    /// If there is no response.
    pub fn get(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        Ok(response)
    }

    /// The value of one of its statistics; 0 if it has not been counted yet.
    ///
    /// # Panics
    ///
    /// If it does not respond.
    pub fn statistic(&self, name: &str) -> u64 {
        let response = self.get(&format!("/stats?filter=^{name}$")).expect("the admin port responds");
        let value = response.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.map_or(0, |value| value.trim().parse().expect("a statistic is a number"))
    }

    /// Its log.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.directory.path().join("log"));
        log.unwrap_or_else(|error| error.to_string())
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // A failed test must not leave a server behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
