//! Durable writes: acknowledged when enough replicas have confirmed them, otherwise an error.

use std::time::{Duration, Instant};

use bytes::Bytes;
use dataflow_mesh::status::Describe;
use dataflow_store::Error;
use dataflow_store::entries::{Condition, Outcome};
use dataflow_store::logs::Appended;
use dataflow_store::{Store, key::Key};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Cluster, Sentinels, Server};

use super::backend::{LASTING, LONG_TIMEOUT, VOLATILE, connect, get, set, text};

/// The result of every durable write: `None`, or the number of replicas that confirmed it.
async fn durable_writes(store: &dyn Store) -> Vec<Option<(u64, u64)>> {
    let [lasting, volatile] = [LASTING, VOLATILE].map(|space| space.key("a"));
    let value = || Bytes::from_static(b"x");
    let begun = Instant::now();
    let written = [
        store.set(&lasting, value(), None, Condition::Always).await.err(),
        store.append(&lasting, "id", value()).await.err(),
        store.renew(&lasting).await.err(),
        store.delete(&volatile, Condition::Always).await.err(),
        store.delete(&LASTING.key("b"), Condition::Always).await.err(),
    ];
    // 400 ms each, not the timeout of a call.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let shortage = |error: Option<Error>| match error {
        None => None,
        Some(Error::NotReplicated { got, wanted }) => Some((got, wanted)),
        Some(other) => panic!("{}: {other}", other.reason()),
    };
    // Volatile writes do not wait for replicas.
    assert!(store.set(&volatile, value(), None, Condition::Always).await.is_ok());
    written.into_iter().map(shortage).collect()
}

