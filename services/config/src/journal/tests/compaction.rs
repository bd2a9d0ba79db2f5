//! Compaction: every replica has the same state before and after it, whether it read the log before or begins with it.

use dataflow_store::logs::Logs;

use super::*;
use crate::journal::replay::replay;
use crate::key::Key;
use crate::provider::Provider;

/// Small enough that some tens of changes exceed it.
const SMALL: u64 = 16 << 10;

fn journal(store: &Arc<Embedded>) -> Journal {
    let store: Arc<dyn Store> = Arc::clone(store) as _;
    Journal::new(store, seeds(), SMALL).unwrap()
}

async fn opened(store: &Arc<Embedded>) -> Journal {
    let journal = journal(store);
    journal.open().await.unwrap();
    journal
}

async fn bytes(store: &Embedded) -> usize {
    let (log, mut after, mut bytes) = (SPACE.key(LOG), 0, 0);
    loop {
        let records = store.read(&log, after, 100).await.unwrap();
        let Some(last) = records.last() else { return bytes };
        after = last.position;
        bytes += records.iter().map(|record| record.value.len()).sum::<usize>();
    }
}

/// Compacts without the pause between attempts.
async fn compact(journal: &Journal) {
    *journal.compacting.lock().await = None;
    journal.compact().await.unwrap();
}

/// Changes rules until the log was compacted this often.
pub(super) async fn change_until_compacted(journal: &Journal, store: &Embedded, times: usize) {
    let log = SPACE.key(LOG);
    let mut compacted = 0;
    for index in 0.. {
        put(journal, rule(&format!("r{}", index % 20), &format!("word{index}"))).await.unwrap();
        let before = store.read(&log, 0, 1).await.unwrap()[0].position;
        compact(journal).await;
        compacted += usize::from(store.read(&log, 0, 1).await.unwrap()[0].position > before);
        if compacted == times {
            return;
        }
    }
}

#[tokio::test]
async fn the_log_stays_below_its_limit_and_every_replica_has_the_same_state() {
    let store = store();
    let (ours, theirs, late) = (opened(&store).await, opened(&store).await, opened(&store).await);
    for round in 1..=3 {
        change_until_compacted(&ours, &store, 1).await;
        let size = bytes(&store).await as u64;
        assert!(size <= SMALL && size == ours.reader.lock().await.bytes, "{size}");
        put(&ours, rule("last", &format!("round{round}"))).await.unwrap();
        theirs.catch_up().await.unwrap();
        assert_eq!(*theirs.state(), *ours.state(), "a replica that follows");
        assert_eq!(*opened(&store).await.state(), *ours.state(), "a replica that begins with a trimmed log");
    }
    late.catch_up().await.unwrap();
    assert_eq!(*late.state(), *ours.state(), "a replica whose last record was trimmed");
    assert!(!late.reader.lock().await.is_lost);
    assert_eq!(put(&late, rule("late", "x")).await.unwrap().position, ours.state().position + 1);
}

#[tokio::test]
async fn providers_and_what_was_removed_survive() {
    let store = store();
    let seeded = || {
        let store: Arc<dyn Store> = Arc::clone(&store) as _;
        Journal::new(store, [seeds(), built_in::seeds([])].concat(), SMALL).unwrap()
    };
    let journal = seeded();
    journal.open().await.unwrap();
    let change = async |change: Change| {
        journal.change(Origin::default(), |_| Ok(Some(change.clone()))).await.unwrap();
    };
    change(Change::ProviderRemoved { provider_id: "IT1".to_owned() }).await;
    let known = journal.state().providers["ESTAT"].provider.clone();
    change(Change::ProviderPut(Provider { display_name: "mine".to_owned(), ..known })).await;
    change_until_compacted(&journal, &store, 2).await;
    let late = seeded();
    late.open().await.unwrap();
    assert_eq!(*late.state(), *journal.state());
    let state = late.state();
    assert_eq!(state.providers["ESTAT"].provider.display_name, "mine");
    assert!(!state.providers.contains_key("IT1") && state.seen_providers.contains("IT1"));
}

#[tokio::test]
async fn keys_survive_and_revoked_ones_do_not_return() {
    let store = store();
    let journal = opened(&store).await;
    let key = |id: &str| Key {
        key_id: id.to_owned(),
        display_name: "nightly".to_owned(),
        scope: dataflow_mesh::access::Scope::Admin,
        tenant: "acme".to_owned(),
        expires: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(9)),
        rate: crate::key::KeyRate::read("50/m", 7).unwrap(),
        creator: "ada".to_owned(),
        digest: [3; 32],
    };
    let change = async |change: Change| {
        journal.change(Origin::default(), |_| Ok(Some(change.clone()))).await.unwrap();
    };
    change(Change::KeyCreated(key("k-kept"))).await;
    change(Change::KeyCreated(key("k-revoked"))).await;
    change(Change::KeyRevoked { key_id: "k-revoked".to_owned(), tenant: String::new() }).await;
    change_until_compacted(&journal, &store, 2).await;
    let late = opened(&store).await;
    assert_eq!(*late.state(), *journal.state());
    assert_eq!(late.state().key("k-kept").unwrap().key, key("k-kept"));
    assert!(matches!(late.state().key("k-revoked"), Err(Error::KeyNotFound { .. })));
}

