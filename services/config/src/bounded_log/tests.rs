//! The bounds of a log, in number and in age, with one replica and with several, and its pages.

use dataflow_store::embedded::Embedded;
use dataflow_store::key::Space;
use dataflow_store::logs::Logs;

use super::*;
use crate::refusal::{Refusal, Report};

type Log = BoundedLog<Refusal>;

const HOUR: Duration = Duration::from_secs(60 * 60);

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + 1000 * HOUR
}

fn store() -> Arc<Embedded> {
    Arc::new(Embedded::new(1 << 20))
}

fn key() -> Key {
    Space::durable("config").key("log")
}

fn log(store: &Arc<Embedded>, entries: u32) -> Log {
    Log::new(Arc::clone(store) as _, key(), Bounds { entries, age: 10 * HOUR })
}

fn refusal(reason: &str, time: SystemTime) -> Refusal {
    let [tenant, key_id, peer, request_id, method, code] = [const { String::new() }; 6];
    let (subject, reason) = ("ada".to_owned(), reason.to_owned());
    Refusal { time, subject, tenant, key_id, peer, request_id, method, code, reason, left_out: 0 }
}

/// A report of refusals with these reasons.
fn report(reasons: impl IntoIterator<Item = usize>, time: SystemTime) -> Report {
    let refusals: Vec<_> = reasons.into_iter().map(|reason| refusal(&reason.to_string(), time)).collect();
    Report { id: refusals[0].reason.clone(), refusals }
}

async fn record(log: &Log, report: &Report, now: SystemTime) {
    log.record(&report.id, &report.refusals, now).await.unwrap();
}

async fn listed(log: &Log, now: SystemTime) -> Vec<usize> {
    let page = log.list(&Query::default(), Cursor::default(), usize::MAX, now).await.unwrap();
    page.entries.iter().map(|refusal| refusal.reason.parse().unwrap()).collect()
}

/// The refusals that are in the store.
async fn stored(store: &Embedded) -> usize {
    let records = store.read(&key(), 0, usize::MAX).await.unwrap();
    records.into_iter().map(|record| Refusal::decode(record.value).unwrap().len()).sum()
}

#[tokio::test]
async fn a_report_is_recorded_once() {
    let store = store();
    let log = log(&store, 100);
    for _ in 0..3 {
        record(&log, &report(0..2, start()), start()).await;
    }
    assert_eq!(listed(&log, start()).await, [0, 1]);
    assert_eq!(log.entries.get(), 2);
}

#[tokio::test]
async fn there_are_never_more_refusals_than_the_limit() {
    let store = store();
    let (one, other) = (log(&store, 100), log(&store, 100));
    let mut last = 0;
    for (turn, count) in [60, 40, 1, 99, 100, 7, 30, 100].into_iter().cycle().take(40).enumerate() {
        let log = if turn % 3 == 0 { &other } else { &one };
        record(log, &report(last..last + count, start()), start()).await;
        last += count;
        let found = listed(&one, start()).await;
        assert!(found.len() <= 100 && found.len() >= count, "{} after {count}", found.len());
        assert!(found.iter().copied().eq(last - found.len()..last), "the newest stay");
        assert_eq!((stored(&store).await, log.entries.get()), (found.len(), found.len() as u64));
    }
    // Exactly the limit stays whole.
    assert_eq!(listed(&one, start()).await.len(), 100);
}

#[tokio::test]
async fn a_refusal_is_removed_for_its_age() {
    let store = store();
    let log = log(&store, 1000);
    for hour in 0..5 {
        let now = start() + hour * HOUR;
        record(&log, &report([hour as usize], now), now).await;
    }
    let almost = Duration::from_secs(1);
    for (now, expected) in [
        (start() + 10 * HOUR - almost, &[0, 1, 2, 3, 4][..]),
        (start() + 10 * HOUR, &[1, 2, 3, 4]),
        (start() + 12 * HOUR, &[3, 4]),
        (start() + 14 * HOUR - almost, &[4]),
        // The store keeps the last record; it is not shown.
        (start() + 14 * HOUR, &[]),
    ] {
        assert_eq!(listed(&log, now).await, expected, "also before it is trimmed");
        log.trim(now).await.unwrap();
        assert_eq!(listed(&log, now).await, expected);
        assert_eq!(stored(&store).await, expected.len().max(1));
    }
}

