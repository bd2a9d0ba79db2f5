//! Logs: every record once, at the next position, also with concurrent writers.

use dataflow_store::Store;
use dataflow_store::key::Key;
use dataflow_store::logs::{Appended, LogRecord, READ_SIZE};
use futures_util::future::join_all;

use super::backend::{LASTING, Stores};

/// All records of a log.
pub(crate) async fn all(store: &dyn Store, log: &Key) -> Vec<LogRecord> {
    let mut records: Vec<LogRecord> = Vec::new();
    loop {
        let after = records.last().map_or(0, |record| record.position);
        let page = store.read(log, after, 100_000).await.unwrap();
        if page.is_empty() {
            return records;
        }
        records.extend(page);
    }
}

pub(crate) async fn a_log_is_trimmed_from_its_beginning(Stores { ours, theirs, .. }: Stores) {
    let (log, empty) = (LASTING.key("log"), LASTING.key("empty"));
    for position in 1..=9 {
        let id = format!("id{position}");
        ours.append(&log, &id, position.to_string().into()).await.unwrap();
    }
    for (first, expected) in [(0, 1), (1, 1), (4, 4), (2, 4), (4, 4), (9, 9), (u64::MAX, 9)] {
        theirs.trim(&log, first).await.unwrap();
        let found = all(&*ours, &log).await.into_iter().map(|record| record.position);
        assert!(found.eq(expected..=9), "trimmed up to {first}");
    }
    ours.trim(&empty, 5).await.unwrap();
    assert_eq!(ours.append(&empty, "first", "x".into()).await.unwrap(), 1);
    // Positions go on, and known ids keep theirs.
    assert_eq!(theirs.append(&log, "id3", "again".into()).await.unwrap(), 3);
    assert_eq!(theirs.append_after(&log, 9, "id10", "10".into()).await.unwrap(), Appended::At(10));
    assert_eq!(all(&*ours, &log).await.len(), 2);
}

pub(crate) async fn one_read_returns_a_bounded_number_of_bytes(Stores { ours, theirs, .. }: Stores) {
    let log = LASTING.key("log");
    for position in 1..=5 {
        let record = vec![b'x'; READ_SIZE / 2 + 1].into();
        ours.append(&log, &position.to_string(), record).await.unwrap();
    }
    let huge = vec![b'x'; 3 * READ_SIZE].into();
    ours.append(&log, "6", huge).await.unwrap();
    let mut sizes = Vec::new();
    let mut after = 0;
    while let Some(last) = theirs.read(&log, after, 100).await.unwrap().last() {
        sizes.push(last.position - after);
        after = last.position;
    }
    assert_eq!(sizes, [2, 2, 2], "the last two are one of each size");
}

pub(crate) async fn positions_have_no_gaps(Stores { ours, theirs, .. }: Stores) {
    let (log, other) = (LASTING.key("log"), LASTING.key("log2"));
    assert_eq!(all(&*theirs, &log).await, []);
    let append = async |index: usize| {
        let store = if index.is_multiple_of(2) { &ours } else { &theirs };
        let text = format!("record {index}");
        (store.append(&log, &format!("id{index}"), text.clone().into()).await.unwrap(), text)
    };
    let mut appended = join_all((0..32).map(append)).await;
    appended.sort();
    assert!(appended.iter().map(|(position, _)| *position).eq(1..=32), "{appended:?}");
    let read = all(&*theirs, &log).await;
    let read: Vec<_> = read.into_iter().map(|record| (record.position, record.value)).collect();
    let appended: Vec<_> = appended.into_iter().map(|(position, text)| (position, text.into())).collect();
    assert_eq!(read, appended);
    // Another log has separate positions.
    assert_eq!(ours.append(&other, "id0", "x".into()).await.unwrap(), 1);
}

pub(crate) async fn a_record_id_is_appended_once(Stores { ours, theirs, .. }: Stores) {
    let (log, other) = (LASTING.key("log"), LASTING.key("other"));
    assert_eq!(ours.append(&log, "a", "first".into()).await.unwrap(), 1);
    assert_eq!(ours.append(&log, "b", "second".into()).await.unwrap(), 2);
    let again = |index: usize| {
        let store = if index.is_multiple_of(2) { &ours } else { &theirs };
        store.append(&log, "a", "another".into())
    };
    let positions = join_all((0..16).map(again)).await;
    assert!(positions.into_iter().all(|position| position.unwrap() == 1));
    // Also concurrently.
    let new = join_all((0..16).map(|_| theirs.append(&log, "c", "third".into()))).await;
    assert!(new.into_iter().all(|position| position.unwrap() == 3));
    let values: Vec<_> = all(&*ours, &log).await.into_iter().map(|record| record.value).collect();
    assert_eq!(values, ["first", "second", "third"]);
    assert_eq!(ours.append(&other, "c", "x".into()).await.unwrap(), 1, "ids are per log");
}

pub(crate) async fn of_concurrent_conditional_appends_one_succeeds(Stores { ours, theirs, .. }: Stores) {
    let log = LASTING.key("log");
    for last in 0..3 {
        let tries = (0..8).map(|index| {
            let (store, log) = (if index % 2 == 0 { &ours } else { &theirs }, &log);
            async move { store.append_after(log, last, &format!("{last} {index}"), "x".into()).await.unwrap() }
        });
        let mut outcomes = join_all(tries).await;
        outcomes.sort_by_key(|outcome| matches!(outcome, Appended::Behind { .. }));
        assert_eq!(outcomes[0], Appended::At(last + 1));
        assert!(
            outcomes[1..].iter().all(|outcome| *outcome == Appended::Behind { last: last + 1 }),
            "{outcomes:?}"
        );
    }
    assert_eq!(ours.append_after(&log, 7, "new", "x".into()).await.unwrap(), Appended::Behind { last: 3 });
    ours.append(&log, "old", "x".into()).await.unwrap();
    assert_eq!(
        theirs.append_after(&log, 3, "old", "x".into()).await.unwrap(),
        Appended::At(4),
        "a repeated call gets the result of the first"
    );
    assert_eq!(all(&*ours, &log).await.len(), 4);
}

pub(crate) async fn a_log_is_read_in_pages(Stores { ours, theirs, .. }: Stores) {
    let log = LASTING.key("log");
    for position in 1..=25 {
        let id = format!("id{position}");
        assert_eq!(ours.append(&log, &id, position.to_string().into()).await.unwrap(), position);
    }
    let check = async |after: u64, limit: usize, expected: std::ops::RangeInclusive<u64>| {
        let page = theirs.read(&log, after, limit).await.unwrap();
        let expected = expected.map(|position| LogRecord { position, value: position.to_string().into() });
        assert!(page.iter().cloned().eq(expected), "{limit} after {after}: {page:?}");
    };
    check(0, 10, 1..=10).await;
    check(10, 10, 11..=20).await;
    check(20, 10, 21..=25).await;
    check(24, 1, 25..=25).await;
    check(0, 25, 1..=25).await;
    assert_eq!(theirs.read(&log, 25, 10).await.unwrap(), []);
    assert_eq!(theirs.read(&log, 1_000, 10).await.unwrap(), []);
    assert_eq!(theirs.read(&log, u64::MAX, 10).await.unwrap(), []);
    assert_eq!(theirs.read(&log, 0, 0).await.unwrap(), []);
}
