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

/// Append-only logs. Their keys must be of a lasting space.
#[async_trait]
pub trait Logs {
    /// Writes a record at the end; its position. Within a day the same `id` in the same log writes nothing again and gets
    /// the position of the first time, so that repeating a call whose outcome is unknown is safe.
    async fn append(&self, log: &Key, id: &str, value: Bytes) -> Result<u64, Error>;

    /// At most `limit` records after a position, 0 for the beginning, in order.
    async fn read(&self, log: &Key, after: u64, limit: usize) -> Result<Vec<LogRecord>, Error>;
}