#[tokio::test]
async fn pages_continue_where_the_last_one_ended() {
    let store = store();
    let log = log(&store, 1000);
    for first in [0, 3, 7] {
        record(&log, &report(first..first + 4, start()), start()).await;
    }
    for size in 1..=12 {
        let (mut found, mut after) = (Vec::new(), Cursor::default());
        loop {
            let page = log.list(&Query::default(), after, size, start()).await.unwrap();
            assert!(page.entries.len() <= size && !page.entries.is_empty());
            found.extend(page.entries.into_iter().map(|refusal| refusal.reason));
            let Some(next) = page.next else { break };
            after = next;
        }
        let expected = [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10];
        assert!(
            found.iter().eq(expected.map(|reason: usize| reason.to_string()).iter()),
            "{size}: {found:?}"
        );
    }
    // What was removed meanwhile is left out.
    log.store.trim(&log.log, 3).await.unwrap();
    let page = log.list(&Query::default(), Cursor { position: 1, number: 2 }, 2, start()).await.unwrap();
    assert_eq!((page.entries[0].reason.as_str(), page.next), ("7", Some(Cursor { position: 3, number: 2 })));
}

#[tokio::test]
async fn a_record_of_a_later_release_is_skipped_and_removed_in_its_turn() {
    let store = store();
    let log = log(&store, 100);
    store.append(&log.log, "later", Bytes::from_static(b"\x08\x02")).await.unwrap();
    record(&log, &report(0..99, start()), start()).await;
    assert_eq!((listed(&log, start()).await.len(), log.entries.get()), (99, 100));
    record(&log, &report(99..100, start()), start()).await;
    assert_eq!((listed(&log, start()).await.len(), log.entries.get()), (100, 100));
}

#[tokio::test]
async fn a_log_that_was_lost_is_read_again() {
    let (before, after) = (store(), store());
    let mut log = log(&before, 100);
    for first in [0, 50] {
        record(&log, &report(first..first + 50, start()), start()).await;
    }
    log.store = Arc::clone(&after) as _;
    record(&log, &report(100..150, start()), start()).await;
    assert_eq!((listed(&log, start()).await.len(), log.entries.get()), (50, 50));
}

#[test]
fn a_query_selects_by_tenant_subject_and_time() {
    let second = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let of = |tenant: &str, subject: &str, seconds: u64| Refusal {
        tenant: tenant.to_owned(),
        subject: subject.to_owned(),
        ..refusal("", second(seconds))
    };
    let all = [of("acme", "ada", 1), of("bolt", "ada", 2), of("", "root", 3), of("acme", "bob", 4)];
    let check = |query: Query, expected: &[usize]| {
        let found = (0..all.len()).filter(|index| query.matches(&all[*index]));
        assert!(found.eq(expected.iter().copied()), "{query:?}");
    };
    let tenant = |tenant: &str| Query { tenant: tenant.to_owned(), ..Query::default() };
    let subject = |subject: &str, query: Query| Query { subject: subject.to_owned(), ..query };
    check(Query::default(), &[0, 1, 2, 3]);
    check(tenant("acme"), &[0, 3]);
    check(tenant("bolt"), &[1]);
    check(tenant("other"), &[]);
    check(subject("ada", Query::default()), &[0, 1]);
    check(subject("ada", tenant("acme")), &[0]);
    check(subject("root", tenant("acme")), &[]);
    check(Query { start: Some(second(2)), ..Query::default() }, &[1, 2, 3]);
    check(Query { end: Some(second(2)), ..Query::default() }, &[0]);
    check(Query { start: Some(second(2)), end: Some(second(4)), ..Query::default() }, &[1, 2]);
}
