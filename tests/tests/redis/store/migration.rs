//! A slot migrates from one primary of a cluster to another: calls follow it at every step.

use dataflow_mesh::status::Describe;
use dataflow_store::entries::{Condition, Outcome};
use dataflow_store::key::{BUCKETS, Key};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Cluster, Server};
use tokio::time::Instant;

use super::backend::{LONG_TIMEOUT, VOLATILE, connect, get, set, text};
use super::records::names;

/// The migration of a slot from one node to another.
struct Migration<'a> {
    slot: String,
    from: &'a Server,
    to: &'a Server,
}

// === impl Migration ===

impl<'a> Migration<'a> {
    /// Migrates the slot of a key to the next primary.
    fn of(cluster: &'a Cluster, key: &Key) -> Self {
        let names = (0..3).flat_map(|node| names(&cluster.nodes()[node]));
        let name = names.into_iter().find(|name| name.ends_with(&format!("}}{key}"))).unwrap();
        let slot = cluster.command(0, &["CLUSTER", "KEYSLOT", &name]).integer();
        let from = cluster.primary_of_slot(slot.try_into().unwrap());
        let [from, to] = [from, (from + 1) % 3].map(|node| &cluster.nodes()[node]);
        Self { slot: slot.to_string(), from, to }
    }

    /// Starts the migration on both nodes.
    fn begin(&self) {
        command(self.to, &["CLUSTER", "SETSLOT", &self.slot, "IMPORTING", &id(self.from)]);
        command(self.from, &["CLUSTER", "SETSLOT", &self.slot, "MIGRATING", &id(self.to)]);
    }

    /// Moves all keys to the other node.
    fn keys(&self) {
        let keys = self.from.command(&["CLUSTER", "GETKEYSINSLOT", &self.slot, "1000"]);
        let port = self.to.port().to_string();
        let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        migrate.extend(keys.items().iter().map(redis::Reply::text));
        command(self.from, &migrate);
    }

    /// Assigns the slot to the other node on both nodes; the third learns of it later.
    fn end(&self) {
        let id = id(self.to);
        for node in [self.to, self.from] {
            command(node, &["CLUSTER", "SETSLOT", &self.slot, "NODE", &id]);
        }
    }
}

/// Sends a command to a node that must succeed, and returns the reply as text.
fn command(node: &Server, words: &[&str]) -> String {
    let reply = node.command(words);
    assert!(!reply.is_error(), "{words:?}: {reply:?}");
    reply.text().to_owned()
}

fn id(node: &Server) -> String {
    command(node, &["CLUSTER", "MYID"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_followed_during_its_migration() {
    if !redis::available() {
        return;
    }
    let cluster = Cluster::start();
    // Each call must succeed, also on a busy machine.
    let store = connect(&[&["--redis-url", &cluster.url()][..], &LONG_TIMEOUT].concat()).await;
    let key = VOLATILE.key("moving");
    // Other keys in the same slot: an existing one and an absent one.
    let mut names = (0..).map(|index| VOLATILE.key(format!("other{index}")));
    let mut other = || names.find(|other| other.bucket() == key.bucket()).unwrap();
    let [beside, absent] = [other(), other()];
    set(&*store, &key, "before").await;
    set(&*store, &beside, "beside").await;
    let generation = store.generations(std::slice::from_ref(&key)).await.unwrap();
    for round in 0..3 {
        let moving = Migration::of(&cluster, &key);
        let all_is_there = async |step: &str| {
            let found = store.get(&[key.clone(), absent.clone(), beside.clone()]).await;
            let found = found.unwrap_or_else(|error| panic!("round {round}, {step}: {error}"));
            let found: Vec<_> = found.into_iter().map(|entry| entry.map(|entry| entry.value)).collect();
            assert_eq!(found, [Some("before".into()), None, Some("beside".into())], "round {round}, {step}");
            assert_eq!(store.generations(std::slice::from_ref(&key)).await.unwrap(), generation, "{step}");
        };
        all_is_there("before").await;
        moving.begin();
        all_is_there("begun").await;
        moving.keys();
        all_is_there("keys moved").await;
        // Redis now rejects commands with several keys (TRYAGAIN) before it changes anything.
        let put = store.set(&key, "during".into(), None, Condition::Always).await;
        let refused = put.expect_err("some of the keys are being migrated");
        assert_eq!(refused.reason(), "STORE_UNAVAILABLE", "{refused}");
        moving.end();
        all_is_there("moved").await;
        set(&*store, &key, "after").await;
        assert_eq!(text(&*store, &key).await.as_deref(), Some("after"));
        assert_eq!(store.delete(&key, Condition::Always).await.unwrap(), Outcome::Done(true));
        assert_eq!(get(&*store, &key).await, None);
        set(&*store, &key, "before").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_followed_to_a_node_without_slots() {
    if !redis::available() {
        return;
    }
    let cluster = Cluster::start();
    let newcomer = Server::with(&["--cluster-enabled", "yes"]);
    command(
        &newcomer,
        &["CLUSTER", "MEET", "127.0.0.1", &cluster.nodes()[0].port().to_string(), &bus(&cluster)],
    );
    let store = connect(&[&["--redis-url", &cluster.url()][..], &LONG_TIMEOUT].concat()).await;
    let key = VOLATILE.key("moving");
    set(&*store, &key, "x").await;
    let moving = Migration { to: &newcomer, ..Migration::of(&cluster, &key) };
    let names = |node: &Server, other: &Server| command(node, &["CLUSTER", "NODES"]).contains(&id(other));
    let is_well = || command(&newcomer, &["CLUSTER", "INFO"]).contains("cluster_state:ok");
    eventually(TIMEOUT, "the nodes know each other", async || names(moving.from, &newcomer) && is_well())
        .await;
    moving.begin();
    moving.keys();

    // CLUSTER SLOTS does not list the new node yet: calls are redirected one by one, on the same connection.
    let before = connections(&newcomer);
    for _ in 0..50 {
        assert_eq!(text(&*store, &key).await.as_deref(), Some("x"));
    }
    let made = connections(&newcomer) - before;
    assert!(made <= 1, "{made} connections for 50 reads");

    // The version counters of the other buckets of the primary are still polled.
    let (counters, now) = (store.version_counters().unwrap(), Instant::now());
    let others = (0..BUCKETS).filter(|&bucket| bucket != key.bucket());
    let is_counted =
        |bucket: usize| counters.borrow().counters[bucket].is_some_and(|counter| counter.requested > now);
    eventually(TIMEOUT, "the other buckets are polled", async || others.clone().all(is_counted)).await;

    moving.end();
    set(&*store, &key, "y").await;
    eventually(TIMEOUT, "the new node is listed", async || is_counted(key.bucket())).await;
    assert_eq!(text(&*store, &key).await.as_deref(), Some("y"));
}

/// The bus port of the first node of a cluster.
fn bus(cluster: &Cluster) -> String {
    cluster.command(0, &["CONFIG", "GET", "cluster-port"]).items()[1].text().to_owned()
}

/// The number of connections that a server has accepted so far.
fn connections(server: &Server) -> u64 {
    let stats = command(server, &["INFO", "stats"]);
    let taken = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    taken.unwrap().parse().unwrap()
}
