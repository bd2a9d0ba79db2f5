//! The real binary as a process: commands that end, and services that run until they are told to stop.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::eventually::TIMEOUT;

/// The binary beside the running test. Cargo builds it with the tests of its own package, so `--test version` goes with
/// whatever else is selected.
///
/// # Panics
///
/// When it is not there.
pub fn path() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("tests lie in target/PROFILE/deps");
    let binary = profile.join("dataflow");
    assert!(binary.exists(), "{} is missing: run `make build`", binary.display());
    binary
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; 128 plus the signal's number when a signal ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it said besides.
    pub stderr: String,
}

/// Runs the binary to its end, with nothing on standard input.
///
/// # Panics
///
/// When it cannot be run.
pub fn run(arguments: &[&str]) -> Ended {
    run_with(arguments, std::io::empty())
}

/// Runs the binary to its end, with these bytes on standard input. It may stop reading early.
///
/// # Panics
///
/// When it cannot be run.
pub fn run_with(arguments: &[&str], mut input: impl Read + Send + 'static) -> Ended {
    let mut child = command(arguments).stdin(Stdio::piped()).spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let feeding = std::thread::spawn(move || {
        // A command that has seen enough closes the pipe: that is its right.
        let _ = std::io::copy(&mut input, &mut stdin).and_then(|_| stdin.flush());
    });
    let output = child.wait_with_output().expect("the binary ends");
    feeding.join().expect("feeding does not panic");
    Ended {
        code: code(output.status),
        stdout: String::from_utf8(output.stdout).expect("output is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("output is UTF-8"),
    }
}

/// The binary with these arguments and pipes around it, in an environment without flags.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(path());
    let flags = std::env::vars_os().map(|(name, _)| name);
    for flag in flags.filter(|name| name.to_string_lossy().starts_with("DATAFLOW_")) {
        command.env_remove(flag);
    }
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits until a child ends by itself, for a minute at most: a test fails rather than hangs.
///
/// # Panics
///
/// When it does not.
pub fn wait(child: &mut Child) -> ExitStatus {
    let id = child.id();
    let (ended, end) = mpsc::channel::<()>();
    let watching = std::thread::spawn(move || {
        let late = end.recv_timeout(TIMEOUT) == Err(RecvTimeoutError::Timeout);
        if late {
            kill(pid(id), Signal::SIGKILL).expect("our own child can be signalled");
        }
        late
    });
    let status = child.wait().expect("a child can be waited for");
    drop(ended);
    assert!(!watching.join().expect("watching does not panic"), "it did not end within a minute");
    status
}

/// Sends a signal to a child that has not been waited for.
///
/// # Panics
///
/// When it has.
pub fn signal(child: &Child, signal: Signal) {
    kill(pid(child.id()), signal).expect("our own child can be signalled");
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).expect("process ids are small"))
}

/// The exit status as a shell shows it.
pub fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or(status.signal().map(|signal| 128 + signal)).expect("a process ends by status or signal")
}

/// Peak memory of a process so far, in bytes, as the kernel counts what is resident.
///
/// # Panics
///
/// When it has ended.
pub fn peak_memory(id: u32) -> u64 {
    memory(id, "VmHWM:")
}

fn memory(id: u32, figure: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("the process is known");
    let figure = status.lines().find_map(|line| line.strip_prefix(figure)).expect("the process runs");
    let kibibytes = figure.trim().strip_suffix(" kB").expect("the kernel counts in kB");
    1024 * kibibytes.parse::<u64>().expect("a count is a number")
}

/// A service running as a process.
pub struct Service {
    /// Its address, `HOST:PORT`.
    pub address: String,
    /// Its admin port, `HOST:PORT`.
    pub admin: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reading: Option<JoinHandle<()>>,
}

// === impl Service ===

impl Service {
    /// Starts `dataflow ROLE` on free ports and waits until it serves; `up` is four services, of which the gateway
    /// is the one to call.
    ///
    /// # Panics
    ///
    /// When it ends before it serves.
    pub fn start(role: &str, flags: &[&str]) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_at(role, any, any, flags)
    }

    /// The same on these ports.
    ///
    /// # Panics
    ///
    /// When it ends before it serves.
    pub fn start_at(role: &str, listen: SocketAddr, admin: SocketAddr, flags: &[&str]) -> Self {
        let (listen, admin) = (listen.to_string(), admin.to_string());
        let ports = ["--listen", &listen, "--admin", &admin, "--log-format", "json"];
        let mut child = command(&[&[role], &ports[..], flags].concat()).spawn().expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().expect("standard error is piped")).lines();
        let (mut address, mut admin, mut log) = (None, None, Vec::new());
        let (role, mut services) = if role == "up" { ("gateway", 4) } else { (role, 1) };
        while services > 0 {
            let line = lines.next().unwrap_or_else(|| panic!("ended before it served: {log:#?}"));
            let line = line.expect("the log is text");
            let event: serde_json::Value = serde_json::from_str(&line).expect("the log is JSON");
            let said = event["address"].as_str().map(str::to_owned);
            log.push(line);
            match event["message"].as_str() {
                Some("service: listening") if event["role"] == role => address = said,
                Some("admin port: listening") => admin = said,
                Some("service: serving") => services -= 1,
                _ => {}
            }
        }
        let log = Arc::new(Mutex::new(log));
        let reading = Some(std::thread::spawn(keep(lines, Arc::clone(&log))));
        let (address, admin) = address.zip(admin).expect("a service says where it listens");
        Self { address, admin, child, log, reading }
    }

    /// The next line on its standard output.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn next_line(&mut self) -> String {
        let stdout = self.child.stdout.as_mut().expect("standard output is piped");
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            stdout.read_exact(&mut byte).expect("there is another line");
            line.push(byte[0]);
        }
        String::from_utf8(line).expect("output is text")
    }

    /// What it said so far, a line each.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("no reader panics").clone()
    }

    /// Its memory now, in bytes, as the kernel counts what is resident.
    pub fn memory(&self) -> u64 {
        memory(self.child.id(), "VmRSS:")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self::signal(&self.child, signal);
    }

    /// Tells it to stop as Kubernetes does and waits; its exit status and everything it said.
    ///
    /// # Panics
    ///
    /// As [`wait`].
    pub fn stop(self) -> (i32, Vec<String>) {
        self.signal(Signal::SIGTERM);
        self.ended()
    }

    /// Waits until it has ended, which something else must bring about; its exit status and everything it said.
    ///
    /// # Panics
    ///
    /// As [`wait`].
    pub fn ended(mut self) -> (i32, Vec<String>) {
        let status = wait(&mut self.child);
        if let Some(reading) = self.reading.take() {
            reading.join().expect("no reader panics");
        }
        (code(status), self.log())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Already gone after `stop`; a test that failed must not leave a server behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keep(lines: std::io::Lines<BufReader<ChildStderr>>, log: Arc<Mutex<Vec<String>>>) -> impl FnOnce() + Send {
    move || {
        for line in lines.map_while(Result::ok) {
            log.lock().expect("no reader panics").push(line);
        }
    }
}

/// Fails on any line of a log at WARN or ERROR that `expected` does not occur in.
///
/// # Panics
///
/// When there is one.
pub fn assert_calm(log: &[String], expected: &[&str]) {
    let loud = |line: &&String| line.contains("\"level\":\"WARN\"") || line.contains("\"level\":\"ERROR\"");
    let unexpected: Vec<_> =
        log.iter().filter(loud).filter(|line| !expected.iter().any(|text| line.contains(text))).collect();
    assert!(unexpected.is_empty(), "unexpected in the log: {unexpected:#?}");
}
