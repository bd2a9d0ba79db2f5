//! Entries: set, expiry, and the order of batch reads.

use std::time::Duration;

use bytes::Bytes;
use dataflow_store::entries::{Condition, Outcome};
use dataflow_tests::eventually::{TIMEOUT, eventually};

use super::backend::{LASTING, SPACES, Stores, VOLATILE, get, set, text};

pub(crate) async fn an_entry_exists_until_it_is_deleted(Stores { ours, theirs, .. }: Stores) {
    for key in SPACES.map(|space| space.key("acme:user/a")) {
        assert_eq!(get(&*ours, &key).await, None, "{key}");
        assert_eq!(ours.delete(&key, Condition::Always).await.unwrap(), Outcome::Done(false), "{key}");
        let first = set(&*ours, &key, "first").await;
        let entry = get(&*theirs, &key).await.unwrap();
        assert_eq!((&entry.value[..], entry.revision, entry.ttl), (&b"first"[..], first, None), "{key}");
        let second = set(&*theirs, &key, "second").await;
        assert_ne!(second, first, "{key}");
        assert_eq!(text(&*ours, &key).await.as_deref(), Some("second"), "{key}");
        assert_eq!(ours.delete(&key, Condition::Always).await.unwrap(), Outcome::Done(true), "{key}");
        assert_eq!(get(&*theirs, &key).await, None, "{key}");
    }
}

pub(crate) async fn a_batch_is_returned_in_order(Stores { ours, theirs, .. }: Stores) {
    assert_eq!(ours.get(&[]).await.unwrap(), []);
    // More keys than buckets, alternately volatile and durable, a third of them absent, and one twice.
    let mut keys: Vec<_> = (0..200).map(|index| SPACES[index % 2].key(format!("key/{index}"))).collect();
    let is_absent = |index: usize| index.is_multiple_of(3);
    for (index, key) in keys.iter().enumerate().filter(|(index, _)| !is_absent(*index)) {
        set(&*ours, key, &index.to_string()).await;
    }
    keys.push(keys[1].clone());
    let found = theirs.get(&keys).await.unwrap();
    let found = found.iter().map(|entry| entry.as_ref().map(|entry| str::from_utf8(&entry.value).unwrap()));
    let expected = (0..200).chain([1]).map(|index| (!is_absent(index)).then(|| index.to_string()));
    assert!(found.eq(expected.collect::<Vec<_>>().iter().map(Option::as_deref)), "another order");
}

pub(crate) async fn an_entry_expires_after_its_ttl(Stores { ours, theirs, .. }: Stores) {
    let (minute, moment) = (Duration::from_secs(60), Duration::from_millis(50));
    for space in SPACES {
        let [long, short, least, renewed] = ["long", "short", "least", "renewed"].map(|name| space.key(name));
        let put =
            async |key, ttl| ours.set(key, Bytes::from_static(b"x"), ttl, Condition::Always).await.unwrap();
        put(&long, Some(minute)).await;
        put(&renewed, Some(moment)).await;
        put(&renewed, None).await;
        put(&least, Some(Duration::ZERO)).await;
        put(&short, Some(moment)).await;
        eventually(TIMEOUT, "the entry with the shortest TTL has expired", async || {
            get(&*theirs, &least).await.is_none()
        })
        .await;
        eventually(TIMEOUT, "the entry with the short TTL has expired", async || {
            get(&*theirs, &short).await.is_none()
        })
        .await;
        let ttl = get(&*theirs, &long).await.unwrap().ttl.unwrap();
        assert!(ttl <= minute && ttl > Duration::ZERO, "{space:?}: {ttl:?}");
        assert_eq!(get(&*theirs, &renewed).await.unwrap().ttl, None, "{space:?}");
        // An expired entry is absent for every operation.
        assert_eq!(
            theirs.delete(&short, Condition::Always).await.unwrap(),
            Outcome::Done(false),
            "{space:?}"
        );
        let taken = theirs.set(&least, Bytes::new(), None, Condition::Absent).await.unwrap();
        assert!(matches!(taken, Outcome::Done(_)), "{space:?}: {taken:?}");
    }
}

pub(crate) async fn a_megabyte_is_stored_unchanged(Stores { ours, theirs, .. }: Stores) {
    let megabyte = Bytes::from(std::iter::repeat_with(|| fastrand::u8(..)).take(1 << 20).collect::<Vec<_>>());
    for (key, next) in SPACES.map(|space| (space.key("large"), space.key("next"))) {
        ours.set(&key, megabyte.clone(), None, Condition::Always).await.unwrap();
        set(&*ours, &next, "small").await;
        let found = theirs.get(&[key.clone(), next]).await.unwrap();
        let [Some(large), Some(small)] = &found[..] else { panic!("{key}: an entry is missing") };
        assert!(large.value == megabyte, "{key}: {} other bytes", large.value.len());
        assert_eq!(&small.value[..], b"small", "{key}");
    }
    let log = LASTING.key("log");
    ours.append(&log, "id", megabyte.clone()).await.unwrap();
    assert!(theirs.read(&log, 0, 1).await.unwrap()[0].value == megabyte, "other bytes in the log");
}

pub(crate) async fn values_and_names_are_arbitrary(Stores { ours, theirs, .. }: Stores) {
    let every_byte = Bytes::from_iter(0..=u8::MAX);
    let names = ["", "{}", "{a}b", "a}b", "a:b:c", "*", "è/日本", "\0", "%0A", &"x".repeat(10_000)];
    let keys: Vec<_> = SPACES.iter().flat_map(|space| names.map(|name| space.key(name))).collect();
    for key in &keys {
        ours.set(key, every_byte.clone(), None, Condition::Absent).await.unwrap();
    }
    for (key, entry) in keys.iter().zip(theirs.get(&keys).await.unwrap()) {
        assert_eq!(entry.map(|entry| entry.value).as_ref(), Some(&every_byte), "{key}");
    }
    set(&*ours, &VOLATILE.key("empty"), "").await;
    assert_eq!(text(&*theirs, &VOLATILE.key("empty")).await.as_deref(), Some(""));
}
