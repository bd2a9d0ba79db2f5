//! Tests of this backend only, through the traits: one version counter for all kinds of state in a bucket, and data
//! that is present again after the directory is reopened.

use dataflow_mesh::breaker::{Breakers, CircuitState};
use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::status::Describe;
use proptest::prelude::*;
use tokio::task::JoinSet;

use super::disk::Disk;
use super::*;
use crate::signals::{CHANGES, Change, Signal};

const CAPACITY: u64 = 1 << 20;
const VOLATILE: Space = Space::volatile("cache");
const DURABLE: Space = Space::durable("config");

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn value(store: &Embedded, key: &Key) -> Option<Bytes> {
    store.get(std::slice::from_ref(key)).await.unwrap().remove(0).map(|entry| entry.value)
}

#[tokio::test]
async fn durable_data_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (durable, volatile, log) = (DURABLE.key("a"), VOLATILE.key("a"), DURABLE.key("log"));
    let store = Embedded::open(directory.path(), CAPACITY).unwrap();
    store.set(&durable, bytes("kept"), None, Condition::Always).await.unwrap();
    store.set(&volatile, bytes("lost"), None, Condition::Always).await.unwrap();
    store.append(&log, "id", bytes("first")).await.unwrap();
    let before = store.get(&[volatile.clone(), durable.clone()]).await.unwrap();
    drop(store);

    let store = Embedded::open(directory.path(), CAPACITY).unwrap();
    assert_eq!(store.get(&[volatile, durable]).await.unwrap(), [None, before[1].clone()]);
    assert_eq!(store.append(&log, "id", bytes("again")).await.unwrap(), 1);
    assert_eq!(store.read(&log, 0, 10).await.unwrap(), [LogRecord { position: 1, value: bytes("first") }]);
}

#[tokio::test]
async fn a_directory_is_locked_until_the_store_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path(), CAPACITY).unwrap();
    let error = Embedded::open(directory.path(), CAPACITY).err().unwrap();
    assert!(matches!(error, OpenError::Held { .. }), "{error}");
    drop(store);
    Embedded::open(directory.path(), CAPACITY).unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state.redb");
    let store = Embedded::open(directory.path(), CAPACITY).unwrap();
    store.set(&DURABLE.key("a"), bytes(&"x".repeat(100_000)), None, Condition::Always).await.unwrap();
    drop(store);
    let good = std::fs::read(&file).unwrap();
    let check = |damaged: Vec<u8>| {
        std::fs::write(&file, damaged).unwrap();
        let error = Embedded::open(directory.path(), CAPACITY).err().unwrap();
        assert!(matches!(error, OpenError::Unusable { .. }), "{error}");
    };
    check(b"no database".to_vec());
    check(good[..good.len() / 2].to_vec());
    check(good.iter().map(|byte| if *byte == b'x' { b'y' } else { *byte }).collect());
}

#[tokio::test]
async fn a_listing_removes_expired_entries_from_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path(), CAPACITY).unwrap();
    let (expired, stays) = (DURABLE.key("a"), DURABLE.key("b"));
    store.set(&expired, bytes("1"), Some(Duration::ZERO), Condition::Always).await.unwrap();
    store.set(&stays, bytes("2"), Some(Duration::from_secs(3600)), Condition::Always).await.unwrap();
    // Expiry uses the wall clock, which paused time does not stop: 1 ms passes soon.
    while value(&store, &expired).await.is_some() {}
    assert_eq!(store.delete(&expired, Condition::Absent).await.unwrap(), Outcome::Done(false));
    assert_eq!(store.list(DURABLE, "", None).await.unwrap().keys, std::slice::from_ref(&stays));
    let ttl = store.get(&[stays]).await.unwrap().remove(0).unwrap().ttl.unwrap();
    assert!(ttl <= Duration::from_secs(3600) && ttl > Duration::from_secs(3500), "{ttl:?}");
}

