//! Reads the log on from where it was read to, and notices when it is no longer the log that was read.

use bytes::Bytes;
use dataflow_store::Store;
use dataflow_store::key::Key;
use dataflow_store::logs::LogRecord;

use crate::Error;
use crate::state::State;
use crate::stored::{self, Unreadable};

/// Records read at a time.
pub(super) const PAGE_SIZE: usize = 500;

/// How far the log was read.
#[derive(Debug, Clone, Default)]
pub(super) struct LogReader {
    /// The last record that was read, and its place. It must be there the next time.
    tail: Option<(u64, Bytes)>,
    /// Whether the log goes on with what a later release wrote.
    pub(super) is_ahead: bool,
}

/// What a state becomes by what was written since.
pub(super) struct Replayed {
    /// The state.
    pub(super) state: State,
    /// Whether the log has lost what was read before, so that the state was made anew from its beginning.
    pub(super) is_rebuilt: bool,
}

// === impl LogReader ===

impl LogReader {
    /// Goes on after a record that was written from here.
    pub(super) fn advance(&mut self, position: u64, record: Bytes) {
        self.tail = Some((position, record));
    }

    /// What `state` becomes by what was written since; none if nothing was. All of it at once: what lies between is nobody's
    /// business.
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
            // With the last one that was read, to see that it is still the one.
            let records = store.read(log, position.saturating_sub(1), PAGE_SIZE).await?;
            let mut records = records.into_iter();
            if position > 0 {
                let last = records.next().map(|record| (record.position, record.value));
                if last != reader.tail {
                    tracing::error!(
                        position,
                        "the store has lost changes that it had acknowledged: reading what is left"
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
            // What the seeds made counts for nothing once the log says what there is.
            let start = || if position == 0 { State::default() } else { state.clone() };
            let next = replayed.get_or_insert_with(|| Replayed { state: start(), is_rebuilt: false });
            for record in records {
                if let Err(unreadable) = apply(&mut next.state, &record) {
                    if !std::mem::replace(&mut reader.is_ahead, true) {
                        let position = record.position;
                        tracing::error!(%unreadable, position, "the configuration goes on in another release's words");
                    }
                    *self = reader;
                    return Ok(replayed);
                }
                reader.advance(record.position, record.value);
            }
            // A long log is read between other calls.
            tokio::task::yield_now().await;
        }
    }
}

/// Applies one record. What cannot be applied, because a later release allows what we do not, is passed over: its place
/// counts.
pub(super) fn apply(state: &mut State, record: &LogRecord) -> Result<(), Unreadable> {
    let position = record.position;
    match stored::decode(record.value.clone()) {
        Ok(recorded) => {
            if let Err(error) = state.apply(&recorded) {
                tracing::error!(%error, position, "a change cannot be made, and is passed over");
            }
        }
        Err(unreadable @ Unreadable::Format { .. }) => return Err(unreadable),
        Err(unreadable) => {
            tracing::error!(%unreadable, position, "a change cannot be read, and is passed over");
        }
    }
    state.position = position;
    Ok(())
}
