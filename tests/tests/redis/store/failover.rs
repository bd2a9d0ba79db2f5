//! Another server takes over in the middle of everything: what was acknowledged before is there after, and what was in
//! doubt happened once or not at all.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dataflow_mesh::status::Describe;
use dataflow_store::entries::Condition;
use dataflow_store::key::Key;
use dataflow_store::{Error, Store};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Cluster, Sentinels};
use futures_util::future::join_all;
use tokio::time::Interval;

use super::backend::{LASTING, VOLATILE, connect, set, text};
use super::records::names;

/// Those who write at the same time, each one thing after the other.
const WRITERS: usize = 8;

/// Durable writes without a pause, and what became of them.
struct Load {
    store: Arc<dyn Store>,
    /// Entries and records that were acknowledged.
    entries: RefCell<Vec<Key>>,
    records: RefCell<Vec<(u64, String)>>,
    failures: RefCell<Vec<&'static str>>,
    is_over: Cell<bool>,
}

// === impl Load ===

impl Load {
    fn new(store: Arc<dyn Store>) -> Self {
        let (entries, records, failures) = Default::default();
        Self { store, entries, records, failures, is_over: Cell::new(false) }
    }

    fn log() -> Key {
        LASTING.key("log")
    }

    /// Writes until it is over. A record that failed is written again under its id until it is acknowledged.
    async fn write(&self, writer: usize) {
        let mut pause = tokio::time::interval(Duration::from_millis(5));
        for index in 0.. {
            if self.is_over.get() {
                return;
            }
            let key = LASTING.key(format!("{writer}/{index}"));
            match self.store.set(&key, key.name.clone().into(), None, Condition::Absent).await {
                Ok(_) => self.entries.borrow_mut().push(key.clone()),
                Err(error) => self.failed(&error, &mut pause).await,
            }
            let id = key.name;
            loop {
                match self.store.append(&Self::log(), &id, id.clone().into()).await {
                    Ok(position) => break self.records.borrow_mut().push((position, id)),
                    Err(error) => self.failed(&error, &mut pause).await,
                }
            }
        }
    }

    /// A failure says what it may be. Then a moment is left to Redis.
    async fn failed(&self, error: &Error, pause: &mut Interval) {
        let reason = error.reason();
        let expected = ["STORE_UNAVAILABLE", "WRITE_OUTCOME_UNKNOWN", "WRITE_NOT_REPLICATED"];
        assert!(expected.contains(&reason), "{reason}: {error}");
        self.failures.borrow_mut().push(reason);
        pause.reset();
        pause.tick().await;
    }

    /// Waits until so many more entries and records are acknowledged.
    async fn until_acknowledged(&self, more: usize) {
        let written = || self.entries.borrow().len().min(self.records.borrow().len());
        let enough = written() + more;
        eventually(TIMEOUT, "writes are acknowledged", async || written() >= enough).await;
    }

    /// Writes, has `fail` done in the middle, and goes on until writes are acknowledged again; how long that took.
    async fn during(&self, fail: impl AsyncFnOnce()) -> Duration {
        let steer = async {
            self.until_acknowledged(100).await;
            let failed = Instant::now();
            fail().await;
            self.until_acknowledged(100).await;
            self.is_over.set(true);
            failed.elapsed()
        };
        let writers = join_all((0..WRITERS).map(|writer| self.write(writer)));
        tokio::join!(writers, steer).1
    }

