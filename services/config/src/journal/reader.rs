//! Reads the log incrementally, and detects that the store has lost records.

use bytes::Bytes;
use dataflow_store::Store;
use dataflow_store::key::Key;
use dataflow_store::logs::LogRecord;

use crate::Error;
use crate::state::State;
use crate::stored::{self, Unreadable};

/// Records per read.
pub(super) const PAGE_SIZE: usize = 500;

/// The position of an incremental read.
#[derive(Debug, Clone, Default)]
pub(super) struct LogReader {
    /// The last record that was read, with its position. The next read checks that it is still in the log.
    tail: Option<(u64, Bytes)>,
    /// Whether the log continues with records of a later release, in a format that this release cannot read.
    pub(super) is_ahead: bool,
}

/// The result of reading new records.
pub(super) struct Replayed {
    /// The new state.
    pub(super) state: State,
    /// Whether the log has lost records that were read before, so that the state was rebuilt from its beginning.
    pub(super) is_rebuilt: bool,
}

// === impl LogReader ===

impl LogReader {
    /// Advances past a record that was read, or appended by this process.
    pub(super) fn advance(&mut self, position: u64, record: Bytes) {
        self.tail = Some((position, record));
    }

    /// Applies all records after `state`; none if there are none. All of them at once: intermediate states are not
    /// published.
    pub(super) async fn read_new(
        &mut self,
        store: &dyn Store,
        log: &Key,
        state: &State,
    ) -> Result<Option<Replayed>, Error> {
        let mut reader = self.clone();
        let mut replayed: Option<Replayed> = None;
        loop {
            let position = replayed.as_ref().map_or(state.position, |replayed| replayed.state.position);
            // Reads the last known record again, to check that it is unchanged.
            let records = store.read(log, position.saturating_sub(1), PAGE_SIZE).await?;
            let mut records = records.into_iter();
            if position > 0 {
                let last = records.next().map(|record| (record.position, record.value));
                if last != reader.tail {
                    tracing::error!(
                        position,
                        "journal: the store has lost acknowledged changes, rebuilding the state from the rest"
                    );
                    reader = Self::default();
                    replayed = Some(Replayed { state: State::default(), is_rebuilt: true });
                    continue;
                }
            }
            if records.len() == 0 {
                *self = reader;
                return Ok(replayed);
            }
            // The state of the seeds is discarded once the log has records.
            let start = || if position == 0 { State::default() } else { state.clone() };
            let next = replayed.get_or_insert_with(|| Replayed { state: start(), is_rebuilt: false });
            for record in records {
                if let Err(unreadable) = apply(&mut next.state, &record) {
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
                reader.advance(record.position, record.value);
            }
            // Yields, so that a long log does not block other tasks.
            tokio::task::yield_now().await;
        }
    }
}

/// Applies one record. A record that cannot be applied, because a later release allows more, is skipped; its position
/// counts.
pub(super) fn apply(state: &mut State, record: &LogRecord) -> Result<(), Unreadable> {
    let position = record.position;
    match stored::decode(record.value.clone()) {
        Ok(recorded) => {
            if let Err(error) = state.apply(&recorded) {
                tracing::error!(%error, position, "journal: change cannot be applied, skipped");
            }
        }
        Err(unreadable @ Unreadable::Format { .. }) => return Err(unreadable),
        Err(unreadable) => {
            tracing::error!(%unreadable, position, "journal: change unreadable, skipped");
        }
    }
    state.position = position;
    Ok(())
}
