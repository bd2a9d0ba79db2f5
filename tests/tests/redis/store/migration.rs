//! A slot moves from one primary of a Cluster to another: calls follow it, at every step.

use dataflow_mesh::status::Describe;
use dataflow_store::entries::{Condition, Outcome};
use dataflow_store::key::{BUCKETS, Key};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Cluster, Server};
use tokio::time::Instant;

use super::backend::{VOLATILE, connect, get, set, text};
use super::records::names;

/// A slot on its way from one node to another.
struct Move<'a> {
    slot: String,
    from: &'a Server,
    to: &'a Server,
}

// === impl Move ===

impl<'a> Move<'a> {
    /// Of the slot in which a key lies, to the next primary.
    fn of(cluster: &'a Cluster, key: &Key) -> Self {
        let names = (0..3).flat_map(|node| names(&cluster.nodes()[node]));
        let name = names.into_iter().find(|name| name.ends_with(&format!("}}{key}"))).unwrap();
        let slot = cluster.command(0, &["CLUSTER", "KEYSLOT", &name]).integer();
        let from = cluster.primary_of_slot(slot.try_into().unwrap());
        let [from, to] = [from, (from + 1) % 3].map(|node| &cluster.nodes()[node]);
        Self { slot: slot.to_string(), from, to }
    }

    /// Both nodes know of it.
    fn begin(&self) {
        ask(self.to, &["CLUSTER", "SETSLOT", &self.slot, "IMPORTING", &id(self.from)]);
        ask(self.from, &["CLUSTER", "SETSLOT", &self.slot, "MIGRATING", &id(self.to)]);
    }

    /// All keys are at the other node.
    fn keys(&self) {
        let keys = self.from.command(&["CLUSTER", "GETKEYSINSLOT", &self.slot, "1000"]);
        let port = self.to.port().to_string();
        let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        migrate.extend(keys.items().iter().map(redis::Reply::text));
        ask(self.from, &migrate);
    }

    /// The slot belongs to the other node, and the two know; the third hears of it some moments later.
    fn end(&self) {
        let id = id(self.to);
        for node in [self.to, self.from] {
            ask(node, &["CLUSTER", "SETSLOT", &self.slot, "NODE", &id]);
        }
    }
}

/// Asks a node something that must not be refused; the answer as a text.
fn ask(node: &Server, words: &[&str]) -> String {
    let reply = node.command(words);
    assert!(!reply.is_error(), "{words:?}: {reply:?}");
    reply.text().to_owned()
}

fn id(node: &Server) -> String {
    ask(node, &["CLUSTER", "MYID"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_followed_while_it_moves() {
    if !redis::available() {
        return;
    }
    let cluster = Cluster::start();
    let store = connect(&["--redis-url", &cluster.url()]).await;
    let key = VOLATILE.key("moving");
    // Others in the same slot: one that is there, and one that is not.
    let mut names = (0..).map(|index| VOLATILE.key(format!("other{index}")));
    let mut other = || names.find(|other| other.bucket() == key.bucket()).unwrap();
    let [beside, absent] = [other(), other()];
    set(&*store, &key, "before").await;
    set(&*store, &beside, "beside").await;
    let generation = store.generations(std::slice::from_ref(&key)).await.unwrap();
    for round in 0..3 {
        let moving = Move::of(&cluster, &key);
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
        // What touches several keys Redis refuses now, and says so before it does anything.
        let put = store.set(&key, "during".into(), None, Condition::Always).await;
        let refused = put.expect_err("some of the keys are on their way");
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
async fn a_slot_is_followed_to_a_node_that_had_none() {
    if !redis::available() {
        return;
    }
    let cluster = Cluster::start();
    let newcomer = Server::with(&["--cluster-enabled", "yes"]);
    ask(&newcomer, &["CLUSTER", "MEET", "127.0.0.1", &cluster.nodes()[0].port().to_string(), &bus(&cluster)]);
    let store = connect(&["--redis-url", &cluster.url()]).await;
    let key = VOLATILE.key("moving");
    set(&*store, &key, "x").await;
    let moving = Move { to: &newcomer, ..Move::of(&cluster, &key) };
    let names = |node: &Server, other: &Server| ask(node, &["CLUSTER", "NODES"]).contains(&id(other));
    let is_well = || ask(&newcomer, &["CLUSTER", "INFO"]).contains("cluster_state:ok");
    eventually(TIMEOUT, "they know each other", async || names(moving.from, &newcomer) && is_well()).await;
    moving.begin();
    moving.keys();

    // Nobody names the node as long as it has no slot: calls are sent there one by one, on the same connection.
    let before = connections(&newcomer);
    for _ in 0..50 {
        assert_eq!(text(&*store, &key).await.as_deref(), Some("x"));
    }
    let made = connections(&newcomer) - before;
    assert!(made <= 1, "{made} connections for 50 reads");

    // Nor do the other buckets of the primary go unwatched.
    let (counters, now) = (store.version_counters().unwrap(), Instant::now());
    let others = (0..BUCKETS).filter(|&bucket| bucket != key.bucket());
    let is_counted =
        |bucket: usize| counters.borrow().counters[bucket].is_some_and(|counter| counter.requested > now);
    eventually(TIMEOUT, "the others are counted", async || others.clone().all(is_counted)).await;

    moving.end();
    set(&*store, &key, "y").await;
    eventually(TIMEOUT, "it is named", async || is_counted(key.bucket())).await;
    assert_eq!(text(&*store, &key).await.as_deref(), Some("y"));
}

/// The port on which the first node of a cluster hears others.
fn bus(cluster: &Cluster) -> String {
    cluster.command(0, &["CONFIG", "GET", "cluster-port"]).items()[1].text().to_owned()
}

/// How many connections a server has taken so far.
fn connections(server: &Server) -> u64 {
    let stats = ask(server, &["INFO", "stats"]);
    let taken = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    taken.unwrap().parse().unwrap()
}
