//! A Redis that says nothing any more, while its connections stay open: the first level answers for as long as it may,
//! and not a moment longer.

use std::time::Duration;

use dataflow_proto::cache::v1 as pb;
use dataflow_tests::eventually::{PATIENCE, eventually};
use dataflow_tests::redis;
use tokio::time::Instant;

use super::caller::Refusal;
use super::place::Place;

/// How long copies are handed out after the store was last heard of.
const TRUSTED: Duration = Duration::from_millis(600);

#[tokio::test(flavor = "multi_thread")]
async fn copies_bridge_a_silence_for_600_ms_and_are_void_after_it() {
    if !redis::available() {
        return;
    }
    let place = Place::redis(&[]).await;
    let server = place.redis.as_ref().unwrap();
    let (a, b) = place.callers();
    a.put("user/k", "v", &["t"]).await;
    eventually(PATIENCE, "a copy is read", async || {
        b.get("user/k").await.unwrap();
        b.stats().await.first_level_hits > 0
    })
    .await;
    let get = async || b.get_entry(pb::GetEntryRequest { key: "user/k".to_owned() }).await;

    server.pause();
    let begun = Instant::now();
    let mut last_hit = None;
    let refusal = loop {
        let asked = begun.elapsed();
        match get().await {
            Ok(answer) => {
                assert!(asked <= TRUSTED, "a hit, asked for after {asked:?}");
                // The last reading was asked for a period before the silence at the earliest, and is overdue after two.
                let must_be_marked = asked > Duration::from_millis(450);
                let may_be_marked = asked > Duration::from_millis(150);
                assert!(
                    if answer.degraded { may_be_marked } else { !must_be_marked },
                    "{answer:?} after {asked:?}"
                );
                last_hit = Some(asked);
            }
            Err(refusal) => break refusal,
        }
    };
    let Refusal { reason, metadata, .. } = refusal;
    assert_eq!((reason.as_str(), metadata["degraded"].as_str()), ("ENTRY_NOT_FOUND", "true"));
    println!("the last copy was handed out {last_hit:?} after the silence began");
    let last_hit = last_hit.expect("it was read from memory");
    // The last reading may be one period old when the silence begins.
    assert!(last_hit > Duration::from_millis(100), "{last_hit:?}");
    let opened = async || place.b.circuit() == 1;
    eventually(PATIENCE, "the breaker opens", opened).await;
    println!("the breaker opened {:?} after the silence began", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    assert!(!b.stats().await.first_level_trusted);
    let asked = Instant::now();
    assert!(get().await.is_err());
    assert!(
        asked.elapsed() < Duration::from_millis(100),
        "an open breaker answers at once: {:?}",
        asked.elapsed()
    );

    server.resume();
    let before = b.stats().await;
    eventually(PATIENCE, "it is found again", async || b.get("user/k").await.is_some()).await;
    let after = b.stats().await;
    assert_eq!(
        after.first_level_hits, before.first_level_hits,
        "the copy from before is not handed out again"
    );
    assert_eq!(after.store_hits, before.store_hits + 1);
    eventually(PATIENCE, "the breaker closes", async || place.b.circuit() == 0).await;
    place.b.until_trusted().await;
    eventually(PATIENCE, "a copy is read", async || {
        b.get("user/k").await.unwrap();
        b.stats().await.first_level_hits > after.first_level_hits
    })
    .await;
}
