//! One server: a process, a port, and a directory with its settings and log.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{LazyLock, Mutex};

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::resp::{Connection, Reply};
use crate::binary::signal;
use crate::eventually::{TIMEOUT, eventually_blocking};

/// The executable.
pub(super) const PROGRAM: &str = "redis-server";

/// Settings without persistence and without a delay for diskless replication.
pub(super) const NO_PERSISTENCE: &str = "save \"\"\nappendonly no\nrepl-diskless-sync-delay 0\n";

/// The log message of a server, or of a sentinel, once it listens.
const UP: [&str; 2] = ["Ready to accept connections", "Sentinel ID is"];

/// The log message of a server whose port is in use.
const PORT_IS_TAKEN: &str = "Failed listening on port";

/// A user and its password.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) user: &'static str,
    pub(super) password: String,
}

/// A running server. It is killed when dropped.
#[derive(Debug)]
pub struct Server {
    port: u16,
    url: String,
    login: Option<Login>,
    arguments: Vec<String>,
    /// Reused between commands: polling with a new connection each time would leave thousands in TIME_WAIT.
    connection: Mutex<Option<Connection>>,
    // Fields are dropped in this order: the process before its directory.
    process: Process,
    directory: TempDir,
}

/// A child process that is killed when dropped.
#[derive(Debug)]
struct Process(Child);

// === impl Server ===

impl Server {
    /// Starts a server without persistence.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// As [`start`](Self::start), with additional settings: `&["--maxmemory", "2mb"]`.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn with(arguments: &[&str]) -> Self {
        Self::launch(arguments, |_, _| NO_PERSISTENCE.to_owned())
    }

    /// Starts a server with these arguments and the settings that `settings` returns for its port and directory.
    pub(super) fn launch(arguments: &[&str], settings: impl Fn(u16, &Path) -> String) -> Self {
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let attempt = || {
            let port = free_port();
            let directory = TempDir::with_prefix("redis-").expect("a temporary directory can be created");
            let at = directory.path();
            let settings = format!("port {port}\nbind 127.0.0.1\ndir {at:?}\n{}", settings(port, at));
            fs::write(at.join("redis.conf"), settings).expect("a new directory takes files");
            Process::start(at, &arguments).map(|process| (port, process, directory))
        };
        // Another process may take a port that was free a moment ago, but hardly ten in a row.
        let started = std::iter::repeat_with(attempt).take(10).flatten().next();
        let (port, process, directory) = started.expect("a free port stays free for a moment");
        let url = format!("redis://127.0.0.1:{port}");
        Self { port, url, login: None, arguments, connection: Mutex::default(), process, directory }
    }

    /// The same server; commands run as this user from now on.
    pub(super) fn with_login(self, login: Login) -> Self {
        let url = format!("redis://{}@127.0.0.1:{}", login.user, self.port);
        Self { url, login: Some(login), ..self }
    }

    /// The same server with a TLS URL.
    pub(super) fn behind_tls(self) -> Self {
        let url = format!("rediss://127.0.0.1:{}", self.port);
        Self { url, ..self }
    }

    /// The port it listens on, from 16384 to 32767.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL: `redis://127.0.0.1:PORT`, or `rediss://` with TLS, with the user before the address if it has one.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its directory, which survives a restart.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its log so far, including restarts.
    pub fn log(&self) -> String {
        log(self.directory())
    }

    /// Sends a command and waits for the reply, which may be an error.
    ///
    /// # Panics
    ///
    /// If there is no reply: the server is down, paused for a minute, or uses TLS.
    pub fn command(&self, words: &[&str]) -> Reply {
        self.try_command(words)
            .unwrap_or_else(|error| panic!("no reply to {words:?}: {error}\n{}", self.log()))
    }

    /// Sends a command to a server that may be down.
    ///
    /// # Errors
    ///
    /// If there is no reply.
    pub fn try_command(&self, words: &[&str]) -> io::Result<Reply> {
        let mut pooled = self.connection.lock().expect("nothing panics between commands");
        let open = pooled.take().filter(Connection::is_open);
        let mut connection = open.map_or_else(|| self.connect(), Ok)?;
        let reply = connection.command(words)?;
        *pooled = Some(connection);
        Ok(reply)
    }

    /// Sends a command that must succeed.
    pub(super) fn command_ok(&self, words: &[&str]) -> Reply {
        let reply = self.command(words);
        assert!(!reply.is_error(), "{words:?}: {reply:?}");
        reply
    }

    /// Waits until a condition on this server is true.
    ///
    /// # Panics
    ///
    /// If it is not true within a minute.
    pub fn until(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        eventually_blocking(TIMEOUT, what, || condition(self));
    }

    /// Kills it (`SIGKILL`). Data that it had not written to disk is lost.
    pub fn kill(&mut self) {
        self.process.kill();
        self.connection = Mutex::default();
    }

    /// Kills it if it still runs, and starts it again with the same port, directory and settings.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&mut self) {
        self.kill();
        self.process = Process::start(self.directory.path(), &self.arguments)
            .unwrap_or_else(|| panic!("another process has taken port {} meanwhile", self.port));
    }

    /// Pauses it (`SIGSTOP`): connections stay open, the kernel accepts new ones, and there are no replies.
    pub fn pause(&self) {
        let child = &self.process.0;
        signal(child, Signal::SIGSTOP);
        let id = Pid::from_raw(child.id().cast_signed());
        waitpid(id, Some(WaitPidFlag::WUNTRACED)).expect("our own child can be waited for");
    }

    /// Resumes it (`SIGCONT`).
    pub fn resume(&self) {
        signal(&self.process.0, Signal::SIGCONT);
    }

    fn connect(&self) -> io::Result<Connection> {
        let mut connection = Connection::open(self.port)?;
        if let Some(Login { user, password }) = &self.login {
            let reply = connection.command(&["AUTH", user, password])?;
            assert!(!reply.is_error(), "AUTH {user}: {reply:?}");
        }
        Ok(connection)
    }
}