/// A write with too few confirmations is not lost: it is applied, and a retry is safe.
async fn is_applied(store: &dyn Store, key: &Key) {
    assert_eq!(text(store, key).await.as_deref(), Some("x"));
    assert_eq!(store.read(key, 0, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_in_a_cluster_waits_for_a_replica() {
    if !redis::available() {
        return;
    }
    let cluster = Cluster::start();
    let store = connect(&[&["--redis-url", &cluster.url()][..], &LONG_TIMEOUT].concat()).await;
    assert_eq!(durable_writes(&*store).await, [None; 5]);
    for replica in &cluster.nodes()[3..] {
        replica.pause();
    }
    assert_eq!(durable_writes(&*store).await, [Some((0, 1)); 5]);
    is_applied(&*store, &LASTING.key("a")).await;
    let lax =
        connect(&[&["--redis-url", &cluster.url(), "--redis-replicas", "0"][..], &LONG_TIMEOUT].concat())
            .await;
    assert_eq!(durable_writes(&*lax).await, [None; 5]);
    for replica in &cluster.nodes()[3..] {
        replica.resume();
    }
    eventually(TIMEOUT, "the replicas have caught up", async || durable_writes(&*store).await == [None; 5])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_behind_sentinels_waits_for_replicas() {
    if !redis::available() {
        return;
    }
    let sentinels = Sentinels::start();
    let url = sentinels.url();
    for (replicas, expected) in [("0", None), ("1", None), ("2", None), ("3", Some((2, 3)))] {
        let store =
            connect(&[&["--redis-url", &url, "--redis-replicas", replicas][..], &LONG_TIMEOUT].concat())
                .await;
        assert_eq!(durable_writes(&*store).await, [expected; 5], "{replicas}");
        is_applied(&*store, &LASTING.key("a")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_server_needs_no_replica_by_default() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let store = connect(&[&["--redis-url", server.url()][..], &LONG_TIMEOUT].concat()).await;
    assert_eq!(durable_writes(&*store).await, [None; 5]);
    let strict =
        connect(&[&["--redis-url", server.url(), "--redis-replicas", "1"][..], &LONG_TIMEOUT].concat()).await;
    assert_eq!(durable_writes(&*strict).await, [Some((0, 1)); 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_write_does_not_wait_for_replicas() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let lax = connect(&[&["--redis-url", server.url()][..], &LONG_TIMEOUT].concat()).await;
    let strict =
        connect(&[&["--redis-url", server.url(), "--redis-replicas", "1"][..], &LONG_TIMEOUT].concat()).await;
    let (key, log) = (LASTING.key("a"), LASTING.key("log"));
    let revision = set(&*lax, &key, "x").await;
    lax.append(&log, "id", "x".into()).await.unwrap();
    let refused = strict.set(&key, "y".into(), None, Condition::Absent).await.unwrap();
    assert_eq!(refused, Outcome::Refused(Some(revision)));
    let refused = strict.delete(&key, Condition::Absent).await.unwrap();
    assert_eq!(refused, Outcome::Refused(Some(revision)));
    let refused = strict.append_after(&log, 0, "other", "y".into()).await.unwrap();
    assert_eq!(refused, Appended::Behind { last: 1 });
    // The previous record may not be on any replica either.
    let again = strict.append(&log, "id", "x".into()).await.unwrap_err();
    assert_eq!(again.reason(), "WRITE_NOT_REPLICATED", "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_a_reply_to_wait_is_applied() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let store =
        connect(&[&["--redis-url", server.url(), "--redis-replicas", "1"][..], &LONG_TIMEOUT].concat()).await;
    let key = LASTING.key("a");
    let put = async |value: &str| store.set(&key, value.to_owned().into(), None, Condition::Always).await;
    let check = |put: Result<_, Error>| {
        assert!(matches!(put, Err(Error::NotReplicated { got: 0, wanted: 1 })), "{put:?}");
    };
    server.command(&["ACL", "SETUSER", "default", "-wait"]);
    check(put("refused").await);
    assert_eq!(text(&*store, &key).await.as_deref(), Some("refused"));
    server.command(&["ACL", "SETUSER", "default", "+wait"]);
    // The primary becomes a replica during WAIT.
    let demote = async {
        eventually(TIMEOUT, "the value is written", async || {
            text(&*store, &key).await.as_deref() == Some("late")
        })
        .await;
        server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    };
    let (put, ()) = tokio::join!(put("late"), demote);
    check(put);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_share_few_connections() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let store =
        connect(&[&["--redis-url", server.url(), "--redis-replicas", "1"][..], &LONG_TIMEOUT].concat()).await;
    // None is confirmed, so each uses a connection for 400 ms.
    let tags: Vec<_> = (0..70).map(|index| VOLATILE.key(format!("tag{index}"))).collect();
    let renewed = futures_util::future::join_all(tags.iter().map(|tag| store.renew(tag))).await;
    // On a busy machine the breaker may end the last ones, after a second without any reply.
    let waited = renewed.iter().filter(|tag| matches!(tag, Err(Error::NotReplicated { .. }))).count();
    assert!(waited > 32 && renewed.iter().all(Result::is_err), "{renewed:?}");
    let clients = server.command(&["CLIENT", "LIST"]).text().lines().count();
    // The shared connection, the subscription, the test's own.
    assert!(clients <= 32 + 3, "{clients} connections");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_do_not_block_each_other() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let store =
        connect(&[&["--redis-url", server.url(), "--redis-replicas", "1"][..], &LONG_TIMEOUT].concat()).await;
    // None is confirmed, so each waits 400 ms; reads do not wait for them.
    let begun = Instant::now();
    let keys: Vec<_> = (0..32).map(|index| LASTING.key(format!("a{index}"))).collect();
    let write = |key| store.set(key, Bytes::new(), None, Condition::Always);
    let writes = futures_util::future::join_all(keys.iter().map(write));
    let writes = async { (writes.await, begun.elapsed()) };
    let reads = async {
        eventually(TIMEOUT, "a write has begun", async || get(&*store, &keys[0]).await.is_some()).await;
        begun.elapsed()
    };
    let ((written, took), read) = tokio::join!(writes, reads);
    assert!(written.iter().all(|write| matches!(write, Err(Error::NotReplicated { .. }))), "{written:?}");
    // Sequentially they would take 13 s.
    assert!(took < Duration::from_secs(8), "32 x 400 ms in {took:?}");
    assert!(read < took, "a read waited for the writes");
}
