//! A slot moves from one primary of a Cluster to another: calls follow it, at every step.

use dataflow_mesh::status::Describe;
use dataflow_store::entries::{Condition, Outcome};
use dataflow_store::key::Key;
use dataflow_tests::redis::{self, Cluster};

use crate::backend::{VOLATILE, connect, get, set, text};
use crate::records::names;

/// A slot on its way from one node to another.
struct Move<'a> {
    cluster: &'a Cluster,
    slot: String,
    from: usize,
    to: usize,
}

// === impl Move ===

impl<'a> Move<'a> {
    /// Of the slot in which a key lies.
    fn of(cluster: &'a Cluster, key: &Key) -> Self {
        let names = (0..3).flat_map(|node| names(&cluster.nodes()[node]));
        let name = names.into_iter().find(|name| name.ends_with(&format!("}}{key}"))).unwrap();
        let slot = cluster.command(0, &["CLUSTER", "KEYSLOT", &name]).integer();
        let from = cluster.primary_of_slot(slot.try_into().unwrap());
        Self { cluster, slot: slot.to_string(), from, to: (from + 1) % 3 }
    }

    /// Asks a node something that must not be refused; the answer as a text.
    fn ask(&self, node: usize, words: &[&str]) -> String {
        let reply = self.cluster.command(node, words);
        assert!(!reply.is_error(), "{words:?}: {reply:?}");
        reply.text().to_owned()
    }

    fn id(&self, node: usize) -> String {
        self.ask(node, &["CLUSTER", "MYID"])
    }

    /// Both nodes know of it.
    fn begin(&self) {
        self.ask(self.to, &["CLUSTER", "SETSLOT", &self.slot, "IMPORTING", &self.id(self.from)]);
        self.ask(self.from, &["CLUSTER", "SETSLOT", &self.slot, "MIGRATING", &self.id(self.to)]);
    }

    /// All keys are at the other node.
    fn keys(&self) {
        let keys = self.cluster.command(self.from, &["CLUSTER", "GETKEYSINSLOT", &self.slot, "1000"]);
        let port = self.cluster.nodes()[self.to].port().to_string();
        let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        migrate.extend(keys.items().iter().map(redis::Reply::text));
        self.ask(self.from, &migrate);
    }

    /// The slot belongs to the other node, and the two know; the third hears of it some moments later.
    fn end(&self) {
        let id = self.id(self.to);
        for node in [self.to, self.from] {
            self.ask(node, &["CLUSTER", "SETSLOT", &self.slot, "NODE", &id]);
        }
    }
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
