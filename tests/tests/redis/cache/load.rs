//! Redis is killed and restarted under a load of 500 requests per second: no request fails, and no overwritten value is
//! read again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dataflow_proto::cache::v1 as pb;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use futures_util::future::join_all;
use tokio::time::{Instant, interval};

use super::caller::{Caller, entry, lease, set, text};
use super::replicas::{DEFAULT_TIMEOUT, Replicas};

/// Requests per second, half of them reads.
const RATE: u32 = 500;
/// Requests before Redis is killed, at least while it is down, and after it is back.
const BEFORE: usize = 750;
const MEANWHILE: usize = 750;
const AFTER: usize = 1000;

/// Number of entries.
const KEYS: usize = 50;

/// The time in which a change reaches every replica.
const PROPAGATION: Duration = Duration::from_secs(1);

/// The versions of one entry. There is one writer at a time, so a later version has a higher number.
#[derive(Default)]
struct Versions {
    next: tokio::sync::Mutex<u64>,
    /// The acknowledged versions with their times, in order.
    acknowledged: Mutex<Vec<(Instant, u64)>>,
}

/// The result of one request.
#[derive(Debug, Default, Clone, Copy)]
struct RequestResult {
    found: usize,
    missed: usize,
    degraded: usize,
    stored: usize,
    not_stored: usize,
    took: Duration,
}

// === impl Versions ===

impl Versions {
    /// The highest version that was acknowledged until then.
    fn at(&self, moment: Instant) -> u64 {
        let acknowledged = self.acknowledged.lock().unwrap();
        acknowledged.iter().take_while(|(when, _)| *when <= moment).last().map_or(0, |(_, version)| *version)
    }

    /// Reads the entry. It is at least as new as the version acknowledged `propagation` ago.
    async fn read(&self, caller: &Caller, key: &str, propagation: Duration) -> RequestResult {
        let asked = Instant::now();
        let floor = asked.checked_sub(propagation).map_or(0, |moment| self.at(moment));
        let answer = caller.get_entry(pb::GetEntryRequest { key: key.to_owned() }).await;
        let took = asked.elapsed();
        match answer {
            Ok(answer) => {
                let version: u64 = text(&answer.entry.unwrap()).parse().unwrap();
                assert!(version >= floor, "{key}: version {version} after {floor} was acknowledged");
                RequestResult { found: 1, took, ..RequestResult::default() }
            }
            Err(refusal) => {
                assert_eq!(refusal.reason, "ENTRY_NOT_FOUND", "{key}: {refusal:?}");
                let degraded = usize::from(refusal.metadata["degraded"] == "true");
                RequestResult { missed: 1, degraded, took, ..RequestResult::default() }
            }
        }
    }

    /// Writes the next version under a lease; does nothing while another write is in progress.
    async fn write(&self, caller: &Caller, key: &str) -> RequestResult {
        let Ok(mut next) = self.next.try_lock() else { return RequestResult::default() };
        *next += 1;
        let asked = Instant::now();
        let leased = caller.lease_entry(lease(key, &["t"])).await.unwrap();
        let pb::Lease { token, generations, .. } = leased.lease.unwrap_or_default();
        let wanted = set(entry(key, &next.to_string(), &["t"]));
        let answer = caller.set_entry(pb::SetEntryRequest { token, generations, ..wanted }).await.unwrap();
        let took = asked.elapsed();
        let degraded = usize::from(leased.degraded || answer.degraded);
        if answer.stored {
            self.acknowledged.lock().unwrap().push((Instant::now(), *next));
            RequestResult { stored: 1, degraded, took, ..RequestResult::default() }
        } else {
            RequestResult { not_stored: 1, degraded, took, ..RequestResult::default() }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_under_load_fails_no_request() {
    if redis::available() {
        check("which forgets", Server::start()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_under_load_revives_no_overwritten_value() {
    if redis::available() {
        // All acknowledged writes are back, and possibly the last unacknowledged one.
        let remembers = ["--appendonly", "yes", "--appendfsync", "always"];
        check("which remembers", Server::with(&remembers)).await;
    }
}

async fn check(what: &str, server: Server) {
    let mut replicas = Replicas::over(server, DEFAULT_TIMEOUT, &[]).await;
    let mut server = replicas.redis.take().unwrap();
    let (a, b) = replicas.callers();
    let keys: Arc<Vec<(String, Versions)>> =
        Arc::new((0..KEYS).map(|index| (format!("user/{index}"), Versions::default())).collect());

    let begun = Instant::now();
    let (mut is_killed, mut back) = (false, None);
    let mut requests = Vec::new();
    let mut rate = interval(Duration::from_secs(1) / RATE);
    let mut worst = (0, 0);
    while back.is_none_or(|back| requests.len() < back + AFTER) {
        rate.tick().await;
        assert!(begun.elapsed() < TIMEOUT, "the circuit breakers do not open: {worst:?}");
        let (caller, keys) = (if fastrand::bool() { a.clone() } else { b.clone() }, Arc::clone(&keys));
        let is_read = requests.len() % 2 == 0;
        requests.push(tokio::spawn(async move {
            let (key, versions) = &keys[fastrand::usize(..KEYS)];
            if is_read {
                versions.read(&caller, key, PROPAGATION).await
            } else {
                versions.write(&caller, key).await
            }
        }));
        if !is_killed && requests.len() >= BEFORE {
            is_killed = true;
            server.kill();
        }
        let noticed = worst.0 > 0 && worst.1 > 0;
        if back.is_none() && requests.len() >= BEFORE + MEANWHILE && noticed {
            // The restart waits until Redis listens; the load must not wait.
            server = tokio::task::spawn_blocking(move || {
                server.restart();
                server
            })
            .await
            .unwrap();
            back = Some(requests.len());
        }
        worst = (worst.0.max(replicas.a.circuit()), worst.1.max(replicas.b.circuit()));
    }
    let count = requests.len();
    let came: Vec<RequestResult> = join_all(requests).await.into_iter().map(Result::unwrap).collect();
    let sum = |of: fn(&RequestResult) -> usize| came.iter().map(of).sum::<usize>();
    let mut times: Vec<_> = came.iter().map(|came| came.took).collect();
    times.sort();
    let at = |share: usize| times[count * share / 1000];
    println!(
        "{count} requests to a Redis {what}: {} found, {} missed, {} stored, {} not; {} degraded; p50 {:?}, p99 {:?}, \
         all {:?}",
        sum(|came| came.found),
        sum(|came| came.missed),
        sum(|came| came.stored),
        sum(|came| came.not_stored),
        sum(|came| came.degraded),
        at(500),
        at(990),
        times[count - 1],
    );
    assert!(sum(|came| came.degraded) > 0, "some requests were degraded");
    assert!(
        sum(|came| came.found) > 0 && sum(|came| came.stored) > 0,
        "some requests found and stored entries"
    );

    // No stale value after it.
    for replica in [&replicas.a, &replicas.b] {
        eventually(TIMEOUT, "the circuit breaker closes", async || replica.circuit() == 0).await;
        replica.until_coherent().await;
    }
    for (key, versions) in keys.iter() {
        let stored = async || versions.write(&a, key).await.stored == 1;
        eventually(TIMEOUT, "the entry is stored", stored).await;
        let latest = versions.at(Instant::now()).to_string();
        let seen = async || b.get(key).await.as_deref() == Some(latest.as_str());
        eventually(TIMEOUT, "the last version is read", seen).await;
        for caller in [&a, &b, &a, &b] {
            versions.read(caller, key, Duration::ZERO).await;
        }
    }
}
