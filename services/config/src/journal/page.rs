//! Pages of the log, for the audit trail.

use super::Journal;
use crate::Error;
use crate::change::JournalEntry;
use crate::stored::{self, Record};

/// A page of the log.
#[derive(Debug)]
pub struct Page {
    /// The changes, without unreadable records.
    pub entries: Vec<JournalEntry>,
    /// The position of the last record, readable or not; none if the page is empty.
    pub last: Option<u64>,
}

impl Journal {
    /// Reads at most `limit` changes after a position.
    ///
    /// # Errors
    ///
    /// If the store is unreachable.
    pub async fn page(&self, after: u64, limit: usize) -> Result<Page, Error> {
        let records = self.store.read(&self.log, after, limit).await?;
        let last = records.last().map(|record| record.position);
        let entries = records.into_iter().filter_map(|record| match stored::decode(record.value).ok()? {
            Record::Change(change) => Some(JournalEntry { position: record.position, record: *change }),
            Record::Snapshot(_) => None,
        });
        Ok(Page { entries: entries.collect(), last })
    }
}
