//! Compaction: keeps the log below a size. A snapshot, a record with the state at an earlier position, is appended;
//! then the log is trimmed up to that position.
//!
//! The newest quarter of the allowed size stays, with its revisions and audit records. Older revisions can no longer be
//! listed or restored. Any replica compacts: one that finds a newer snapshot than when it began gives up, and trimming
//! is idempotent.

use std::time::Duration;

use dataflow_store::logs::Appended;
use tokio::time::Instant;
use uuid::Uuid;

use super::replay::{Replay, replay, start};
use super::{Error, Journal, MAX_ATTEMPTS};
use crate::state::State;
use crate::stored::{Snapshot, encode_snapshot};

/// The shortest time between two attempts: each of them reads the whole log.
const PAUSE: Duration = Duration::from_secs(5);

/// A state of the past, and the bytes of the log before it.
struct Cut {
    state: State,
    bytes_before: u64,
}

// === impl Journal ===

impl Journal {
    /// Compacts the log if it has become too large, and trims it if it was compacted.
    ///
    /// # Errors
    ///
    /// If the store is unreachable; a later call continues.
    pub(super) async fn compact(&self) -> Result<(), Error> {
        self.trim().await?;
        if !self.is_too_large().await {
            return Ok(());
        }
        let mut attempted = self.compacting.lock().await;
        if attempted.is_some_and(|last| last.elapsed() < PAUSE) || self.writable().await.is_err() {
            return Ok(());
        }
        *attempted = Some(Instant::now());
        drop(attempted);
        self.append_snapshot().await?;
        self.trim().await
    }

    /// Whether the log is above its limit. A state that is large itself must not be written again with every change.
    async fn is_too_large(&self) -> bool {
        let reader = self.reader.lock().await;
        reader.bytes > self.max_bytes.max(2 * reader.compacted_bytes)
    }

    /// Appends the snapshot after which about a quarter of the limit remains.
    pub(super) async fn append_snapshot(&self) -> Result<(), Error> {
        let known = self.reader.lock().await.snapshot;
        let Some(cut) = self.cut(self.max_bytes / 4).await? else { return Ok(()) };
        let _guard = self.writing.lock().await;
        let id = Uuid::now_v7().to_string();
        let position = cut.state.position;
        let mut snapshot = Snapshot { state: cut.state, remaining_bytes: 0 };
        for _ in 0..MAX_ATTEMPTS {
            self.catch_up().await?;
            let bytes = {
                let reader = self.reader.lock().await;
                if reader.snapshot != known {
                    return Ok(());
                }
                reader.bytes
            };
            // The log begins as it did when the cut was made, or there would be a newer snapshot.
            snapshot.remaining_bytes = bytes.saturating_sub(cut.bytes_before);
            let latest = self.writable().await?;
            let appended = self.append(latest.position, &id, encode_snapshot(&snapshot)).await?;
            if matches!(appended, Appended::At(_)) {
                tracing::info!(bytes, position, "journal: compacted up to this position");
                return self.catch_up().await;
            }
        }
        Ok(())
    }

    /// Trims the log up to its newest snapshot.
    async fn trim(&self) -> Result<(), Error> {
        let mut reader = self.reader.lock().await;
        if let Some(position) = reader.untrimmed {
            self.store.trim(&self.log, position + 1).await?;
            reader.untrimmed = None;
        }
        Ok(())
    }

    /// The state after which the log has at most this many bytes; none if the log was trimmed meanwhile.
    async fn cut(&self, remaining: u64) -> Result<Option<Cut>, Error> {
        let mut state = start(&*self.store, &self.log).await?;
        let (mut cut, mut bytes, mut sizes) = (state.clone(), 0, Vec::new());
        let sized = replay(&*self.store, &self.log, &mut state, |_, record, _| {
            bytes += record.value.len() as u64;
            sizes.push((record.position, bytes));
            false
        });
        if !matches!(sized.await?, Replay::Ended) {
            return Ok(None);
        }
        let kept = sizes.partition_point(|(_, before)| bytes - before > remaining);
        let Some(&(position, bytes_before)) = sizes.get(kept) else { return Ok(None) };
        let stopped = replay(&*self.store, &self.log, &mut cut, |state, _, _| state.position == position);
        let is_whole = matches!(stopped.await?, Replay::Stopped);
        Ok(is_whole.then_some(Cut { state: cut, bytes_before }))
    }
}
