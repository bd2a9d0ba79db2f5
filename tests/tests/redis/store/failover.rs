//! Failover under load: acknowledged writes survive, and a write in doubt was applied once or not at all.

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
use super::logs::all;
use super::records::names;

/// Concurrent writers; each writes sequentially.
const WRITERS: usize = 8;

/// Continuous durable writes and their results.
struct Load {
    store: Arc<dyn Store>,
    /// The acknowledged entries and records.
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

    /// Writes until the load stops. A failed record is retried with the same id until it is acknowledged.
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

    /// Records a failure, which must have an expected reason, and pauses.
    async fn failed(&self, error: &Error, pause: &mut Interval) {
        let reason = error.reason();
        let expected = ["STORE_UNAVAILABLE", "WRITE_OUTCOME_UNKNOWN", "WRITE_NOT_REPLICATED"];
        assert!(expected.contains(&reason), "{reason}: {error}");
        self.failures.borrow_mut().push(reason);
        pause.reset();
        pause.tick().await;
    }

    /// Waits until this many more entries and records are acknowledged.
    async fn until_acknowledged(&self, more: usize) {
        let written = || self.entries.borrow().len().min(self.records.borrow().len());
        let enough = written() + more;
        eventually(TIMEOUT, "writes are acknowledged", async || written() >= enough).await;
    }

    /// Writes, runs `fail` meanwhile, and continues until writes are acknowledged again. Returns the duration.
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

    /// Checks that all acknowledged writes exist, and none twice.
    async fn check(&self) {
        let keys = self.entries.take();
        eventually(TIMEOUT, "every primary replies", async || self.store.get(&keys).await.is_ok()).await;
        for key in &keys {
            assert_eq!(text(&*self.store, key).await.as_deref(), Some(key.name.as_str()), "{key} is lost");
        }
        let read = all(&*self.store, &Self::log()).await;
        assert!(read.iter().map(|record| record.position).eq(1..=read.len() as u64), "the log has gaps");
        for (position, id) in &self.records.take() {
            assert_eq!(read[*position as usize - 1].value, id.as_bytes(), "{id} is lost");
        }
        let mut values: Vec<_> = read.into_iter().map(|record| record.value).collect();
        let count = values.len();
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), count, "a record is duplicated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_a_failover_by_sentinels() {
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
    load.check().await;
    let failures = load.failures.borrow().len();
    println!("writes acknowledged again after {took:?}, {failures} failures");
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_a_failover_in_a_cluster() {
    if !redis::available() {
        return;
    }
    let mut cluster = Cluster::start();
    let store = connect(&["--redis-url", &cluster.url()]).await;
    // The primary of the log.
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
            // The new primary has no replica until then, so no write is acknowledged.
            cluster.restart(node);
        })
        .await;
    load.check().await;
    let failures = load.failures.borrow().len();
    println!("writes acknowledged again after {took:?}, {failures} failures");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_failover_is_followed() {
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
    // A listing cursor is not valid on other servers.
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
    // Nodes that learn of it late would reject all calls for a moment.
    tokio::task::block_in_place(|| cluster.until_healthy());
    // Every node redirects to the new primary of the slot: no call fails.
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
    // The old primary becomes a replica with sentinels and in a cluster.
    for store in &stores {
        let write = async || set_durably(&**store, &keys[0]).await.is_ok();
        eventually(TIMEOUT, "there is a replica again", write).await;
    }
}

async fn set_durably(store: &dyn Store, key: &Key) -> Result<(), Error> {
    store.set(key, "after".into(), None, Condition::Always).await.map(drop)
}
