//! Replays the log: applies its records to a state, in order and without gaps.

use dataflow_store::Store;
use dataflow_store::key::Key;
use dataflow_store::logs::LogRecord;

use crate::Error;
use crate::state::State;
use crate::stored::{self, Record, Snapshot, Unreadable};

/// The most records per read.
const PAGE_SIZE: usize = 500;

/// How a replay ended.
pub(super) enum Replay {
    /// At the end of the log.
    Ended,
    /// At the record at which it was to stop.
    Stopped,
    /// Before a gap: the log was trimmed meanwhile, and must be replayed from its new beginning.
    Trimmed,
    /// Before a record of a later release.
    Ahead { position: u64, unreadable: Unreadable },
}

/// How far a log is compacted, as its snapshot states.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compacted {
    /// The position of the state in the snapshot, up to which the log may be trimmed.
    pub(super) position: u64,
    /// The size of what remains, with the snapshot.
    pub(super) remaining_bytes: u64,
}

/// The state at which a replay of the whole log starts: an empty one, or the snapshot of a trimmed log.
pub(super) async fn start(store: &dyn Store, log: &Key) -> Result<State, Error> {
    let first = store.read(log, 0, 1).await?.first().map_or(1, |record| record.position);
    if first == 1 {
        return Ok(State::default());
    }
    let mut after = 0;
    loop {
        let records = store.read(log, after, PAGE_SIZE).await?;
        let Some(last) = records.last() else { return Err(Error::SnapshotMissing { first }) };
        after = last.position;
        for record in records {
            match stored::decode(record.value) {
                // A later one does as well, if the log was trimmed again meanwhile.
                Ok(Record::Snapshot(snapshot)) if snapshot.state.position + 1 >= first => {
                    return Ok(snapshot.state);
                }
                _ => {}
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Applies the records after `state` until `is_last` returns true for one. It gets the state, the record, and what a
/// snapshot states.
pub(super) async fn replay(
    store: &dyn Store,
    log: &Key,
    state: &mut State,
    mut is_last: impl FnMut(&State, &LogRecord, Option<Compacted>) -> bool,
) -> Result<Replay, Error> {
    loop {
        let records = store.read(log, state.position, PAGE_SIZE).await?;
        if records.is_empty() {
            return Ok(Replay::Ended);
        }
        for record in records {
            if record.position != state.position + 1 {
                return Ok(Replay::Trimmed);
            }
            match apply(state, &record) {
                Ok(compacted) if is_last(state, &record, compacted) => return Ok(Replay::Stopped),
                Ok(_) => {}
                Err(unreadable) => return Ok(Replay::Ahead { position: record.position, unreadable }),
            }
        }
        // Yields, so that a long log does not block other tasks.
        tokio::task::yield_now().await;
    }
}

/// Applies one record. A record that cannot be applied, because a later release allows more, is skipped; its position
/// counts.
fn apply(state: &mut State, record: &LogRecord) -> Result<Option<Compacted>, Unreadable> {
    let position = record.position;
    let mut compacted = None;
    match stored::decode(record.value.clone()) {
        Ok(Record::Change(change)) => {
            if let Err(error) = state.apply(&change) {
                tracing::error!(%error, position, "journal: change cannot be applied, skipped");
            }
        }
        Ok(Record::Snapshot(snapshot)) => {
            let Snapshot { state: earlier, remaining_bytes } = *snapshot;
            state.forget_revisions(earlier.position);
            let remaining_bytes = remaining_bytes + record.value.len() as u64;
            compacted = Some(Compacted { position: earlier.position, remaining_bytes });
        }
        Err(unreadable @ Unreadable::Format { .. }) => return Err(unreadable),
        Err(unreadable) => {
            tracing::error!(%unreadable, position, "journal: change unreadable, skipped");
        }
    }
    state.position = position;
    Ok(compacted)
}
