//! Append-only logs: what was once written there is neither changed nor removed.

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Error;
use crate::key::Key;

/// One record of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its place: 1, 2, 3 ... without gaps.
    pub position: u64,
    /// The bytes.
    pub value: Bytes,
}

/// What came of appending to a log that must end where the caller believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The record is there, at this position.
    At(u64),
    /// Nothing was written: the log's last record is at this position, 0 if there is none.
    Behind {
        /// The position.
        last: u64,
    },
}

/// Append-only logs. Their keys must be of a durable space.
#[async_trait]
pub trait Logs {
    /// Writes a record at the end; its position. Within a day the same `id` in the same log writes nothing again and gets
    /// the position of the first time, so that repeating a call whose outcome is unknown is safe.
    async fn append(&self, log: &Key, id: &str, value: Bytes) -> Result<u64, Error>;

    /// The same, but only if the last record is at position `last`, 0 for an empty log: of several who go by what they
    /// have read, one writes. An id that was written before has its position, wherever the log ends by now.
    async fn append_after(&self, log: &Key, last: u64, id: &str, value: Bytes) -> Result<Appended, Error>;

    /// At most `limit` records after a position, 0 for the beginning, in order.
    async fn read(&self, log: &Key, after: u64, limit: usize) -> Result<Vec<LogRecord>, Error>;
}
