//! The log of refused writes: a log of its own in the store beside the journal, so that no refusal delays a change, and
//! with a bound in number and in age. A record has the refusals of one report.

mod index;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dataflow_mesh::metrics::Metrics;
use dataflow_store::Store;
use dataflow_store::key::Key;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Mutex;

use crate::Error;
use crate::args::RefusalLogArgs;
use crate::journal::SPACE;
use crate::refusal::{Query, Refusal, Report};
use crate::stored::refusal::{decode_refusals, encode_refusals};

use index::Index;

/// The name of the log.
const LOG: &str = "refusals";

/// How often refusals are removed for their age.
const TRIM_PERIOD: Duration = Duration::from_secs(60);

/// The most records per read.
const PAGE_SIZE: usize = 500;

/// The log of refused writes.
pub struct RefusalLog {
    store: Arc<dyn Store>,
    log: Key,
    limits: RefusalLogArgs,
    /// Where the records of the log are. Held while the log is trimmed.
    index: Mutex<Index>,
    entries: Gauge<u64, AtomicU64>,
}

/// Where a refusal is: the position of its record, and its number in there, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cursor {
    /// The position of the record.
    pub position: u64,
    /// The number in the record.
    pub number: u64,
}

/// A page of refusals.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// The refusals, in the order in which they were recorded.
    pub refusals: Vec<Refusal>,
    /// Where the last one is, if there are more.
    pub next: Option<Cursor>,
}

// === impl RefusalLog ===

impl RefusalLog {
    /// The log in `store`, within `limits`.
    pub fn new(store: Arc<dyn Store>, limits: &RefusalLogArgs) -> Self {
        let (log, limits) = (SPACE.key(LOG), limits.clone());
        Self { store, log, limits, index: Mutex::default(), entries: Gauge::default() }
    }

    /// Registers the metrics of the log.
    pub fn register(&self, metrics: &Metrics) {
        let help =
            "Refused writes in the log, as of the last change or check; at most `--refusal-log-entries`";
        metrics.register("config_refusal_log_entries", help, self.entries.clone());
    }

    /// Records a report, once.
    ///
    /// # Errors
    ///
    /// If the store is unreachable: it may have been recorded.
    pub async fn record(&self, report: &Report, now: SystemTime) -> Result<(), Error> {
        let value = encode_refusals(&report.refusals);
        self.append(&report.id, value).await?;
        // It is recorded. The next report trims as well.
        if let Err(error) = self.trim(now).await {
            tracing::debug!(%error, "refusal log: not trimmed");
        }
        Ok(())
    }

    /// Lists at most `limit` refusals after a cursor that are not too old at `now`.
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
    ) -> Result<Page, Error> {
        let (mut refusals, mut last) = (Vec::new(), after);
        let mut read = after.position.saturating_sub(1);
        loop {
            let records = self.store.read(&self.log, read, PAGE_SIZE).await?;
            let Some(end) = records.last() else { return Ok(Page { refusals, next: None }) };
            read = end.position;
            for record in records {
                let position = record.position;
                let found = decode_refusals(record.value).unwrap_or_else(|unreadable| {
                    tracing::warn!(%unreadable, position, "refusal log: record unreadable, skipped");
                    Vec::new()
                });
                for (number, refusal) in (1..).zip(found) {
                    let here = Cursor { position, number };
                    if here <= after || self.is_too_old(refusal.time, now) || !query.matches(&refusal) {
                        continue;
                    }
                    if refusals.len() == limit {
                        return Ok(Page { refusals, next: Some(last) });
                    }
                    refusals.push(refusal);
                    last = here;
                }
            }
            // A long log does not block other tasks.
            tokio::task::yield_now().await;
        }
    }

    /// Removes refusals for their age, without end.
    pub async fn follow(&self) {
        loop {
            if let Err(error) = self.trim(SystemTime::now()).await {
                tracing::debug!(%error, "refusal log: not trimmed, retrying");
            }
            tokio::time::sleep(TRIM_PERIOD).await;
        }
    }

    /// Removes the oldest records while there are too many refusals, and those that are too old. The last record always
    /// stays in the store; what is too old in it is not listed.
    async fn trim(&self, now: SystemTime) -> Result<(), Error> {
        let mut index = self.index.lock().await;
        index.catch_up(&*self.store, &self.log, now).await?;
        let limit = u64::from(self.limits.entries);
        if let Some(first) = index.surplus(limit, |newest| self.is_too_old(newest, now)) {
            self.store.trim(&self.log, first).await?;
            index.forget_before(first);
        }
        self.entries.set(index.entries());
        Ok(())
    }

    fn is_too_old(&self, time: SystemTime, now: SystemTime) -> bool {
        now.duration_since(time).is_ok_and(|age| age >= self.limits.age)
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
