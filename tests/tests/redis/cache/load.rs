//! A Redis that is killed and comes back while 500 requests a second go on: none fails, and nothing that was replaced
//! is read again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dataflow_proto::cache::v1 as pb;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use futures_util::future::join_all;
use tokio::time::{Instant, interval};

use super::caller::{Caller, entry, lease, set, text};
use super::place::{BY_DEFAULT, Place};

/// Requests a second, half of them reads.
const RATE: u32 = 500;
/// How many there are before Redis is killed, at least while it is gone, and after it is back.
const BEFORE: usize = 750;
const MEANWHILE: usize = 750;
const AFTER: usize = 1000;

/// Entries that are written and read.
const KEYS: usize = 50;

/// How long a change may take to reach every replica.
const SPREADING: Duration = Duration::from_secs(1);

/// The versions of one entry. One writer at a time, so that a later version is a higher number.
#[derive(Default)]
struct Versions {
    next: tokio::sync::Mutex<u64>,
    /// When which was acknowledged, in order.
    acknowledged: Mutex<Vec<(Instant, u64)>>,
}

/// What one request came to.
#[derive(Debug, Default, Clone, Copy)]
struct Came {
    found: usize,
    missed: usize,
    degraded: usize,
    stored: usize,
    not_stored: usize,
    took: Duration,
}

// === impl Versions ===

impl Versions {
    /// The highest that was acknowledged until then.
    fn at(&self, moment: Instant) -> u64 {
        let acknowledged = self.acknowledged.lock().unwrap();
        acknowledged.iter().take_while(|(when, _)| *when <= moment).last().map_or(0, |(_, version)| *version)
    }

    /// Reads the entry. It is not older than what was acknowledged `spreading` ago.
    async fn read(&self, caller: &Caller, key: &str, spreading: Duration) -> Came {
        let asked = Instant::now();
        let floor = asked.checked_sub(spreading).map_or(0, |moment| self.at(moment));
        let answer = caller.get_entry(pb::GetEntryRequest { key: key.to_owned() }).await;
        let took = asked.elapsed();
        match answer {
            Ok(answer) => {
                let version: u64 = text(&answer.entry.unwrap()).parse().unwrap();
                assert!(version >= floor, "{key}: version {version} after {floor} was acknowledged");
                Came { found: 1, took, ..Came::default() }
            }
            Err(refusal) => {
                assert_eq!(refusal.reason, "ENTRY_NOT_FOUND", "{key}: {refusal:?}");
                let degraded = usize::from(refusal.metadata["degraded"] == "true");
                Came { missed: 1, degraded, took, ..Came::default() }
            }
        }
    }

    /// Writes the next version as whoever computes it does; none while another is being written.
    async fn write(&self, caller: &Caller, key: &str) -> Came {
        let Ok(mut next) = self.next.try_lock() else { return Came::default() };
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
            Came { stored: 1, degraded, took, ..Came::default() }
        } else {
            Came { not_stored: 1, degraded, took, ..Came::default() }
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
async fn an_outage_under_load_brings_nothing_back_that_was_replaced() {
    if redis::available() {
        // All that was acknowledged is there again, and what was sent last too, perhaps.
        let remembers = ["--appendonly", "yes", "--appendfsync", "always"];
        check("which remembers", Server::with(&remembers)).await;
    }
}

async fn check(what: &str, server: Server) {
    let mut place = Place::over(server, BY_DEFAULT, &[]).await;
    let mut server = place.redis.take().unwrap();
    let (a, b) = place.callers();
    let keys: Arc<Vec<(String, Versions)>> =
        Arc::new((0..KEYS).map(|index| (format!("user/{index}"), Versions::default())).collect());

    let begun = Instant::now();
    let (mut is_killed, mut back) = (false, None);
    let mut requests = Vec::new();
    let mut rate = interval(Duration::from_secs(1) / RATE);
    let mut worst = (0, 0);
    while back.is_none_or(|back| requests.len() < back + AFTER) {
        rate.tick().await;
        assert!(begun.elapsed() < TIMEOUT, "the breakers do not open: {worst:?}");
        let (caller, keys) = (if fastrand::bool() { a.clone() } else { b.clone() }, Arc::clone(&keys));
        let is_read = requests.len() % 2 == 0;
        requests.push(tokio::spawn(async move {
            let (key, versions) = &keys[fastrand::usize(..KEYS)];
            if is_read {
                versions.read(&caller, key, SPREADING).await
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
            // It waits for Redis to listen, and the requests must not.
            server = tokio::task::spawn_blocking(move || {
                server.restart();
                server
            })
            .await
            .unwrap();
            back = Some(requests.len());
        }
        worst = (worst.0.max(place.a.circuit()), worst.1.max(place.b.circuit()));
    }
    let count = requests.len();
    let came: Vec<Came> = join_all(requests).await.into_iter().map(Result::unwrap).collect();
    let sum = |of: fn(&Came) -> usize| came.iter().map(of).sum::<usize>();
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
    assert!(sum(|came| came.degraded) > 0, "there was an outage");
    assert!(sum(|came| came.found) > 0 && sum(|came| came.stored) > 0, "there were better times");

    // Nothing stale after it.
    for replica in [&place.a, &place.b] {
        eventually(TIMEOUT, "the breaker closes", async || replica.circuit() == 0).await;
        replica.until_trusted().await;
    }
    for (key, versions) in keys.iter() {
        let stored = async || versions.write(&a, key).await.stored == 1;
        eventually(TIMEOUT, "it is stored", stored).await;
        let latest = versions.at(Instant::now()).to_string();
        let seen = async || b.get(key).await.as_deref() == Some(latest.as_str());
        eventually(TIMEOUT, "the last version is there", seen).await;
        for caller in [&a, &b, &a, &b] {
            versions.read(caller, key, Duration::ZERO).await;
        }
    }
}