#[tokio::test]
async fn long_listings_are_paged() {
    let store = Arc::new(Embedded::new(CAPACITY));
    let names = |count| (0..count).map(|index| format!("a/{index:04}"));
    let mut writes = JoinSet::new();
    for name in names(2_500).chain(["0".to_owned(), "b".to_owned()]) {
        let store = Arc::clone(&store);
        writes.spawn(async move {
            store.set(&DURABLE.key(name), Bytes::new(), None, Condition::Always).await.unwrap();
        });
    }
    writes.join_all().await;
    let (mut listed, mut sizes, mut from) = (Vec::new(), Vec::new(), None);
    loop {
        let page = store.list(DURABLE, "a/", from).await.unwrap();
        sizes.push(page.keys.len());
        listed.extend(page.keys.into_iter().map(|key| key.name));
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [1_000, 1_000, 500]);
    assert!(listed.into_iter().eq(names(2_500)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_expires() {
    let store = Embedded::new(CAPACITY);
    for key in [VOLATILE.key("a"), DURABLE.key("a")] {
        let (token, next) = (Token::random(), Token::random());
        assert!(store.acquire(&key, token, Duration::from_secs(10)).await.unwrap());
        tokio::time::advance(Duration::from_millis(9_999)).await;
        assert!(!store.acquire(&key, next, Duration::from_secs(10)).await.unwrap());
        tokio::time::advance(Duration::from_millis(1)).await;
        let late = store.set(&key, bytes("late"), None, Condition::Lease(token)).await.unwrap();
        assert_eq!(late, Outcome::Refused(None));
        assert!(!store.release(&key, token).await.unwrap());
        assert!(store.acquire(&key, next, Duration::MAX).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_arrive_in_order_with_concurrent_writers() {
    let store = Arc::new(Embedded::new(CAPACITY));
    let mut changes = store.subscribe(CHANGES);
    let mut writes = JoinSet::new();
    for index in 0..8 {
        let store = Arc::clone(&store);
        let space = if index % 2 == 0 { VOLATILE } else { DURABLE };
        writes.spawn(async move {
            for _ in 0..50 {
                store.set(&space.key("a"), Bytes::new(), None, Condition::Always).await.unwrap();
                store.renew(&space.key("a")).await.unwrap();
            }
        });
    }
    writes.join_all().await;
    for expected in 1..=800 {
        let Some(Signal::Message(message)) = changes.next().await else { panic!("a gap before {expected}") };
        let change: Change = std::str::from_utf8(&message).unwrap().parse().unwrap();
        assert_eq!((change.bucket, change.count), (VOLATILE.key("a").bucket(), expected));
    }
}

/// The expected state of one key.
#[derive(Default)]
struct Model {
    revision: Option<Revision>,
    lease: Option<Token>,
    /// All that were ever issued, the latest last.
    revisions: Vec<Revision>,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Set,
    Delete,
    Acquire,
    Release,
}

impl Model {
    /// The condition of this kind, with the revision or token issued `age` before the latest.
    fn condition(&self, kind: usize, age: usize) -> Condition {
        match kind {
            0 => Condition::Always,
            1 => Condition::Absent,
            2 => {
                self.revisions.iter().rev().nth(age).map_or(Condition::Absent, |it| Condition::Revision(*it))
            }
            _ => self.tokens.iter().rev().nth(age).map_or(Condition::Absent, |it| Condition::Lease(*it)),
        }
    }

    fn meets(&self, condition: Condition) -> bool {
        match condition {
            Condition::Always => true,
            Condition::Absent => self.revision.is_none(),
            Condition::Revision(revision) => self.revision == Some(revision),
            Condition::Lease(token) => self.lease == Some(token),
        }
    }

    /// Executes the step on the store and on the model; returns whether it was a change.
    async fn step(&mut self, store: &Embedded, key: &Key, step: Step, condition: Condition) -> bool {
        let found = self.revision;
        let meets = self.meets(condition);
        let changed = match step {
            Step::Set => {
                let outcome = store.set(key, Bytes::new(), None, condition).await.unwrap();
                if let Outcome::Done(revision) = outcome {
                    self.revisions.push(revision);
                    self.revision = Some(revision);
                }
                assert_eq!(matches!(outcome, Outcome::Done(_)), meets);
                meets
            }
            Step::Delete => {
                let expected = if meets { Outcome::Done(found.is_some()) } else { Outcome::Refused(found) };
                assert_eq!(store.delete(key, condition).await.unwrap(), expected);
                self.revision = found.filter(|_| !meets);
                meets
            }
            Step::Acquire => {
                let token = Token::random();
                let acquired = store.acquire(key, token, Duration::from_secs(3600)).await.unwrap();
                assert_eq!(acquired, self.lease.is_none());
                if acquired {
                    self.tokens.push(token);
                    self.lease = Some(token);
                }
                false
            }
            Step::Release => {
                let Condition::Lease(token) = condition else { return false };
                assert_eq!(store.release(key, token).await.unwrap(), meets);
                meets
            }
        };
        if changed {
            self.lease = None;
        }
        let entry = store.get(std::slice::from_ref(key)).await.unwrap().remove(0);
        assert_eq!(entry.map(|entry| entry.revision), self.revision);
        changed
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn conditions_match_a_model(steps in prop::collection::vec(
        (prop::sample::select(vec![VOLATILE, DURABLE]),
         prop::sample::select(vec![Step::Set, Step::Delete, Step::Acquire, Step::Release]),
         0..4_usize, 0..2_usize),
        0..60,
    )) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let store = Embedded::new(CAPACITY);
            let mut changes = store.subscribe(CHANGES);
            let mut models = [Model::default(), Model::default()];
            let mut count = 0;
            for (space, step, kind, age) in steps {
                let model = &mut models[usize::from(space.durable)];
                let condition = model.condition(kind, age);
                count += usize::from(model.step(&store, &space.key("a"), step, condition).await);
            }
            drop(store);
            for _ in 0..count {
                assert!(matches!(changes.next().await, Some(Signal::Message(_))));
            }
            assert_eq!(changes.next().await, None);
        });
    }
}

#[tokio::test]
async fn a_full_disk_fails_writes_opens_the_circuit_breaker_and_heals() {
    let (disk, breakers) = (Disk::default(), Breakers::new(&Metrics::default()));
    let backend = disk.clone();
    let durable = DurableStore::open(move || Ok(backend.clone()), None).unwrap();
    let mut store = Embedded::over(durable, 1 << 20);
    let breaker = breakers.register("test/data-dir", Embedded::BREAKER);
    store.set_breaker(breaker.clone());
    let key = Space::durable("config").key("a");
    let set = async |value: &'static str| {
        store.set(&key, Bytes::from_static(value.as_bytes()), None, Condition::Always).await
    };
    set("before").await.unwrap();
    disk.set_full(true);
    assert_eq!(set("lost").await.unwrap_err().reason(), "DISK_FAILED");
    assert_eq!(breaker.report().state, CircuitState::Open);
    let rejected = set("lost").await.unwrap_err();
    assert!(
        rejected.reason() == "STORE_UNAVAILABLE" && rejected.retry_after() <= Some(Embedded::BREAKER.pause)
    );
    disk.set_full(false);
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    while set("after").await.is_err() {
        tick.tick().await;
    }
    assert_eq!(breaker.report().state, CircuitState::Closed);
    let found = store.get(std::slice::from_ref(&key)).await.unwrap().remove(0).unwrap();
    assert_eq!(found.value, "after");
}
