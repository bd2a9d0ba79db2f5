//! What is recorded of the uses of keys, by several replicas, and what stays of it without the store.

use dataflow_store::embedded::Embedded;
use dataflow_store::entries::Entries;

use super::*;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn store() -> Arc<Embedded> {
    Arc::new(Embedded::new(1 << 20))
}

fn key_uses(store: &Arc<Embedded>) -> KeyUses {
    KeyUses::new(Arc::clone(store) as _)
}

fn used(key_id: &str, time: SystemTime) -> Vec<(String, SystemTime)> {
    vec![(key_id.to_owned(), time)]
}

async fn last(uses: &KeyUses, key_id: &str) -> Option<SystemTime> {
    uses.of(&[key_id]).await.remove(key_id)
}

/// All identifiers in the store.
async fn stored(store: &Embedded) -> Vec<String> {
    let entries: Vec<_> = DIGITS.chars().map(entry).collect();
    let found = store.get(&entries).await.unwrap().into_iter().flatten();
    found.flat_map(|entry| decode_uses(entry.value).unwrap().into_keys()).collect()
}

#[tokio::test]
async fn the_latest_use_of_all_replicas_counts() {
    let store = store();
    let (one, other) = (key_uses(&store), key_uses(&store));
    assert_eq!(last(&one, "k-1").await, None);
    for (uses, seconds, expected) in
        [(&one, 100, 100), (&other, 160, 160), (&one, 130, 160), (&other, 900, 500)]
    {
        uses.record(used("k-1", at(seconds)), at(500), |_| true).await.unwrap();
        for uses in [&one, &other] {
            assert_eq!(last(uses, "k-1").await, Some(at(expected)), "{seconds}");
        }
    }
    let fraction = at(700) + Duration::from_millis(900);
    one.record(used("k-2", fraction), at(900), |_| true).await.unwrap();
    assert_eq!(last(&other, "k-2").await, Some(at(700)));
}

#[tokio::test]
async fn there_are_no_more_uses_than_keys() {
    let store = store();
    let uses = key_uses(&store);
    // All in one entry.
    for key in 0..20 {
        uses.record(used(&format!("k-{key}a"), at(1)), at(1), |id| id != "k-7a").await.unwrap();
    }
    assert_eq!(stored(&store).await.len(), 19, "not of a key that does not exist");
    uses.forget("k-3a", |id| id != "k-3a").await;
    assert_eq!((stored(&store).await.len(), last(&uses, "k-3a").await), (18, None));
    // A use that arrived too late is dropped with the next one.
    uses.record(used("k-3a", at(2)), at(2), |_| true).await.unwrap();
    uses.record(used("k-5a", at(3)), at(3), |id| id == "k-5a").await.unwrap();
    assert_eq!(stored(&store).await, ["k-5a"]);
    for no_key in ["", "k-", "k-Z", "k-\u{e0}"] {
        uses.record(used(no_key, at(1)), at(1), |_| true).await.unwrap();
    }
    assert_eq!(stored(&store).await, ["k-5a"]);
}

#[tokio::test]
async fn concurrent_reports_lose_nothing() {
    let store = store();
    let replicas: Vec<_> = (0..8).map(|_| key_uses(&store)).collect();
    let reports = replicas.iter().enumerate().map(|(index, uses)| async move {
        uses.record(used(&format!("k-{index}a"), at(1)), at(1), |_| true).await
    });
    for report in futures_util::future::join_all(reports).await {
        report.unwrap();
    }
    assert_eq!(stored(&store).await.len(), 8);
}

#[tokio::test]
async fn what_a_later_release_wrote_stays_and_what_is_damaged_is_replaced() {
    let store = store();
    let uses = key_uses(&store);
    let set = async |value: &'static [u8]| {
        store.set(&entry('a'), Bytes::from_static(value), None, Condition::Always).await.unwrap();
    };
    set(b"\x08\x02").await;
    let refused = uses.record(used("k-a", at(1)), at(1), |_| true).await;
    assert!(matches!(refused, Err(Error::ReleaseOutdated)));
    assert_eq!(last(&uses, "k-a").await, None);
    set(b"\xff").await;
    uses.record(used("k-a", at(1)), at(1), |_| true).await.unwrap();
    assert_eq!(last(&uses, "k-a").await, Some(at(1)));
}