    /// Everything acknowledged is there, and nothing twice.
    async fn is_kept(&self) {
        let keys = self.entries.take();
        eventually(TIMEOUT, "every primary answers", async || self.store.get(&keys).await.is_ok()).await;
        for key in &keys {
            assert_eq!(text(&*self.store, key).await.as_deref(), Some(key.name.as_str()), "{key} is lost");
        }
        let read = self.store.read(&Self::log(), 0, 1_000_000).await.unwrap();
        assert!(read.iter().map(|record| record.position).eq(1..=read.len() as u64), "the log has gaps");
        for (position, id) in &self.records.take() {
            assert_eq!(read[*position as usize - 1].value, id.as_bytes(), "{id} is lost");
        }
        let mut values: Vec<_> = read.into_iter().map(|record| record.value).collect();
        let count = values.len();
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), count, "a record is there twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_the_primary_behind_sentinels() {
    if !redis::available() {
        return;
    }
    let mut sentinels = Sentinels::start();
    let load = Load::new(connect(&["--redis-url", &sentinels.url()]).await);
    let took = load
        .during(async || {
            let port = sentinels.kill_primary();
            tokio::task::block_in_place(|| sentinels.until_replaced(port));
        })
        .await;
    load.is_kept().await;
    let failures = load.failures.borrow().len();
    println!("written again after {took:?}, {failures} failures");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_primary_of_a_cluster() {
    if !redis::available() {
        return;
    }
    let mut cluster = Cluster::start();
    let store = connect(&["--redis-url", &cluster.url()]).await;
    // The one that has the log.
    store.append(&Load::log(), "first", "first".into()).await.unwrap();
    let mut names = cluster.nodes()[..3].iter().flat_map(names);
    let log = names.find(|name| name.ends_with("}log:config:log")).unwrap();
    drop(names);
    let slot = cluster.command(0, &["CLUSTER", "KEYSLOT", &log]).integer().try_into().unwrap();
    let node = cluster.primary_of_slot(slot);
    let load = Load::new(store);
    let took = load
        .during(async || {
            cluster.kill(node);
            eventually(TIMEOUT, "its replica is primary", async || cluster.primary_of_slot(slot) != node)
                .await;
            // The new primary has no replica before: no write is acknowledged.
            cluster.restart(node);
        })
        .await;
    load.is_kept().await;
    let failures = load.failures.borrow().len();
    println!("written again after {took:?}, {failures} failures");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_by_hand_is_followed() {
    if !redis::available() {
        return;
    }
    let (cluster, sentinels) = (Cluster::start(), Sentinels::start());
    let [to_cluster, to_sentinels] = [cluster.url(), sentinels.url()];
    let stores =
        [connect(&["--redis-url", &to_cluster]).await, connect(&["--redis-url", &to_sentinels]).await];
    let keys: Vec<_> = (0..64).map(|index| LASTING.key(format!("a{index}"))).collect();
    let others: Vec<_> = keys.iter().map(|key| VOLATILE.key(&key.name)).collect();
    for (store, key) in stores.iter().flat_map(|store| keys.iter().map(move |key| (store, key))) {
        set(&**store, key, "before").await;
    }
    let [in_cluster, behind_sentinels] = &stores;
    // A place in a listing means nothing to other servers.
    let elsewhere = in_cluster.list(LASTING, "", None).await.unwrap().next;
    assert!(elsewhere.is_some(), "there are three primaries");
    let refused = behind_sentinels.list(LASTING, "", elsewhere).await.unwrap_err();
    assert_eq!(refused.reason(), "STORE_UNAVAILABLE", "{refused}");

    let id = cluster.command(3, &["CLUSTER", "MYID"]);
    cluster.command(3, &["CLUSTER", "FAILOVER"]);
    tokio::task::block_in_place(|| {
        cluster.nodes()[0].until("the replica is primary", |node| {
            node.command(&["CLUSTER", "NODES"])
                .text()
                .lines()
                .any(|line| line.contains(id.text()) && line.contains("master"))
        });
    });
    // Nodes that are slow to hear of it would refuse everybody for a moment.
    tokio::task::block_in_place(|| cluster.until_healthy());
    // Whoever is asked says where the slot is now: no call fails.
    for (key, other) in keys.iter().zip(&others) {
        assert_eq!(text(&**in_cluster, key).await.as_deref(), Some("before"), "{key}");
        set(&**in_cluster, other, "after").await;
    }

    tokio::task::block_in_place(|| sentinels.failover());
    let write = async || set_durably(&**behind_sentinels, &others[0]).await.is_ok();
    eventually(TIMEOUT, "writes go to the new primary", write).await;
    for (key, other) in keys.iter().zip(&others) {
        assert_eq!(text(&**behind_sentinels, key).await.as_deref(), Some("before"), "{key}");
        set(&**behind_sentinels, other, "after").await;
    }
    // The old primary becomes a replica in both.
    for store in &stores {
        let write = async || set_durably(&**store, &keys[0]).await.is_ok();
        eventually(TIMEOUT, "there is a replica again", write).await;
    }
}

async fn set_durably(store: &dyn Store, key: &Key) -> Result<(), Error> {
    store.set(key, "after".into(), None, Condition::Always).await.map(drop)
}
