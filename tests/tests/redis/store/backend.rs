//! The backends of the store, opened by command-line flags.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, FromArgMatches};
use dataflow_mesh::process::Process;
use dataflow_store::args::OpenError;
use dataflow_store::entries::{Condition, Entry, Outcome};
use dataflow_store::key::{Key, Space};
use dataflow_store::leases::Token;
use dataflow_store::revision::Revision;
use dataflow_store::{Store, StoreArgs};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{Cluster, Sentinels, Server, USER};
use tempfile::TempDir;

/// A space of each kind.
pub(crate) const SPACES: [Space; 2] = [Space::volatile("cache"), Space::durable("config")];
pub(crate) const VOLATILE: Space = SPACES[0];
pub(crate) const LASTING: Space = SPACES[1];

/// The capacity of an embedded store in bytes.
const CAPACITY: u64 = 64 << 20;

/// A long Redis timeout for tests that do not measure time, for busy machines.
pub(crate) const LONG_TIMEOUT: [&str; 2] = ["--redis-timeout", "20s"];

/// The role in the names of circuit breakers.
pub(crate) const ROLE: &str = "test";

/// A backend and how to open it.
pub(crate) struct Backend {
    pub(crate) name: &'static str,
    flags: Vec<String>,
    has_directory: bool,
    /// The servers, which run until this is dropped.
    _servers: Box<dyn Any + Send + Sync>,
}

/// The stores of one case, as two processes open them. The embedded backend has only one, since a second process cannot
/// open it.
pub(crate) struct Stores {
    pub(crate) ours: Arc<dyn Store>,
    pub(crate) theirs: Arc<dyn Store>,
    // Dropped after the stores in it.
    _directory: Option<TempDir>,
}

// === impl Backend ===

impl Backend {
    pub(crate) fn memory() -> Self {
        Self { name: "in memory", flags: Vec::new(), has_directory: false, _servers: Box::new(()) }
    }

    pub(crate) fn directory() -> Self {
        Self { name: "in a directory", has_directory: true, ..Self::memory() }
    }

    pub(crate) fn redis(name: &'static str, server: Server) -> Self {
        Self::at(name, &["--redis-url", server.url()].map(str::to_owned), server)
    }

    pub(crate) fn redis_with_acl(server: Server) -> Self {
        let url = format!("redis://127.0.0.1:{}", server.port());
        let file = server.password_file().display().to_string();
        let flags = ["--redis-url", &url, "--redis-username", USER, "--redis-password-file", &file];
        Self::at("redis with ACL", &flags.map(str::to_owned), server)
    }

    pub(crate) fn redis_with_tls(server: Server) -> Self {
        let file = server.ca_file().display().to_string();
        let flags = ["--redis-url", server.url(), "--redis-ca-file", &file];
        Self::at("redis with TLS", &flags.map(str::to_owned), server)
    }

    pub(crate) fn cluster(cluster: Cluster) -> Self {
        Self::at("cluster", &["--redis-url".to_owned(), cluster.url()], cluster)
    }

    pub(crate) fn sentinels(sentinels: Sentinels) -> Self {
        Self::at("sentinels", &["--redis-url".to_owned(), sentinels.url()], sentinels)
    }

    fn at(name: &'static str, flags: &[String], servers: impl Send + Sync + 'static) -> Self {
        Self { name, flags: flags.to_vec(), has_directory: false, _servers: Box::new(servers) }
    }

    /// The stores of a case, isolated from other cases.
    pub(crate) async fn stores(&self, case: &str) -> Stores {
        let directory = self.has_directory.then(|| TempDir::with_prefix("store-").unwrap());
        let at = directory.as_ref().map(TempDir::path);
        if self.flags.is_empty() {
            let ours = open(&[], at);
            return Stores { theirs: Arc::clone(&ours), ours, _directory: directory };
        }
        // A prefix is not a pattern either, so special characters are used.
        let prefix = format!("dataflow:[{}]*", case.replace("::", ":"));
        let prefix = prefix.chars().take(64).collect::<String>();
        let flags = ["--redis-prefix", &prefix].into_iter().chain(LONG_TIMEOUT);
        let flags: Vec<_> = self.flags.iter().map(String::as_str).chain(flags).collect();
        Stores { ours: connect(&flags).await, theirs: connect(&flags).await, _directory: None }
    }
}

/// Parses these flags; the environment is ignored.
pub(crate) fn args(flags: &[&str]) -> StoreArgs {
    let command = StoreArgs::augment_args(clap::Command::new("test")).mut_args(|arg| arg.env(None));
    let matches = command.get_matches_from([&["test"], flags].concat());
    StoreArgs::from_arg_matches(&matches).unwrap()
}

/// Opens the Redis of these flags and waits until it is connected, which on a busy machine may take longer than the
/// timeout of a call.
pub(crate) async fn connect(flags: &[&str]) -> Arc<dyn Store> {
    let store = open(flags, None);
    until_connected(&*store).await;
    store
}

/// Waits until a store is connected to every primary.
pub(crate) async fn until_connected(store: &dyn Store) {
    // Keys in almost every bucket.
    let keys: Vec<_> = (0..300).map(|index| VOLATILE.key(index.to_string())).collect();
    eventually(TIMEOUT, "the store is connected", async || store.get(&keys).await.is_ok()).await;
}

/// Opens the store of these flags.
pub(crate) fn open(flags: &[&str], directory: Option<&Path>) -> Arc<dyn Store> {
    try_open(flags, directory, &Process::default()).unwrap()
}

/// The same with these circuit breakers; may fail.
pub(crate) fn try_open(
    flags: &[&str],
    directory: Option<&Path>,
    process: &Process,
) -> Result<Arc<dyn Store>, OpenError> {
    args(flags).open(directory, CAPACITY, process, ROLE)
}

/// The entry of one key.
pub(crate) async fn get(store: &dyn Store, key: &Key) -> Option<Entry> {
    store.get(std::slice::from_ref(key)).await.unwrap().remove(0)
}

/// The text of one key.
pub(crate) async fn text(store: &dyn Store, key: &Key) -> Option<String> {
    get(store, key).await.map(|entry| String::from_utf8(entry.value.into()).unwrap())
}

/// Takes the lease of a key with a new token, unless it is held.
pub(crate) async fn acquire(store: &dyn Store, key: &Key, hold: Duration) -> Option<Token> {
    let token = Token::random();
    store.acquire(key, token, hold).await.unwrap().then_some(token)
}

/// Sets the text of a key unconditionally.
pub(crate) async fn set(store: &dyn Store, key: &Key, text: &str) -> Revision {
    let set = store.set(key, text.to_owned().into(), None, Condition::Always).await.unwrap();
    let Outcome::Done(revision) = set else { panic!("refused: {set:?}") };
    revision
}
