//! Reads the log incrementally. Detects that it was trimmed, and that the store has lost records.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dataflow_store::Store;
use dataflow_store::key::Key;
use dataflow_store::logs::LogRecord;

use super::replay::{Compacted, Replay, replay, start};
use crate::Error;
use crate::state::State;

/// The position of an incremental read.
#[derive(Debug, Clone, Default)]
pub(super) struct LogReader {
    /// The last record that was read, with its position. The next read checks that it is still in the log.
    tail: Option<(u64, Bytes)>,
    /// The position and the hash of the first record when reading began. A log without it is not the log that was read.
    first: Option<(u64, u64)>,
    /// Whether the log continues with records of a later release, in a format that this release cannot read.
    pub(super) is_ahead: bool,
    /// Whether the store has another log now, for instance none after a restart without its data.
    pub(super) is_lost: bool,
    /// The size of the log in bytes, and what it was when it was last compacted.
    pub(super) bytes: u64,
    pub(super) compacted_bytes: u64,
    /// The position of the newest snapshot.
    pub(super) snapshot: Option<u64>,
    /// The position up to which the log has been compacted, but perhaps not trimmed.
    pub(super) untrimmed: Option<u64>,
    /// Counts the records that were read: startup waits as long as it grows.
    pub(super) progress: Arc<AtomicU64>,
}

/// The result of reading new records.
pub(super) struct Read {
    /// The new state.
    pub(super) state: State,
    /// Whether the log has lost records that were read before, so that the state was rebuilt from its beginning.
    pub(super) is_rebuilt: bool,
}

/// How the log differs from what was read before.
enum Deviation {
    /// The records that were read last have been trimmed since: this reader was late.
    Trimmed,
    /// The log ends earlier, or differently: a failover has lost records that too few replicas had confirmed.
    Truncated,
    /// It is not the same log.
    Replaced,
}

// === impl LogReader ===

impl LogReader {
    /// A reader at the beginning, which counts what it reads in `progress`.
    pub(super) fn counted_by(progress: &Arc<AtomicU64>) -> Self {
        Self { progress: Arc::clone(progress), ..Self::default() }
    }

    /// Advances past a record that was read, or appended by this process.
    pub(super) fn advance(&mut self, position: u64, record: Bytes) {
        self.bytes += record.len() as u64;
        self.first.get_or_insert_with(|| (position, hash(&record)));
        self.tail = Some((position, record));
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Applies all records after `state`; none if there are none. All of them at once: intermediate states are not
    /// published. If the log was replaced by another one, the state stays.
    pub(super) async fn read_new(
        &mut self,
        store: &dyn Store,
        log: &Key,
        state: &State,
    ) -> Result<Option<Read>, Error> {
        let mut reader = self.clone();
        let mut read: Option<Read> = None;
        match reader.check_tail(store, log).await? {
            None => {}
            Some(Deviation::Replaced) => {
                self.lose(state.position);
                return Ok(None);
            }
            Some(deviation) => {
                let is_rebuilt = matches!(deviation, Deviation::Truncated);
                if is_rebuilt {
                    let position = state.position;
                    tracing::error!(
                        position,
                        "journal: the store has lost unconfirmed changes, rebuilding the state from the rest"
                    );
                }
                reader = Self::counted_by(&self.progress);
                read = Some(Read { state: State::default(), is_rebuilt });
            }
        }
        if std::mem::take(&mut reader.is_lost) {
            tracing::info!("journal: the store has all changes again");
        }
        loop {
            // From the beginning, the state of the seeds is discarded once the log has records.
            let is_from_start = reader.tail.is_none();
            let mut next = match is_from_start {
                true => start(store, log).await?,
                false => read.as_ref().map_or(state, |read| &read.state).clone(),
            };
            let before = next.position;
            let replayed = replay(store, log, &mut next, |state, record, compacted| {
                reader.advance(record.position, record.value.clone());
                if let Some(Compacted { position, remaining_bytes }) = compacted {
                    (reader.snapshot, reader.untrimmed) = (Some(state.position), Some(position));
                    (reader.bytes, reader.compacted_bytes) = (remaining_bytes, remaining_bytes);
                }
                false
            });
            let replayed = replayed.await?;
            let is_rebuilt = read.as_ref().is_some_and(|read| read.is_rebuilt);
            if next.position > before || is_from_start && next.position > 0 {
                read = Some(Read { state: next, is_rebuilt });
            }
            match replayed {
                Replay::Ended | Replay::Stopped => {}
                // It was trimmed while it was read.
                Replay::Trimmed => {
                    reader = Self::counted_by(&self.progress);
                    continue;
                }
                Replay::Ahead { position, unreadable } => {
                    if !std::mem::replace(&mut reader.is_ahead, true) {
                        tracing::error!(
                            %unreadable,
                            position,
                            "journal: written by a later release, changes rejected by this one"
                        );
                    }
                }
            }
            *self = reader;
            return Ok(read.filter(|read| read.state.position > 0));
        }
    }

    /// Checks that the last record that was read is still in the log.
    async fn check_tail(&self, store: &dyn Store, log: &Key) -> Result<Option<Deviation>, Error> {
        let Some((tail, value)) = &self.tail else { return Ok(None) };
        if record_at(store, log, *tail).await?.is_some_and(|record| record.value == *value) {
            return Ok(None);
        }
        let first = store.read(log, 0, 1).await?.into_iter().next();
        let (Some(first), Some((known, known_hash))) = (first, self.first) else {
            return Ok(Some(Deviation::Replaced));
        };
        if first.position > *tail {
            return Ok(Some(Deviation::Trimmed));
        }
        // Also in a backup from before the log was last trimmed, which begins earlier.
        let is_same = first.position > known
            || record_at(store, log, known).await?.is_some_and(|record| hash(&record.value) == known_hash);
        Ok(Some(if is_same { Deviation::Truncated } else { Deviation::Replaced }))
    }

    /// Records that the log was replaced.
    fn lose(&mut self, position: u64) {
        // What is in the store now is not this reader's to trim.
        self.untrimmed = None;
        if !std::mem::replace(&mut self.is_lost, true) {
            tracing::error!(
                position,
                "journal: the store has lost it; serving the last known state and rejecting changes. Restore the \
                 store, or export the rules and restart every replica to begin with what the store has"
            );
        }
    }
}

async fn record_at(store: &dyn Store, log: &Key, position: u64) -> Result<Option<LogRecord>, Error> {
    let found = store.read(log, position.saturating_sub(1), 1).await?.into_iter().next();
    Ok(found.filter(|record| record.position == position))
}

fn hash(record: &Bytes) -> u64 {
    let mut hasher = DefaultHasher::new();
    record.hash(&mut hasher);
    hasher.finish()
}