#[tokio::test]
async fn replicas_that_compact_at_the_same_time_lose_nothing() {
    let store = store();
    let replicas = [opened(&store).await, opened(&store).await, opened(&store).await];
    for round in 0..12 {
        for index in 0..20 {
            let name = format!("r{}", index % 7);
            put(&replicas[index % 3], rule(&name, &format!("round{round}x{index}"))).await.unwrap();
        }
        // Each replays the log while the others append their snapshots and trim it.
        let compactions = replicas.iter().map(|replica| async { replica.append_snapshot().await.unwrap() });
        futures_util::future::join_all(compactions).await;
        futures_util::future::join_all(replicas.iter().map(compact)).await;
        put(&replicas[round % 3], rule("last", &format!("last{round}"))).await.unwrap();
        let fresh = opened(&store).await;
        for replica in &replicas {
            replica.catch_up().await.unwrap();
            assert_eq!(*replica.state(), *fresh.state(), "round {round}");
        }
        assert_eq!(fresh.state().rulesets["default"].set.rules.len(), 1 + 7 + 1);
    }
    let first = store.read(&SPACE.key(LOG), 0, 1).await.unwrap()[0].position;
    assert!(first > 1, "the log was trimmed");
}

#[tokio::test]
async fn a_log_that_is_trimmed_while_it_is_read_is_read_again() {
    let store = store();
    let (ours, log) = (opened(&store).await, SPACE.key(LOG));
    change_until_compacted(&ours, &store, 1).await;
    // A replay that began before the log was trimmed continues after the gap.
    let mut state = State::default();
    let replayed = replay(&*store, &log, &mut state, |_, _, _| false).await.unwrap();
    assert!(matches!(replayed, crate::journal::replay::Replay::Trimmed) && state == State::default());
}

#[tokio::test]
async fn a_large_last_change_does_not_prevent_compaction() {
    let store = store();
    let journal = opened(&store).await;
    for index in 0..12 {
        let mut set = RuleSet::clone(&journal.state().rulesets["default"].set);
        set.rules =
            (0..40).map(|id| rule(&format!("r{id}"), &format!("w{index}{}", "x".repeat(200)))).collect();
        journal.change(Origin::default(), |_| Ok(Some(Change::RulesReplaced(set.clone())))).await.unwrap();
        compact(&journal).await;
    }
    let size = bytes(&store).await as u64;
    assert!(size < 6 * SMALL, "{size}");
}

#[tokio::test]
async fn newer_revisions_can_be_restored_and_older_ones_are_not_found() {
    let store = store();
    let journal = opened(&store).await;
    change_until_compacted(&journal, &store, 2).await;
    let state = journal.state();
    let revisions = &state.rulesets["default"].history.revisions;
    let (oldest, newest) = (revisions[0].revision, revisions[revisions.len() - 1].revision);
    assert!(oldest > 1 && newest - oldest > 5, "{oldest} {newest}");
    assert!(revisions.iter().map(|revision| revision.revision).eq(oldest..=newest));
    for revision in [oldest, oldest + 1, newest] {
        assert_eq!(journal.ruleset_at("default", revision).await.unwrap().revision, revision);
    }
    for revision in [1, oldest - 1] {
        let missing = journal.ruleset_at("default", revision).await;
        assert!(matches!(missing, Err(Error::RevisionNotFound { .. })), "{revision}");
    }
}

#[tokio::test]
async fn a_replica_that_stops_before_the_log_is_trimmed_trims_it_when_it_starts_again() {
    let (store, log) = (store(), SPACE.key(LOG));
    let ours = opened(&store).await;
    for id in ["b", "c", "d"] {
        put(&ours, rule(id, "x")).await.unwrap();
    }
    let mut state = State::default();
    replay(&*store, &log, &mut state, |state, _, _| state.position == 2).await.unwrap();
    let snapshot = crate::stored::Snapshot { state, remaining_bytes: 1 };
    store.append(&log, "snapshot", crate::stored::encode_snapshot(&snapshot)).await.unwrap();
    let again = opened(&store).await;
    again.compact().await.unwrap();
    assert_eq!(store.read(&log, 0, 1).await.unwrap()[0].position, 3);
    ours.catch_up().await.unwrap();
    assert_eq!(*opened(&store).await.state(), *ours.state());
}

#[tokio::test]
async fn a_state_above_the_limit_is_not_written_with_every_change() {
    let store = store();
    let journal = opened(&store).await;
    for index in 0..200 {
        put(&journal, rule(&format!("r{index}"), &format!("{index}{}", "x".repeat(200)))).await.unwrap();
        compact(&journal).await;
    }
    let size = bytes(&store).await;
    // 200 rules of 200 bytes are 40 KiB, more than twice the limit.
    assert!(size < 300 << 10, "{size}");
    assert_eq!(keywords(&opened(&store).await.state()), keywords(&journal.state()));
}
