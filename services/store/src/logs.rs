//! Append-only logs: records are never changed, and removed only from the beginning.

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Error;
use crate::key::Key;

/// About how many bytes one read returns, so that reading a log of any size takes bounded memory.
pub const READ_SIZE: usize = 1 << 20;

/// One record of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its position: 1, 2, 3 ... without gaps; of a log that was trimmed, from a later number on.
    pub position: u64,
    /// The bytes.
    pub value: Bytes,
}

/// The result of a conditional append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The record is in the log, at this position.
    At(u64),
    /// Nothing was written: the log ends at another position, 0 if it is empty.
    Behind {
        /// The position of the last record.
        last: u64,
    },
}

/// Append-only logs. Their keys must be of a durable space.
#[async_trait]
pub trait Logs {
    /// Appends a record and returns its position. Idempotent: within a day, the same `id` in the same log writes
    /// nothing again and returns the first position, so that a retry is safe after an unknown outcome.
    async fn append(&self, log: &Key, id: &str, value: Bytes) -> Result<u64, Error>;

    /// Compare-and-append: appends only if the last record is at position `last`, 0 for an empty log. Of several
    /// concurrent writers that read the same state, one succeeds. An id that was written before returns its position,
    /// wherever the log ends now.
    async fn append_after(&self, log: &Key, last: u64, id: &str, value: Bytes) -> Result<Appended, Error>;

    /// Reads records after a position, 0 for the beginning, in order: at most `limit`, and no more once they have
    /// [`READ_SIZE`] bytes. None if there are none.
    async fn read(&self, log: &Key, after: u64, limit: usize) -> Result<Vec<LogRecord>, Error>;

    /// Removes the records before position `first`. The last record always stays. Positions do not change.
    async fn trim(&self, log: &Key, first: u64) -> Result<(), Error>;
}
