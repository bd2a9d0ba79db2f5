//! Where the records of a log are, how many entries each has, and how old its newest is: what trimming depends on,
//! so that the log is read once and not with every record.

use std::collections::VecDeque;
use std::time::SystemTime;

use dataflow_store::Store;
use dataflow_store::key::Key;

use super::{Entry, PAGE_SIZE};
use crate::Error;

/// The records from the beginning of the log up to `last`. There are no more than entries in the log, which is
/// bounded.
#[derive(Debug, Default)]
pub(super) struct Index {
    records: VecDeque<Record>,
    /// The position of the last record that was read.
    last: u64,
}

#[derive(Debug)]
struct Record {
    position: u64,
    entries: u64,
    newest: SystemTime,
}

// === impl Index ===

impl Index {
    /// Reads the records that were appended since the last read, by this replica or another one. A log that lost records
    /// is read again from its beginning.
    pub(super) async fn catch_up<E: Entry>(
        &mut self,
        store: &dyn Store,
        log: &Key,
        now: SystemTime,
    ) -> Result<(), Error> {
        if self.last > 0 {
            let known = store.read(log, self.last - 1, 1).await?;
            // A later one if another replica has trimmed up to there: what this one removes next is the same.
            if known.first().is_none_or(|record| record.position < self.last) {
                *self = Self::default();
            }
        }
        loop {
            let records = store.read(log, self.last, PAGE_SIZE).await?;
            if records.is_empty() {
                return Ok(());
            }
            for record in records {
                self.last = record.position;
                // One that a later release wrote has an unknown number of entries; it counts as new, and as one.
                let read = E::decode(record.value);
                let newest = read.as_ref().ok().and_then(|read| read.iter().map(|each| each.time()).max());
                let entries = read.map_or(1, |read| read.len() as u64);
                let newest = newest.unwrap_or(now);
                self.records.push_back(Record { position: record.position, entries, newest });
            }
            tokio::task::yield_now().await;
        }
    }

    /// The number of entries.
    pub(super) fn entries(&self) -> u64 {
        self.records.iter().map(|record| record.entries).sum()
    }

    /// The position of the first record that stays: of those before it, each has entries beyond `limit`, or ones that
    /// are all too old. None if all stay.
    pub(super) fn surplus(&self, limit: u64, is_too_old: impl Fn(SystemTime) -> bool) -> Option<u64> {
        let mut entries = self.entries();
        let removed = self.records.iter().take_while(|record| {
            let is_surplus = entries > limit || is_too_old(record.newest);
            entries -= record.entries;
            is_surplus
        });
        // The last record always stays.
        let removed = removed.count().min(self.records.len().saturating_sub(1));
        let first = self.records.get(removed)?;
        (removed > 0).then_some(first.position)
    }

    /// Forgets the records before a position: they were removed.
    pub(super) fn forget_before(&mut self, first: u64) {
        let removed = self.records.partition_point(|record| record.position < first);
        self.records.drain(..removed);
    }
}
