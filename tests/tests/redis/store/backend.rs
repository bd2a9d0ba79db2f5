//! The places that state is kept in, opened by the flags that users write.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, FromArgMatches};
use dataflow_mesh::process::Process;
use dataflow_store::args::OpenError;
use dataflow_store::entries::{Condition, Entry, Outcome, Revision};
use dataflow_store::key::{Key, Space};
use dataflow_store::leases::Token;
use dataflow_store::{Store, StoreArgs};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{Cluster, Sentinels, Server, USER};
use tempfile::TempDir;

/// A space of each kind.
pub(crate) const SPACES: [Space; 2] = [Space::volatile("cache"), Space::durable("config")];
pub(crate) const VOLATILE: Space = SPACES[0];
pub(crate) const LASTING: Space = SPACES[1];

/// What an embedded store may hold, in bytes.
const CAPACITY: u64 = 64 << 20;

/// Flags of calls that are patient, where it is not time that is tested: a busy machine may need some.
pub(crate) const LONG_TIMEOUT: [&str; 2] = ["--redis-timeout", "20s"];

/// Who calls, for the names of breakers.
pub(crate) const ROLE: &str = "test";

/// A place to keep state in, and how to open it.
pub(crate) struct Backend {
    pub(crate) name: &'static str,
    flags: Vec<String>,
    has_directory: bool,
    /// What runs as long as this does.
    _servers: Box<dyn Any + Send + Sync>,
}

/// A case's part of a backend, as two processes would see it. Embedded they are one, since no other process is let in.
pub(crate) struct Stores {
    pub(crate) ours: Arc<dyn Store>,
    pub(crate) theirs: Arc<dyn Store>,
    // Dropped after what lies in it.
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

    /// The part of a case, which no other sees.
    pub(crate) async fn stores(&self, case: &str) -> Stores {
        let directory = self.has_directory.then(|| TempDir::with_prefix("store-").unwrap());
        let at = directory.as_ref().map(TempDir::path);
        if self.flags.is_empty() {
            let ours = open(&[], at);
            return Stores { theirs: Arc::clone(&ours), ours, _directory: directory };
        }
        // A prefix is no pattern either, whatever is in it.
        let prefix = format!("dataflow:[{}]*", case.replace("::", ":"));
        let prefix = prefix.chars().take(64).collect::<String>();
        let flags = ["--redis-prefix", &prefix].into_iter().chain(LONG_TIMEOUT);
        let flags: Vec<_> = self.flags.iter().map(String::as_str).chain(flags).collect();
        Stores { ours: connect(&flags).await, theirs: connect(&flags).await, _directory: None }
    }
}

/// What these flags mean, whatever the environment says.
pub(crate) fn args(flags: &[&str]) -> StoreArgs {
    let command = StoreArgs::augment_args(clap::Command::new("test")).mut_args(|arg| arg.env(None));
    let matches = command.get_matches_from([&["test"], flags].concat());
    StoreArgs::from_arg_matches(&matches).unwrap()
}

/// Opens the Redis that these flags name, and waits until it answers: on a busy machine that may take longer than a call
/// has.
pub(crate) async fn connect(flags: &[&str]) -> Arc<dyn Store> {
    let store = open(flags, None);
    until_connected(&*store).await;
    store
}

/// Waits until a store is connected to every primary.
pub(crate) async fn until_connected(store: &dyn Store) {
    // Some in almost every bucket.
    let keys: Vec<_> = (0..300).map(|index| VOLATILE.key(index.to_string())).collect();
    eventually(TIMEOUT, "it is connected", async || store.get(&keys).await.is_ok()).await;
}

/// Opens what these flags name.
pub(crate) fn open(flags: &[&str], directory: Option<&Path>) -> Arc<dyn Store> {
    try_open(flags, directory, &Process::default()).unwrap()
}

/// The same with these breakers before Redis, where it may be refused.
pub(crate) fn try_open(
    flags: &[&str],
    directory: Option<&Path>,
    process: &Process,
) -> Result<Arc<dyn Store>, OpenError> {
    args(flags).open(directory, CAPACITY, process, ROLE)
}

/// What lies under one key.
pub(crate) async fn get(store: &dyn Store, key: &Key) -> Option<Entry> {
    store.get(std::slice::from_ref(key)).await.unwrap().remove(0)
}

/// The text under one key.
pub(crate) async fn text(store: &dyn Store, key: &Key) -> Option<String> {
    get(store, key).await.map(|entry| String::from_utf8(entry.value.into()).unwrap())
}

/// Takes the lease of a key with a new token, unless somebody has it.
pub(crate) async fn acquire(store: &dyn Store, key: &Key, hold: Duration) -> Option<Token> {
    let token = Token::random();
    store.acquire(key, token, hold).await.unwrap().then_some(token)
}

/// Puts a text under a key, whatever is there.
pub(crate) async fn set(store: &dyn Store, key: &Key, text: &str) -> Revision {
    let set = store.set(key, text.to_owned().into(), None, Condition::Always).await.unwrap();
    let Outcome::Done(revision) = set else { panic!("refused: {set:?}") };
    revision
}
