//! A Redis that says nothing any more, while its connections stay open: the first level answers for as long as it may,
//! and not a moment longer.

use std::time::Duration;

use dataflow_proto::cache::v1 as pb;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use tokio::time::Instant;

use super::caller::{Caller, Refusal};
use super::place::{BY_DEFAULT, Place};

/// How long copies are handed out after the store was last heard of.
const TRUSTED: Duration = Duration::from_millis(600);

/// How often Redis may be silenced until it was so on a machine with time for us: whatever is handed out must be right in
/// each silence; how soon and how long something happens shows in the best of them.
const SILENCES: usize = 10;

/// What came of one silence.
#[derive(Debug)]
struct Silence {
    /// When the last copy was asked for that was handed out.
    last_hit: Option<Duration>,
    /// When the first was asked for that was marked as such.
    first_mark: Option<Duration>,
    /// When the breaker was open.
    opened: Duration,
    /// How long a refusal took by then, at the median.
    refused_in: Duration,
}

// === impl Silence ===

impl Silence {
    /// Whether it went as it does on a machine that has time.
    fn is_as_it_should_be(&self) -> bool {
        // The last reading may be one period old when the silence begins, and is overdue after two.
        self.last_hit.is_some_and(|at| at > Duration::from_millis(100))
            && self.first_mark.is_none_or(|at| at > Duration::from_millis(150))
            && self.opened < Duration::from_millis(1500)
            // A call that were tried would take half a second.
            && self.refused_in < Duration::from_millis(100)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_bridge_a_silence_for_600_ms_and_are_void_after_it() {
    if !redis::available() {
        return;
    }
    let place = Place::over(Server::start(), BY_DEFAULT, &[]).await;
    let (a, b) = place.callers();
    a.put("user/k", "v", &["t"]).await;
    let mut silences = Vec::new();
    while !silences.last().is_some_and(Silence::is_as_it_should_be) {
        assert!(silences.len() < SILENCES, "{silences:#?}");
        silences.push(silence(&place, &b).await);
    }
    println!("{silences:#?}");
}

/// Reads from memory, through a silence and after it.
async fn silence(place: &Place, b: &Caller) -> Silence {
    let server = place.redis.as_ref().unwrap();
    until_copied(b).await;
    let get = async || b.get_entry(pb::GetEntryRequest { key: "user/k".to_owned() }).await;

    server.pause();
    let begun = Instant::now();
    let (mut last_hit, mut first_mark) = (None, None);
    let refusal = loop {
        let asked = begun.elapsed();
        match get().await {
            Ok(answer) => {
                assert!(asked <= TRUSTED, "a hit, asked for after {asked:?}");
                // The last reading was asked for before the silence, and is overdue after two periods.
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
    let Refusal { reason, metadata, .. } = refusal;
    assert_eq!((reason.as_str(), metadata["degraded"].as_str()), ("ENTRY_NOT_FOUND", "true"));
    eventually(TIMEOUT, "the breaker opens", async || place.b.circuit() == 1).await;
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
    eventually(TIMEOUT, "it is found again", async || b.get("user/k").await.is_some()).await;
    let after = b.stats().await;
    assert_eq!(
        after.first_level_hits, before.first_level_hits,
        "the copy from before is not handed out again"
    );
    assert_eq!(after.store_hits, before.store_hits + 1);
    eventually(TIMEOUT, "the breaker closes", async || place.b.circuit() == 0).await;
    place.b.until_trusted().await;
    until_copied(b).await;
    Silence { last_hit, first_mark, opened, refused_in: times[2] }
}

/// Reads the entry until that is answered from memory.
async fn until_copied(b: &Caller) {
    let before = b.stats().await.first_level_hits;
    eventually(TIMEOUT, "a copy is read", async || {
        b.get("user/k").await.unwrap();
        b.stats().await.first_level_hits > before
    })
    .await;
}
