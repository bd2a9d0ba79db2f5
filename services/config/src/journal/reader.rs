//! Reads the log incrementally. Detects that it was trimmed, and that the store has lost records.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use dataflow_store::Store;
use dataflow_store::key::Key;
use dataflow_store::logs::LogRecord;

use crate::Error;
use crate::state::State;
use crate::stored::{self, Base, Record, Unreadable};

/// The most records per read.
pub(super) const PAGE_SIZE: usize = 500;

/// The position of an incremental read.
#[derive(Debug, Clone, Default)]
pub(super) struct LogReader {
    /// The last record that was read, with its position. The next read checks that it is still in the log.
    tail: Option<(u64, Bytes)>,
    /// The position and the hash of the first record when reading began. A log that begins with another one is not the
    /// log that was read.
    first: Option<(u64, u64)>,
    /// Whether the log continues with records of a later release, in a format that this release cannot read.
    pub(super) is_ahead: bool,
    /// Whether the store has another log now, for instance none after a restart without its data.
    pub(super) is_lost: bool,
    /// The size of the log in bytes, and what it was when it was last compacted.
    pub(super) bytes: u64,
    pub(super) compacted_bytes: u64,
    /// The position up to which the log has been compacted, but perhaps not trimmed.
    pub(super) untrimmed: Option<u64>,
}

/// The result of reading new records.
pub(super) struct Replayed {
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
    /// Advances past a record that was read, or appended by this process.
    pub(super) fn advance(&mut self, position: u64, record: Bytes) {
        self.bytes += record.len() as u64;
        self.first.get_or_insert_with(|| (position, hash(&record)));
        self.tail = Some((position, record));
    }

    /// Applies all records after `state`; none if there are none. All of them at once: intermediate states are not
    /// published. If the log was replaced by another one, the state stays.
    pub(super) async fn read_new(
        &mut self,
        store: &dyn Store,
        log: &Key,
        state: &State,
    ) -> Result<Option<Replayed>, Error> {
        let mut reader = self.clone();
        // The state of the seeds is discarded once the log has records.
        let has_begun = reader.tail.is_some();
        let mut replayed = match has_begun {
            true => None,
            false => Some(Replayed { state: base(store, log).await?, is_rebuilt: false }),
        };
        loop {
            let position = replayed.as_ref().map_or(state.position, |replayed| replayed.state.position);
            // Reads the last known record again, to check that it is unchanged.
            let after = if reader.tail.is_some() { position.saturating_sub(1) } else { position };
            let mut records = store.read(log, after, PAGE_SIZE).await?.into_iter();
            if reader.tail.is_some() {
                let last = records.next().map(|record| (record.position, record.value));
                if last != reader.tail {
                    let is_rebuilt = match reader.deviation(store, log).await? {
                        Deviation::Replaced => {
                            self.lose(position);
                            return Ok(None);
                        }
                        Deviation::Trimmed => false,
                        Deviation::Truncated => {
                            tracing::error!(
                                position,
                                "journal: the store has lost unconfirmed changes, rebuilding the state from the rest"
                            );
                            true
                        }
                    };
                    reader = Self::default();
                    replayed = Some(Replayed { state: base(store, log).await?, is_rebuilt });
                    continue;
                }
                if std::mem::take(&mut reader.is_lost) {
                    tracing::info!(position, "journal: the store has all changes again");
                }
            }
            if records.len() == 0 {
                *self = reader;
                // Without a record, the state of the seeds stays.
                return Ok(replayed.filter(|replayed| has_begun || replayed.state.position > 0));
            }
            let next = replayed.get_or_insert_with(|| Replayed { state: state.clone(), is_rebuilt: false });
            for record in records {
                match apply(&mut next.state, &record) {
                    Ok(base) => {
                        reader.advance(record.position, record.value);
                        if let Some(CompactedAt { position, remaining_bytes }) = base {
                            reader.untrimmed = Some(position);
                            reader.bytes = remaining_bytes;
                            reader.compacted_bytes = remaining_bytes;
                        }
                    }
                    Err(unreadable) => {
                        if !std::mem::replace(&mut reader.is_ahead, true) {
                            let position = record.position;
                            tracing::error!(
                                %unreadable,
                                position,
                                "journal: written by a later release, changes rejected by this one"
                            );
                        }
                        *self = reader;
                        return Ok(replayed);
                    }
                }
            }
            // Yields, so that a long log does not block other tasks.
            tokio::task::yield_now().await;
        }
    }

