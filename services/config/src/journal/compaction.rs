//! Compaction: keeps the log below a size. A record with the state at an earlier position is appended, the base; then
//! the log is trimmed up to that position.
//!
//! The newest quarter of the allowed size stays, with its revisions and audit records. Older revisions can no longer be
//! listed or restored. Every replica does it for itself: of several bases one is appended, and trimming is idempotent.

use dataflow_store::logs::Appended;
use uuid::Uuid;

use super::reader::{self, PAGE_SIZE};
use super::{Error, Journal, State};
use crate::stored::{Base, encode_base};

// === impl Journal ===

impl Journal {
    /// Compacts the log if it has become too large, and trims it if it was compacted.
    ///
    /// # Errors
    ///
    /// If the store is unreachable; the next call continues.
    pub(super) async fn compact(&self) -> Result<(), Error> {
        self.trim().await?;
        let (bytes, compacted_bytes) = {
            let reader = self.reader.lock().await;
            (reader.bytes, reader.compacted_bytes)
        };
        // A state that is large itself must not be written again with every change.
        let limit = self.max_bytes.max(2 * compacted_bytes);
        if bytes <= limit {
            return Ok(());
        }
        let base = self.base_before(self.max_bytes / 4).await?;
        let _guard = self.writing.lock().await;
        let latest = self.writable().await?;
        let position = base.state.position;
        if position == 0 || position >= latest.position {
            return Ok(());
        }
        let id = Uuid::now_v7().to_string();
        match self.append(latest.position, &id, encode_base(&base)).await? {
            Appended::At(_) => {
                self.catch_up().await?;
                tracing::info!(bytes, position, "journal: compacted up to this position");
                self.trim().await
            }
            // Another replica has written, perhaps the same.
            Appended::Behind { .. } => Ok(()),
        }
    }

    /// Trims the log up to its newest base.
    async fn trim(&self) -> Result<(), Error> {
        let mut reader = self.reader.lock().await;
        if let Some(position) = reader.untrimmed {
            self.store.trim(&self.log, position + 1).await?;
            reader.untrimmed = None;
        }
        Ok(())
    }

    /// The state at the position after which the log has about this many bytes.
    async fn base_before(&self, remaining: u64) -> Result<Base, Error> {
        let mut positions = Vec::new();
        let mut bytes = 0;
        let mut state = reader::base(&*self.store, &self.log).await?;
        let start = state.clone();
        self.replay(&mut state, |_, record| {
            bytes += record.value.len() as u64;
            positions.push((record.position, bytes));
            false
        })
        .await?;
        let kept = positions.partition_point(|(_, read)| bytes - read > remaining);
        let Some(&(position, read)) = positions.get(kept) else {
            return Ok(Base { state: start, remaining_bytes: bytes });
        };
        let mut state = start;
        self.replay(&mut state, |state, _| state.position >= position).await?;
        Ok(Base { state, remaining_bytes: bytes - read })
    }

    /// Applies the records of the log after `state` until `is_last` returns true or the log ends.
    pub(super) async fn replay(
        &self,
        state: &mut State,
        mut is_last: impl FnMut(&State, &dataflow_store::logs::LogRecord) -> bool,
    ) -> Result<(), Error> {
        loop {
            let records = self.store.read(&self.log, state.position, PAGE_SIZE).await?;
            if records.is_empty() {
                return Ok(());
            }
            for record in records {
                reader::apply(state, &record).map_err(|_| Error::ReleaseOutdated)?;
                if is_last(state, &record) {
                    return Ok(());
                }
            }
            tokio::task::yield_now().await;
        }
    }
}