// === impl Process ===

impl Process {
    /// Starts a server in its directory and waits until it listens; `None` if its port is in use.
    ///
    /// It checks the log instead of connecting, because a connection might reach another process that took the port.
    fn start(directory: &Path, arguments: &[String]) -> Option<Self> {
        let before = log(directory).len();
        let output = File::options().append(true).create(true).open(directory.join("log"));
        let output = output.expect("the directory takes files");
        let errors = output.try_clone().expect("there are file descriptors left");
        let child = Command::new(PROGRAM)
            .arg(directory.join("redis.conf"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn();
        let mut process = Self(child.expect("redis-server is installed"));
        let mut is_up = None;
        eventually_blocking(TIMEOUT, "a Redis server listens", || {
            // Checked before the log is read, so that the log is complete if the process has exited.
            let has_exited = process.has_exited();
            let new = log(directory).split_off(before);
            if UP.iter().any(|up| new.contains(up)) {
                is_up = Some(true);
            } else if has_exited {
                assert!(new.contains(PORT_IS_TAKEN), "a Redis server exited before it listened:\n{new}");
                is_up = Some(false);
            }
            is_up.is_some()
        });
        (is_up == Some(true)).then_some(process)
    }

    fn has_exited(&mut self) -> bool {
        self.0.try_wait().expect("our own child can be waited for").is_some()
    }

    fn kill(&mut self) {
        // It may have exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The log in a directory so far.
fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join("log")).unwrap_or_default()
}

/// A free port that no server of this process has, from 16384 to 32767: below the ephemeral ports, so that a killed
/// server finds its port free on restart, and a client that retries it does not connect to itself.
pub(super) fn free_port() -> u16 {
    const FIRST: u16 = 1 << 14;
    // Each process starts at a random port, since several may run tests at the same time, and wraps around.
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(fastrand::u16(..)));
    loop {
        let port = FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % FIRST;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
