//! Outages of Redis: which calls fail, for how long, and with which errors.

use std::time::{Duration, Instant};

use bytes::Bytes;
use dataflow_mesh::breaker::{Breakers, CircuitState};
use dataflow_mesh::process::Process;
use dataflow_mesh::status::Describe;
use dataflow_store::entries::Condition;
use dataflow_store::signals::Signal;
use dataflow_store::{Error, Store};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Sentinels, Server};
use futures_util::future::join_all;

use super::backend::{
    LASTING, LONG_TIMEOUT, ROLE, VOLATILE, connect, get, open, set, text, try_open, until_connected,
};
use super::signals::{message, until_heard};

/// The time within which a hanging connection is detected (1 s) and writes in doubt are reported.
const DETECTED: Duration = Duration::from_millis(1_400);

/// Maximum duration of a call on a busy machine, where calls must be bounded too.
const BOUND: Duration = Duration::from_secs(20);

/// Maximum number of attempts to measure without interference by a busy machine.
const TRIES: usize = 10;

/// Maximum duration of a call that fails fast, without a connection attempt.
const FAIL_FAST: Duration = Duration::from_millis(100);

/// A single Redis, and a store with its circuit breaker.
struct SingleRedis {
    server: Server,
    store: std::sync::Arc<dyn Store>,
    breakers: Breakers,
}

// === impl SingleRedis ===

impl SingleRedis {
    /// Starts and connects.
    async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The same with these additional flags.
    async fn with(flags: &[&str]) -> Self {
        let (server, process) = (Server::start(), Process::default());
        let store = try_open(&[&["--redis-url", server.url()], flags].concat(), None, &process).unwrap();
        until_connected(&*store).await;
        set(&*store, &VOLATILE.key("a"), "before").await;
        Self { server, store, breakers: process.breakers }
    }

    fn state(&self) -> CircuitState {
        self.breakers.get(&format!("{ROLE}/redis")).unwrap().report().state
    }

    /// Reads while Redis is unavailable: every read fails in time, until the circuit breaker is open and reads fail
    /// fast. Returns the time until it opened.
    async fn fails_soon(&self) -> Duration {
        let (away, key) = (Instant::now(), VOLATILE.key("a"));
        while self.state() == CircuitState::Closed {
            let (refused, took) = timed(self.store.get(std::slice::from_ref(&key))).await;
            let refused = refused.expect_err("Redis is unavailable");
            assert_eq!(refused.reason(), "STORE_UNAVAILABLE", "{refused}");
            assert!(took < BOUND, "a read took {took:?}: {refused}");
        }
        let opened = away.elapsed();
        let mut most = 0;
        for _ in 0..TRIES {
            // Except for the one call that probes whether Redis is back.
            let reads = join_all((0..20).map(|_| timed(self.store.get(std::slice::from_ref(&key))))).await;
            assert!(reads.iter().all(|(read, took)| read.is_err() && *took < BOUND), "{reads:?}");
            most = reads.iter().filter(|(_, took)| *took < FAIL_FAST).count().max(most);
            if most >= 19 {
                break;
            }
        }
        assert!(most >= 19, "{most} of 20 reads fail fast");
        opened
    }

    /// Waits until the circuit breaker is closed and calls succeed.
    async fn recovers(&self) {
        eventually(TIMEOUT, "the circuit breaker closes", async || self.state() == CircuitState::Closed)
            .await;
        set(&*self.store, &VOLATILE.key("b"), "after").await;
        assert_eq!(text(&*self.store, &VOLATILE.key("b")).await.as_deref(), Some("after"));
    }
}

