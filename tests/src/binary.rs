//! Runs the real binary as a process: commands that exit, and services that run until they are stopped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cgroup::Cgroup;
use crate::eventually::TIMEOUT;

/// The binary in the directory of the running test. Cargo builds it with the tests of its package, so every selection
/// of tests includes `--test version`.
///
/// # Panics
///
/// If it does not exist.
pub fn path() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    let profile =
        test.parent().and_then(|deps| deps.parent()).expect("test executables are in target/PROFILE/deps");
    let binary = profile.join("dataflow");
    assert!(binary.exists(), "{} is missing: run `make build`", binary.display());
    binary
}

/// The result of a command.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; 128 plus the signal's number if a signal terminated it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs the binary to completion, with empty standard input.
///
/// # Panics
///
/// If it cannot be run.
pub fn run(arguments: &[&str]) -> Ended {
    run_with(arguments, std::io::empty())
}

/// Runs the binary to completion, with these bytes on standard input. It may stop reading early.
///
/// # Panics
///
/// If it cannot be run.
pub fn run_with(arguments: &[&str], mut input: impl Read + Send + 'static) -> Ended {
    let mut child = command(arguments).stdin(Stdio::piped()).spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let feeding = std::thread::spawn(move || {
        // A command may close the pipe early, which is not an error.
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

/// The binary with these arguments and piped output, in an environment without variables of flags.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(path());
    let flags = std::env::vars_os().map(|(name, _)| name);
    let is_read = |name: &str| name.starts_with("DATAFLOW_") || name.starts_with("OTEL_");
    for flag in flags.filter(|name| is_read(&name.to_string_lossy())) {
        command.env_remove(flag);
    }
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits until a child exits, for at most a minute, so that a test fails instead of hanging.
///
/// # Panics
///
/// If it does not.
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
    assert!(!watching.join().expect("watching does not panic"), "the child did not exit within a minute");
    status
}

/// Sends a signal to a child that has not been waited for yet.
///
/// # Panics
///
/// If it has been.
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

/// Peak resident memory of a process so far, in bytes.
///
/// # Panics
///
/// If it has exited.
pub fn peak_memory(id: u32) -> u64 {
    memory(id, "VmHWM:")
}

fn memory(id: u32, figure: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("the process exists");
    let figure = status.lines().find_map(|line| line.strip_prefix(figure)).expect("the process runs");
    let kibibytes = figure.trim().strip_suffix(" kB").expect("the kernel counts in kB");
    1024 * kibibytes.parse::<u64>().expect("a count is a number")
}

/// A service that runs as a process.
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
    /// Starts `dataflow ROLE` on free ports and waits until it serves. `up` runs four services; the address is the
    /// gateway's.
    ///
    /// # Panics
    ///
    /// If it exits before it serves.
    pub fn start(role: &str, flags: &[&str]) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_at(role, any, any, flags)
    }

    /// The same with these variables.
    ///
    /// # Panics
    ///
    /// If it exits before it serves.
    pub fn start_with_variables(role: &str, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let any = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json"];
        let mut service = command(&[&[role], &any[..], flags].concat());
        service.envs(variables.iter().copied());
        Self::spawn(role, service)
    }

    /// The same on these ports.
    ///
    /// # Panics
    ///
    /// If it exits before it serves.
    pub fn start_at(role: &str, listen: SocketAddr, admin: SocketAddr, flags: &[&str]) -> Self {
        let (listen, admin) = (listen.to_string(), admin.to_string());
        let ports = ["--listen", &listen, "--admin", &admin, "--log-format", "json"];
        Self::spawn(role, command(&[&[role], &ports[..], flags].concat()))
    }

    /// The same on free ports, with at most this many file descriptors.
    ///
    /// # Panics
    ///
    /// If it exits before it serves.
    pub fn start_with_descriptors(descriptors: u32, role: &str, flags: &[&str]) -> Self {
        Self::start_after(&format!("ulimit -n {descriptors}"), role, flags)
    }

    /// The same on free ports, within a cgroup.
    ///
    /// # Panics
    ///
    /// If it exits before it serves.
    pub fn start_in(cgroup: &Cgroup, role: &str, flags: &[&str]) -> Self {
        Self::start_after(&format!("echo $$ > '{}'", cgroup.members().display()), role, flags)
    }

    /// The same on free ports, in the process of a shell that has done something before.
    fn start_after(shell: &str, role: &str, flags: &[&str]) -> Self {
        let any = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json"];
        let service = command(&[&[role], &any[..], flags].concat());
        let mut prepared = Command::new("sh");
        prepared.arg("-c").arg(format!("{shell} && exec \"$0\" \"$@\""));
        prepared.arg(service.get_program()).args(service.get_args());
        prepared.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::spawn(role, prepared)
    }

    fn spawn(role: &str, mut command: Command) -> Self {
        let mut child = command.spawn().expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().expect("standard error is piped")).lines();
        let (mut address, mut admin, mut log) = (None, None, Vec::new());
        let (role, mut services) = if role == "up" { ("gateway", 4) } else { (role, 1) };
        while services > 0 {
            let line = lines.next().unwrap_or_else(|| panic!("exited before it served: {log:#?}"));
            let line = line.expect("the log is text");
            let event: serde_json::Value = serde_json::from_str(&line).expect("the log is JSON");
            let address_of_event = event["address"].as_str().map(str::to_owned);
            log.push(line);
            match event["message"].as_str() {
                Some("service: listening") if event["role"] == role => address = address_of_event,
                Some("admin port: listening") => admin = address_of_event,
                Some("service: serving") => services -= 1,
                _ => {}
            }
        }
        let log = Arc::new(Mutex::new(log));
        let reading = Some(std::thread::spawn(collect(lines, Arc::clone(&log))));
        let (address, admin) = address.zip(admin).expect("a service logs its addresses");
        Self { address, admin, child, log, reading }
    }

    /// The next line on its standard output.
    ///
    /// # Panics
    ///
    /// If there is none.
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

    /// The log lines so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("no reader panics").clone()
    }

    /// Its resident memory now, in bytes.
    pub fn memory(&self) -> u64 {
        memory(self.child.id(), "VmRSS:")
    }

    /// Its peak resident memory so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        peak_memory(self.child.id())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self::signal(&self.child, signal);
    }

    /// Stops it with SIGTERM, as Kubernetes does, and waits. Returns its exit status and its log.
    ///
    /// # Panics
    ///
    /// As [`wait`].
    pub fn stop(self) -> (i32, Vec<String>) {
        self.signal(Signal::SIGTERM);
        self.ended()
    }

    /// Waits until it has exited, which something else must cause. Returns its exit status and its log.
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
        // After `stop` it has already exited; a failed test must not leave a server behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(
    lines: std::io::Lines<BufReader<ChildStderr>>,
    log: Arc<Mutex<Vec<String>>>,
) -> impl FnOnce() + Send {
    move || {
        for line in lines.map_while(Result::ok) {
            log.lock().expect("no reader panics").push(line);
        }
    }
}

/// Fails on any log line at WARN or ERROR that contains none of the `expected` texts.
///
/// # Panics
///
/// If there is one.
pub fn assert_no_warnings(log: &[String], expected: &[&str]) {
    let is_warning =
        |line: &&String| line.contains("\"level\":\"WARN\"") || line.contains("\"level\":\"ERROR\"");
    let unexpected: Vec<_> = log
        .iter()
        .filter(is_warning)
        .filter(|line| !expected.iter().any(|text| line.contains(text)))
        .collect();
    assert!(unexpected.is_empty(), "unexpected in the log: {unexpected:#?}");
}
