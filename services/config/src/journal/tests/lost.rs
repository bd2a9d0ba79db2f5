//! A store that loses records: some of them in a failover, or all of them in a restart without its data.

use dataflow_store::logs::Logs;

use super::*;

#[tokio::test]
async fn a_truncated_log_is_replayed_from_the_beginning() {
    let (whole, shorter) = (store(), store());
    let log = SPACE.key(LOG);
    let ours = replica(&whole).await;
    for id in ["b", "c", "d"] {
        put(&ours, rule(id, "x")).await.unwrap();
    }
    for record in whole.read(&log, 0, 2).await.unwrap() {
        shorter.append(&log, &record.position.to_string(), record.value).await.unwrap();
    }
    let mut reader = ours.reader.lock().await.clone();
    let replayed = reader.read_new(&*shorter, &log, &ours.state()).await.unwrap().unwrap();
    let found: Vec<_> = keywords(&replayed.state).into_iter().map(|(id, _)| id).collect();
    assert!(replayed.is_rebuilt && !reader.is_lost && found == ["a", "b"], "{found:?}");
    let nothing = ours.reader.lock().await.read_new(&*whole, &log, &ours.state()).await.unwrap();
    assert!(nothing.is_none(), "nothing was appended since");
}

#[tokio::test]
async fn an_older_backup_is_the_same_log() {
    let (whole, older) = (store(), store());
    let log = SPACE.key(LOG);
    let first = replica(&whole).await;
    for id in ["b", "c"] {
        put(&first, rule(id, "x")).await.unwrap();
    }
    for record in whole.read(&log, 0, 3).await.unwrap() {
        older.append(&log, &record.position.to_string(), record.value).await.unwrap();
    }
    put(&first, rule("d", "x")).await.unwrap();
    // A replica that began with the trimmed log does not know its first records.
    first.append_snapshot().await.unwrap();
    whole.trim(&log, 2).await.unwrap();
    let late = replica(&whole).await;
    let mut reader = late.reader.lock().await.clone();
    let read = reader.read_new(&*older, &log, &late.state()).await.unwrap().unwrap();
    assert!(read.is_rebuilt && !reader.is_lost);
    assert_eq!(keywords(&read.state).len(), 3);
}

#[tokio::test]
async fn after_the_loss_of_the_log_the_last_state_is_served_and_changes_are_rejected() {
    let (whole, empty, other) = (store(), store(), store());
    let log = SPACE.key(LOG);
    let ours = replica(&whole).await;
    put(&ours, rule("b", "x")).await.unwrap();
    // Another replica has begun a new log, with more records than the lost one had.
    let theirs = replica(&other).await;
    for id in ["c", "d", "e"] {
        put(&theirs, rule(id, "x")).await.unwrap();
    }
    let mut reader = ours.reader.lock().await.clone();
    for store in [&empty, &other] {
        let nothing = reader.read_new(&**store, &log, &ours.state()).await.unwrap();
        assert!(nothing.is_none() && reader.is_lost, "the state stays");
    }
    // It must not trim what is in the store now.
    reader.untrimmed = Some(3);
    reader.read_new(&*other, &log, &ours.state()).await.unwrap();
    assert_eq!(reader.untrimmed, None);
    *ours.reader.lock().await = reader;
    let rejected = put(&ours, rule("f", "x")).await;
    assert!(rejected.is_err_and(|error| matches!(error, Error::JournalLost)));
    // The log is still in our own store, which ends the loss.
    ours.catch_up().await.unwrap();
    put(&ours, rule("f", "x")).await.unwrap();
    assert_eq!(keywords(&ours.state()).len(), 3);
}
