//! A log in the store beside the journal, of what is no change: no entry delays or pushes out a change, and there is a
//! bound in number and in age. A record has the entries that arrived together. The logs of refused writes and of audited
//! reads are such logs, each of its own, so that neither pushes out entries of the other.

mod index;

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dataflow_store::Store;
use dataflow_store::key::Key;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Mutex;

use crate::Error;

use index::Index;

/// How often entries are removed for their age.
const TRIM_PERIOD: Duration = Duration::from_secs(60);

/// The most records per read.
const PAGE_SIZE: usize = 500;

/// What a caller did, as a log has it.
pub trait Entry: Sized + Send + Sync {
    /// When that was.
    fn time(&self) -> SystemTime;

    /// The tenant of the caller; empty if it has none.
    fn tenant(&self) -> &str;

    /// The subject of the caller.
    fn subject(&self) -> &str;

    /// The stored form of entries that arrived together.
    fn encode(entries: &[Self]) -> Bytes;

    /// Reads the stored form.
    ///
    /// # Errors
    ///
    /// [`Unreadable`]: the record is skipped, since no state results from it.
    fn decode(record: Bytes) -> Result<Vec<Self>, Unreadable>;
}

/// Why a record cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A later release wrote it, in a later format version.
    #[error("format version {found}, this release reads up to {known}")]
    Format {
        /// The format version.
        found: u32,
        /// The newest that this release reads.
        known: u32,
    },
    /// It is not a record of this service.
    #[error("{0}")]
    Malformed(String),
}

/// What a log has at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The most entries.
    pub entries: u32,
    /// The age at which an entry is removed.
    pub age: Duration,
}

/// Which entries a caller asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// The tenant of the caller, which sees its own entries alone; empty if it sees those of all tenants.
    pub tenant: String,
    /// The subject of the entries; empty for all subjects.
    pub subject: String,
    /// The earliest time.
    pub start: Option<SystemTime>,
    /// The time after the latest one.
    pub end: Option<SystemTime>,
}

/// A log of entries.
pub struct BoundedLog<E> {
    store: Arc<dyn Store>,
    log: Key,
    bounds: Bounds,
    /// Where the records of the log are. Held while the log is trimmed.
    index: Mutex<Index>,
    entries: Gauge<u64, AtomicU64>,
    of: PhantomData<E>,
}

/// Where an entry is: the position of its record, and its number in there, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cursor {
    /// The position of the record.
    pub position: u64,
    /// The number in the record.
    pub number: u64,
}

/// A page of entries.
#[derive(Debug, PartialEq, Eq)]
pub struct Page<E> {
    /// The entries, in the order in which they were recorded.
    pub entries: Vec<E>,
    /// Where the last one is, if there are more.
    pub next: Option<Cursor>,
}

// === impl Query ===

impl Query {
    /// Whether an entry is asked for.
    pub fn matches(&self, entry: &impl Entry) -> bool {
        (self.tenant.is_empty() || self.tenant == entry.tenant())
            && (self.subject.is_empty() || self.subject == entry.subject())
            && self.start.is_none_or(|start| start <= entry.time())
            && self.end.is_none_or(|end| entry.time() < end)
    }
}

// === impl BoundedLog ===

impl<E: Entry> BoundedLog<E> {
    /// The log with this name in `store`.
    pub fn new(store: Arc<dyn Store>, log: Key, bounds: Bounds) -> Self {
        Self { store, log, bounds, index: Mutex::default(), entries: Gauge::default(), of: PhantomData }
    }

    /// The number of entries, as of the last record or check.
    pub fn entries(&self) -> Gauge<u64, AtomicU64> {
        self.entries.clone()
    }

    /// Records entries, once for each `id`.
    ///
    /// # Errors
    ///
    /// If the store is unreachable: they may have been recorded.
    pub async fn record(&self, id: &str, entries: &[E], now: SystemTime) -> Result<(), Error> {
        self.append(id, E::encode(entries)).await?;
        // It is recorded. The next record trims as well.
        if let Err(error) = self.trim(now).await {
            tracing::debug!(%error, log = %self.log, "log: not trimmed");
        }
        Ok(())
    }

    /// Lists at most `limit` entries after a cursor that are not too old at `now`.
    ///
    /// # Errors
    ///
    /// If the store is unreachable.
    pub async fn list(
        &self,
        query: &Query,
        after: Cursor,
        limit: usize,
        now: SystemTime,
    ) -> Result<Page<E>, Error> {
        let (mut entries, mut last) = (Vec::new(), after);
        let mut read = after.position.saturating_sub(1);
        loop {
            let records = self.store.read(&self.log, read, PAGE_SIZE).await?;
            let Some(end) = records.last() else { return Ok(Page { entries, next: None }) };
            read = end.position;
            for record in records {
                let position = record.position;
                let found = E::decode(record.value).unwrap_or_else(|unreadable| {
                    tracing::warn!(%unreadable, position, log = %self.log, "log: record unreadable, skipped");
                    Vec::new()
                });
                for (number, entry) in (1..).zip(found) {
                    let here = Cursor { position, number };
                    if here <= after || self.is_too_old(entry.time(), now) || !query.matches(&entry) {
                        continue;
                    }
                    if entries.len() == limit {
                        return Ok(Page { entries, next: Some(last) });
                    }
                    entries.push(entry);
                    last = here;
                }
            }
            // A long log does not block other tasks.
            tokio::task::yield_now().await;
        }
    }

    /// Removes entries for their age, without end.
    pub async fn follow(&self) {
        loop {
            if let Err(error) = self.trim(SystemTime::now()).await {
                tracing::debug!(%error, log = %self.log, "log: not trimmed, retrying");
            }
            tokio::time::sleep(TRIM_PERIOD).await;
        }
    }

    /// Removes the oldest records while there are too many entries, and those that are too old. The last record always
    /// stays in the store; what is too old in it is not listed.
    async fn trim(&self, now: SystemTime) -> Result<(), Error> {
        let mut index = self.index.lock().await;
        index.catch_up::<E>(&*self.store, &self.log, now).await?;
        let limit = u64::from(self.bounds.entries);
        if let Some(first) = index.surplus(limit, |newest| self.is_too_old(newest, now)) {
            self.store.trim(&self.log, first).await?;
            index.forget_before(first);
        }
        self.entries.set(index.entries());
        Ok(())
    }

    fn is_too_old(&self, time: SystemTime, now: SystemTime) -> bool {
        now.duration_since(time).is_ok_and(|age| age >= self.bounds.age)
    }

    /// Appends a record; retries once if the outcome is unknown.
    async fn append(&self, id: &str, value: Bytes) -> Result<(), Error> {
        let first = self.store.append(&self.log, id, value.clone()).await;
        match first {
            Err(dataflow_store::Error::OutcomeUnknown | dataflow_store::Error::NotReplicated { .. }) => {
                self.store.append(&self.log, id, value).await?;
            }
            other => drop(other?),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