    /// Records that the log was replaced.
    fn lose(&mut self, position: u64) {
        if !std::mem::replace(&mut self.is_lost, true) {
            tracing::error!(
                position,
                "journal: the store has lost it; serving the last known state and rejecting changes. Restore the \
                 store, or export the rules and restart every replica to begin with what the store has"
            );
        }
    }

    /// How the log differs from what was read before, given that the last record read is not in it.
    async fn deviation(&self, store: &dyn Store, log: &Key) -> Result<Deviation, Error> {
        let first = store.read(log, 0, 1).await?.into_iter().next();
        let (Some(first), Some((tail, _)), Some((known, known_hash))) = (first, &self.tail, self.first)
        else {
            return Ok(Deviation::Replaced);
        };
        Ok(if first.position > *tail {
            Deviation::Trimmed
        } else if first.position < known || first.position == known && hash(&first.value) != known_hash {
            Deviation::Replaced
        } else {
            Deviation::Truncated
        })
    }
}

/// That a record is the base of a compacted log.
pub(super) struct CompactedAt {
    /// The position of the base, up to which the log may be trimmed.
    pub(super) position: u64,
    /// The size of what remains, with the base.
    pub(super) remaining_bytes: u64,
}

/// The state at which reading the log begins: an empty one, or the base of a trimmed log.
pub(super) async fn base(store: &dyn Store, log: &Key) -> Result<State, Error> {
    let first = store.read(log, 0, 1).await?.first().map_or(1, |record| record.position);
    if first == 1 {
        return Ok(State::default());
    }
    let mut after = 0;
    loop {
        let records = store.read(log, after, PAGE_SIZE).await?;
        let Some(last) = records.last() else { return Err(Error::BaseMissing { first }) };
        after = last.position;
        for record in records {
            match stored::decode(record.value) {
                // A later base does as well, if the log was trimmed again meanwhile.
                Ok(Record::Base(base)) if base.state.position + 1 >= first => return Ok(base.state),
                _ => {}
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Applies one record. A record that cannot be applied, because a later release allows more, is skipped; its position
/// counts.
pub(super) fn apply(state: &mut State, record: &LogRecord) -> Result<Option<CompactedAt>, Unreadable> {
    let position = record.position;
    let mut compacted = None;
    match stored::decode(record.value.clone()) {
        Ok(Record::Change(change)) => {
            // Positions that were skipped before count too.
            state.position = position - 1;
            if let Err(error) = state.apply(&change) {
                tracing::error!(%error, position, "journal: change cannot be applied, skipped");
            }
        }
        Ok(Record::Base(base)) => {
            let Base { state: base, remaining_bytes } = *base;
            state.forget_revisions(base.position);
            let remaining_bytes = remaining_bytes + record.value.len() as u64;
            compacted = Some(CompactedAt { position: base.position, remaining_bytes });
        }
        Err(unreadable @ Unreadable::Format { .. }) => return Err(unreadable),
        Err(unreadable) => {
            tracing::error!(%unreadable, position, "journal: change unreadable, skipped");
        }
    }
    state.position = position;
    Ok(compacted)
}

fn hash(record: &Bytes) -> u64 {
    let mut hasher = DefaultHasher::new();
    record.hash(&mut hasher);
    hasher.finish()
}
