//! Compaction: every replica has the same state before and after it, whether it read the log before or begins with it.

use dataflow_store::logs::Logs;

use super::*;

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

/// Changes rules until the log was compacted this often.
async fn change_until_compacted(journal: &Journal, store: &Embedded, times: usize) {
    let log = SPACE.key(LOG);
    let mut compacted = 0;
    for index in 0.. {
        put(journal, rule(&format!("r{}", index % 20), &format!("word{index}"))).await.unwrap();
        let before = store.read(&log, 0, 1).await.unwrap()[0].position;
        journal.compact().await.unwrap();
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
async fn newer_revisions_can_be_restored_and_older_ones_are_not_found() {
    let store = store();
    let journal = opened(&store).await;
    change_until_compacted(&journal, &store, 2).await;
    let state = journal.state();
    let revisions = &state.rulesets["default"].revisions;
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
    ours.replay(&mut state, |state, _| state.position == 2).await.unwrap();
    let base = crate::stored::Base { state, remaining_bytes: 1 };
    store.append(&log, "base", crate::stored::encode_base(&base)).await.unwrap();
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
        journal.compact().await.unwrap();
    }
    let size = bytes(&store).await;
    // 200 rules of 200 bytes are 40 KiB, more than twice the limit.
    assert!(size < 300 << 10, "{size}");
    assert_eq!(keywords(&opened(&store).await.state()), keywords(&journal.state()));
}
