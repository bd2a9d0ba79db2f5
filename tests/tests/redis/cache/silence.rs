//! Redis hangs while its connections stay open: the L1 cache serves copies for 600 ms and no longer.

use std::time::Duration;

use dataflow_proto::cache::v1 as pb;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use tokio::time::Instant;

use super::caller::{Caller, Failure};
use super::replicas::{DEFAULT_TIMEOUT, Replicas};

/// How long copies are served after the last poll of the version counters.
const COHERENT: Duration = Duration::from_millis(600);

/// Maximum number of outages until one is measured without interference by a busy machine. Every response must be
/// correct in each outage; the timing is checked in the best of them.
const OUTAGES: usize = 10;

/// The measurements of one outage.
#[derive(Debug)]
struct Outage {
    /// The time of the last request that a copy served.
    last_hit: Option<Duration>,
    /// The time of the first request with a response marked as degraded.
    first_mark: Option<Duration>,
    /// The time at which the circuit breaker was open.
    opened: Duration,
    /// The median duration of a degraded call by then.
    refused_in: Duration,
}

// === impl Outage ===

impl Outage {
    /// Whether the timing is as on an idle machine.
    fn is_on_time(&self) -> bool {
        // The last poll may be one period old when the outage begins, and is overdue after two.
        self.last_hit.is_some_and(|at| at > Duration::from_millis(100))
            && self.first_mark.is_none_or(|at| at > Duration::from_millis(150))
            && self.opened < Duration::from_millis(1500)
            // A call that reaches Redis would take half a second.
            && self.refused_in < Duration::from_millis(100)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_served_for_600_ms_of_an_outage_and_dropped_after_it() {
    if !redis::available() {
        return;
    }
    let replicas = Replicas::over(Server::start(), DEFAULT_TIMEOUT, &[]).await;
    let (a, b) = replicas.callers();
    a.put("user/k", "v", &["t"]).await;
    let mut silences = Vec::new();
    while !silences.last().is_some_and(Outage::is_on_time) {
        assert!(silences.len() < OUTAGES, "{silences:#?}");
        silences.push(outage(&replicas, &b).await);
    }
    println!("{silences:#?}");
}

/// Reads from L1 before, during and after an outage.
async fn outage(replicas: &Replicas, b: &Caller) -> Outage {
    let server = replicas.redis.as_ref().unwrap();
    until_copied(b).await;
    let get = async || b.get_entry(pb::GetEntryRequest { key: "user/k".to_owned() }).await;

    server.pause();
    let begun = Instant::now();
    let (mut last_hit, mut first_mark) = (None, None);
    let refusal = loop {
        let asked = begun.elapsed();
        match get().await {
            Ok(answer) => {
                assert!(asked <= COHERENT, "a hit, requested after {asked:?}");
                // The last poll was sent before the outage, and is overdue after two periods.
                let must_be_marked = asked > Duration::from_millis(450);
                assert!(answer.degraded || !must_be_marked, "{answer:?} after {asked:?}");
                last_hit = Some(asked);
                if answer.degraded {
                    first_mark.get_or_insert(asked);
                }
            }
            Err(refusal) => break refusal,
        }
    };
    let Failure { reason, metadata, .. } = refusal;
    assert_eq!((reason.as_str(), metadata["degraded"].as_str()), ("ENTRY_NOT_FOUND", "true"));
    eventually(TIMEOUT, "the circuit breaker opens", async || replicas.b.circuit() == 1).await;
    let opened = begun.elapsed();
    assert!(!b.stats().await.first_level_trusted);
    let mut times = Vec::new();
    for _ in 0..5 {
        let asked = Instant::now();
        assert!(get().await.is_err());
        times.push(asked.elapsed());
    }
    times.sort();

    server.resume();
    let before = b.stats().await;
    eventually(TIMEOUT, "the entry is found again", async || b.get("user/k").await.is_some()).await;
    let after = b.stats().await;
    assert_eq!(
        after.first_level_hits, before.first_level_hits,
        "the copy from before the outage is not served again"
    );
    assert_eq!(after.store_hits, before.store_hits + 1);
    eventually(TIMEOUT, "the circuit breaker closes", async || replicas.b.circuit() == 0).await;
    replicas.b.until_coherent().await;
    until_copied(b).await;
    Outage { last_hit, first_mark, opened, refused_in: times[2] }
}

/// Reads the entry until the read is an L1 hit.
async fn until_copied(b: &Caller) {
    let before = b.stats().await.first_level_hits;
    eventually(TIMEOUT, "a copy is read", async || {
        b.get("user/k").await.unwrap();
        b.stats().await.first_level_hits > before
    })
    .await;
}