/// The result of a call and its duration.
async fn timed<T>(call: impl Future<Output = Result<T, Error>>) -> (Result<T, Error>, Duration) {
    let begun = Instant::now();
    (call.await, begun.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_redis_is_detected_within_a_second() {
    if !redis::available() {
        return;
    }
    let alone = SingleRedis::start().await;
    let mut times = Vec::new();
    while times.last().is_none_or(|took| *took >= DETECTED) {
        assert!(times.len() < TRIES, "the circuit breaker opened after {times:?}");
        alone.server.pause();
        times.push(alone.fails_soon().await);
        let refused = alone.store.set(&LASTING.key("a"), "x".into(), None, Condition::Always).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.reason(), "STORE_UNAVAILABLE", "an open circuit breaker sends nothing");
        alone.server.resume();
        alone.recovers().await;
        assert_eq!(text(&*alone.store, &VOLATILE.key("a")).await.as_deref(), Some("before"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_a_reply_is_in_doubt() {
    if !redis::available() {
        return;
    }
    let alone = SingleRedis::start().await;
    let (store, key) = (&alone.store, VOLATILE.key("c"));
    let mut times = Vec::new();
    while times.last().is_none_or(|took| *took >= DETECTED) {
        assert!(times.len() < TRIES, "reported after {times:?}");
        alone.server.pause();
        let (written, took) = timed(store.set(&key, "x".into(), None, Condition::Always)).await;
        let doubt = written.expect_err("Redis is unavailable");
        assert_eq!(doubt.reason(), "WRITE_OUTCOME_UNKNOWN", "{doubt}");
        times.push(took);
        alone.server.resume();
        alone.recovers().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_is_reconnected() {
    if !redis::available() {
        return;
    }
    let mut alone = SingleRedis::start().await;
    let mut heard = alone.store.subscribe("topic");
    until_heard(&*alone.store, "topic", &mut heard).await;
    alone.server.kill();
    alone.fails_soon().await;
    alone.server.restart();
    alone.recovers().await;
    assert_eq!(get(&*alone.store, &VOLATILE.key("a")).await, None, "there is no persistence");
    until_a_gap(&mut heard).await;
    until_heard(&*alone.store, "topic", &mut heard).await;
}

// On one thread: no message is received before the subscription.
#[tokio::test]
async fn a_gap_is_signaled_on_connect_and_on_disconnect() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let store = open(&["--redis-url", server.url()], None);
    let mut heard = store.subscribe("topic");
    until_a_gap(&mut heard).await;
    until_heard(&*store, "topic", &mut heard).await;
    store.publish("topic", Bytes::from_static(b"first")).await.unwrap();
    assert_eq!(message(&mut heard).await, "first");
    for _ in 0..3 {
        server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        until_a_gap(&mut heard).await;
        until_heard(&*store, "topic", &mut heard).await;
        // Another gap signals the reconnect; after that there are none.
        store.publish("topic", Bytes::from_static(b"next")).await.unwrap();
        assert_eq!(message(&mut heard).await, "next");
    }
}

/// Receives until a gap is signaled, after which messages may be missing.
async fn until_a_gap(heard: &mut dataflow_store::signals::Subscription) {
    let gap = async { while heard.next().await != Some(Signal::Gap) {} };
    tokio::time::timeout(TIMEOUT, gap).await.expect("no gap is signaled");
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_connections_are_replaced_before_a_read_fails() {
    if !redis::available() {
        return;
    }
    let alone = SingleRedis::with(&LONG_TIMEOUT).await;
    let key = [VOLATILE.key("a")];
    for readers in [1, 100] {
        for round in 0..10 {
            alone.server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
            let reads = join_all((0..readers).map(|_| timed(alone.store.get(&key)))).await;
            for (read, took) in reads {
                let read = read.unwrap_or_else(|error| panic!("{readers} readers, round {round}: {error}"));
                assert!(read[0].is_some() && took < BOUND, "{readers} readers, round {round}: {took:?}");
            }
            assert_eq!(alone.state(), CircuitState::Closed, "{readers} readers, round {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flushed_scripts_are_loaded_again() {
    if !redis::available() {
        return;
    }
    let (server, sentinels) = (Server::start(), Sentinels::start());
    for (url, server) in [(server.url(), &server), (&sentinels.url(), sentinels.primary())] {
        let store = connect(&["--redis-url", url]).await;
        let log = LASTING.key("log");
        for round in 0..3 {
            // The maximum number of pooled connections for durable writes.
            let append = async |index: usize| {
                store.append(&log, &format!("{round} {index}"), Bytes::new()).await.unwrap();
            };
            join_all((0..16).map(append)).await;
            server.command(&["SCRIPT", "FLUSH"]);
            store.append(&log, &format!("{round} last"), Bytes::new()).await.unwrap();
            server.command(&["SCRIPT", "FLUSH"]);
            assert_eq!(get(&*store, &VOLATILE.key("a")).await, None, "{url}");
            server.command(&["SCRIPT", "FLUSH"]);
            join_all((0..16).map(async |_| get(&*store, &VOLATILE.key("a")).await)).await;
            assert_eq!(store.read(&log, 0, 100).await.unwrap().len(), 17 * (round + 1), "{url}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_rejects_writes_and_serves_reads() {
    if !redis::available() {
        return;
    }
    let server = Server::with(&["--maxmemory-policy", "noeviction"]);
    let process = Process::default();
    let store = try_open(&["--redis-url", server.url()], None, &process).unwrap();
    let breakers = process.breakers;
    until_connected(&*store).await;
    let (key, value) = (VOLATILE.key("a"), Bytes::from(vec![b'x'; 1 << 20]));
    let tag = [VOLATILE.key("b")];
    let generation = store.generations(&tag).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let mut put = store.set(&key, value.clone(), None, Condition::Always).await;
    for _ in 0..3 {
        put = store.set(&key, value.clone(), None, Condition::Always).await;
    }
    let refused = put.expect_err("the server is full");
    assert_eq!(refused.reason(), "STORE_UNAVAILABLE", "{refused}");
    // Many of them do not open the circuit breaker: Redis is available.
    let writes = (0..20).map(|_| store.set(&key, value.clone(), None, Condition::Always));
    let reasons: Vec<_> =
        join_all(writes).await.into_iter().map(|put| put.err().map(|it| it.reason())).collect();
    assert!(reasons.iter().all(|reason| *reason == Some("STORE_UNAVAILABLE")), "{reasons:?}");
    store.get(&[key]).await.unwrap();
    assert_eq!(store.generations(&tag).await.unwrap(), generation);
    assert_eq!(store.generations(&[VOLATILE.key("c")]).await.unwrap_err().reason(), "STORE_UNAVAILABLE");
    assert!(
        breakers.list().iter().all(|breaker| breaker.state == CircuitState::Closed),
        "{:?}",
        breakers.list()
    );
}
