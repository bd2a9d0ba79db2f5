//! One server: a process, a port, a directory with its settings and its log.

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

/// What is run.
pub(super) const PROGRAM: &str = "redis-server";

/// Settings of a server that keeps nothing on disk and does not let its replicas wait for others to come.
pub(super) const FORGETFUL: &str = "save \"\"\nappendonly no\nrepl-diskless-sync-delay 0\n";

/// What a server, or a sentinel, logs once it listens.
const UP: [&str; 2] = ["Ready to accept connections", "Sentinel ID is"];

/// What a server logs when somebody else listens on a port that it was to have.
const PORT_IS_TAKEN: &str = "Failed listening on port";

/// The name of a user and what proves it.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) user: &'static str,
    pub(super) password: String,
}

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    port: u16,
    url: String,
    login: Option<Login>,
    arguments: Vec<String>,
    /// Kept between commands: a connection each would leave thousands behind while a test waits for something.
    connection: Mutex<Option<Connection>>,
    // Fields are dropped in this order: what runs, before where it runs.
    process: Process,
    directory: TempDir,
}

/// A child that does not outlive this.
#[derive(Debug)]
struct Process(Child);

// === impl Server ===

impl Server {
    /// Starts a server that keeps nothing on disk.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// As [`start`](Self::start), with settings of the test's own: `&["--maxmemory", "2mb"]`.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn with(arguments: &[&str]) -> Self {
        Self::launch(arguments, |_, _| FORGETFUL.to_owned())
    }

    /// Starts a server with these arguments and the settings that `settings` makes of its port and directory.
    pub(super) fn launch(arguments: &[&str], settings: impl Fn(u16, &Path) -> String) -> Self {
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let attempt = || {
            let port = free_port();
            let directory = TempDir::with_prefix("redis-").expect("there is a place for temporary files");
            let at = directory.path();
            let settings = format!("port {port}\nbind 127.0.0.1\ndir {at:?}\n{}", settings(port, at));
            fs::write(at.join("redis.conf"), settings).expect("a new directory takes files");
            Process::start(at, &arguments).map(|process| (port, process, directory))
        };
        // A port that was free a moment ago may be another's by now, but hardly ten in a row.
        let started = std::iter::repeat_with(attempt).take(10).flatten().next();
        let (port, process, directory) = started.expect("a port that is free stays so for a moment");
        let url = format!("redis://127.0.0.1:{port}");
        Self { port, url, login: None, arguments, connection: Mutex::default(), process, directory }
    }

    /// The same server, asked in the name of this user from now on.
    pub(super) fn asked_by(self, login: Login) -> Self {
        let url = format!("redis://{}@127.0.0.1:{}", login.user, self.port);
        Self { url, login: Some(login), ..self }
    }

    /// The same server under a URL that says it listens with TLS.
    pub(super) fn behind_tls(self) -> Self {
        let url = format!("rediss://127.0.0.1:{}", self.port);
        Self { url, ..self }
    }

    /// The port it listens on, from 16384 to 32767.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where clients find it: `redis://127.0.0.1:PORT`, or `rediss://` with TLS, with its user before the address if
    /// it has one.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its directory, which outlives a restart.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What it logged so far, restarts included.
    pub fn log(&self) -> String {
        log(self.directory())
    }

    /// Asks something and waits for the reply, which may be a refusal.
    ///
    /// # Panics
    ///
    /// When there is no reply: the server is down, silent for a minute, or speaks TLS.
    pub fn command(&self, words: &[&str]) -> Reply {
        self.ask(words).unwrap_or_else(|error| panic!("no reply to {words:?}: {error}\n{}", self.log()))
    }

    /// Asks something that a server may be too dead to answer.
    ///
    /// # Errors
    ///
    /// When there is no reply.
    pub fn ask(&self, words: &[&str]) -> io::Result<Reply> {
        let mut kept = self.connection.lock().expect("nothing panics between commands");
        let open = kept.take().filter(Connection::is_open);
        let mut connection = open.map_or_else(|| self.connect(), Ok)?;
        let reply = connection.ask(words)?;
        *kept = Some(connection);
        Ok(reply)
    }

    /// Asks something that must not be refused.
    pub(super) fn demand(&self, words: &[&str]) -> Reply {
        let reply = self.command(words);
        assert!(!reply.is_error(), "{words:?}: {reply:?}");
        reply
    }

    /// Waits until something holds of what it answers.
    ///
    /// # Panics
    ///
    /// When it does not hold within a minute.
    pub fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        eventually_blocking(TIMEOUT, what, || holds(self));
    }

    /// Ends it without a chance to say goodbye (`SIGKILL`). What it had not written to disk is lost.
    pub fn kill(&mut self) {
        self.process.kill();
        self.connection = Mutex::default();
    }

    /// Starts it again, after killing it if it still runs: same port, same directory, same settings.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        self.process = Process::start(self.directory.path(), &self.arguments)
            .unwrap_or_else(|| panic!("somebody has taken port {} meanwhile", self.port));
    }

    /// Stops it where it stands (`SIGSTOP`): connections stay open, new ones are taken, and nothing is answered.
    pub fn pause(&self) {
        let child = &self.process.0;
        signal(child, Signal::SIGSTOP);
        let id = Pid::from_raw(child.id().cast_signed());
        waitpid(id, Some(WaitPidFlag::WUNTRACED)).expect("our own child can be waited for");
    }

    /// Lets it go on (`SIGCONT`).
    pub fn resume(&self) {
        signal(&self.process.0, Signal::SIGCONT);
    }

    fn connect(&self) -> io::Result<Connection> {
        let mut connection = Connection::open(self.port)?;
        if let Some(Login { user, password }) = &self.login {
            let reply = connection.ask(&["AUTH", user, password])?;
            assert!(!reply.is_error(), "AUTH {user}: {reply:?}");
        }
        Ok(connection)
    }
}

// === impl Process ===

impl Process {
    /// Starts a server in its directory and waits until it listens; `None` when its port is taken.
    ///
    /// That it listens is read in its log, not tried with a connection: that might reach whoever took the port.
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
            // Asked before the log is read: what it said last is in there then.
            let has_ended = process.has_ended();
            let said = log(directory).split_off(before);
            if UP.iter().any(|up| said.contains(up)) {
                is_up = Some(true);
            } else if has_ended {
                assert!(said.contains(PORT_IS_TAKEN), "a Redis server ended before it listened:\n{said}");
                is_up = Some(false);
            }
            is_up.is_some()
        });
        (is_up == Some(true)).then_some(process)
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("our own child can be waited for").is_some()
    }

    fn kill(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What was logged in a directory so far.
fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join("log")).unwrap_or_default()
}

/// A port that nobody listens on and no server of this process has, from 16384 to 32767: below those that systems give
/// to outgoing connections, so that a killed server finds its port free, and a client that keeps trying it does not end
/// up connected to itself.
pub(super) fn free_port() -> u16 {
    const FIRST: u16 = 1 << 14;
    // Each process begins anywhere, for several may run tests at once; it comes round after as many ports as there are.
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(fastrand::u16(..)));
    loop {
        let port = FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % FIRST;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
