//! The backend of a single process: volatile data in bounded memory; durable data in a file, or in memory if no data
//! directory is given.

mod buckets;
mod collection;
mod database;
mod directory;
#[cfg(test)]
mod disk;
mod durable;
mod log;
mod memory;
mod permits;
#[cfg(test)]
mod tests;
mod writer;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dataflow_mesh::breaker::{self, Breaker};
use dataflow_mesh::rate::RateLimit;
use dataflow_mesh::tasks::Task;
use tokio::time::Instant;

use self::buckets::Buckets;
use self::directory::Directory;
use self::durable::DurableStore;
use self::memory::Memory;
use self::permits::PermitStates;
use crate::collections::{Applied, Change, Collection, Collections, ContentId};
use crate::entries::{Condition, Cursor, Entries, Entry, Outcome, Page};
use crate::error::Error;
use crate::generations::{Generation, Generations};
use crate::key::{Key, Space};
use crate::leases::{Leases, Token};
use crate::logs::{Appended, LogRecord, Logs};
use crate::permits::{Permits, Taken};
use crate::revision::Revision;
use crate::signals::{Signals, Subscription};

/// A store for this process only. Dropping it waits for the writes in the queue.
pub struct Embedded {
    buckets: Arc<Buckets>,
    memory: Memory,
    permits: PermitStates,
    durable: DurableStore,
}

/// Why a data directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another store of this process, has it open: embedded state belongs to one process.
    #[error("the data directory {} is in use by {holder}", directory.display())]
    Held {
        /// The directory.
        directory: PathBuf,
        /// The holder of the lock, such as `process 1234`.
        holder: String,
    },
    /// It cannot be created, locked or read, or its data is damaged.
    #[error("the data directory {} cannot be used", directory.display())]
    Unusable {
        /// The directory.
        directory: PathBuf,
        /// The error of the operating system or the database.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The error of a caller whose read or write failed.
fn error(error: Arc<redb::Error>) -> Error {
    match *error {
        redb::Error::Io(_) | redb::Error::PreviousIo => Error::DiskFailed(Box::new(error)),
        _ => Error::File(Box::new(error)),
    }
}

/// A value to write.
struct NewValue {
    revision: Revision,
    value: Bytes,
    ttl: Option<Duration>,
}

// === impl Embedded ===

impl Embedded {
    /// Keeps everything in memory. Entries of volatile spaces take at most `capacity` bytes, and generations of tags
    /// another eighth of that; the least recently used are evicted.
    pub fn new(capacity: u64) -> Self {
        Self::over(DurableStore::in_memory(), capacity)
    }

    /// Keeps durable spaces and logs in `directory`, which is created if missing, and the rest as [`new`](Self::new)
    /// does. The directory is locked until this is dropped or the process ends for any reason.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(directory: &Path, capacity: u64) -> Result<Self, OpenError> {
        let durable = DurableStore::in_file(Directory::lock(directory)?).map_err(|source| {
            OpenError::Unusable { directory: directory.to_owned(), source: source.into() }
        })?;
        Ok(Self::over(durable, capacity))
    }

    /// Makes failures of the disk visible as those of this circuit breaker.
    pub fn set_breaker(&mut self, breaker: Breaker) {
        self.durable.breaker = Some(breaker);
    }

    /// The settings of the circuit breaker for [`set_breaker`](Self::set_breaker).
    pub const BREAKER: breaker::Settings = breaker::Settings {
        failures: NonZeroU32::MIN,
        silence: None,
        pause: Duration::from_millis(500),
        probes: NonZeroU32::MIN,
        successes: NonZeroU32::MIN,
        deadline: Duration::from_secs(1),
    };

    /// The task that ends when the writer thread has panicked: nothing can be written from then on.
    pub fn watch_writer(&mut self) -> Task {
        let ended = self.durable.writer.ended();
        Task::essential("store writer", async move {
            let panicked = match ended {
                Some(ended) => ended.await.is_err(),
                None => false,
            };
            if !panicked {
                // It was closed.
                std::future::pending().await
            }
        })
    }

    fn over(durable: DurableStore, capacity: u64) -> Self {
        let (buckets, permits) = (Arc::new(Buckets::new()), PermitStates::new());
        Self { buckets, memory: Memory::new(capacity), permits, durable }
    }

    /// Writes `new`, or deletes the key; returns the previous revision.
    async fn change(
        &self,
        key: &Key,
        new: Option<NewValue>,
        condition: Condition,
    ) -> Result<Outcome<Option<Revision>>, Error> {
        if key.space.durable {
            self.durable.change(key, new, condition, &self.buckets).await
        } else {
            Ok(self.change_in_memory(key, new, condition))
        }
    }

    fn change_in_memory(
        &self,
        key: &Key,
        new: Option<NewValue>,
        condition: Condition,
    ) -> Outcome<Option<Revision>> {
        let now = Instant::now();
        let mut locked = self.buckets.lock(key);
        let found = self.memory.revision(key, now);
        if !locked.meets(condition, found, now) {
            return Outcome::Refused(found);
        }
        match new {
            Some(new) => self.memory.insert(key.clone(), new, now),
            None => self.memory.remove(key),
        }
        locked.publish_change();
        Outcome::Done(found)
    }
}

#[async_trait]
impl Entries for Embedded {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error> {
        let durable: Vec<Key> = keys.iter().filter(|key| key.space.durable).cloned().collect();
        let mut durable = match durable.is_empty() {
            true => Vec::new(),
            false => self.durable.get(durable).await?,
        }
        .into_iter();
        let now = Instant::now();
        let entry = |key: &Key| match key.space.durable {
            true => durable.next().expect("the read returns one result per durable key"),
            false => self.memory.get(key, now),
        };
        Ok(keys.iter().map(entry).collect())
    }

    async fn set(
        &self,
        key: &Key,
        value: Bytes,
        ttl: Option<Duration>,
        condition: Condition,
    ) -> Result<Outcome<Revision>, Error> {
        let revision = Revision::random();
        let ttl = ttl.map(|ttl| ttl.max(Duration::from_millis(1)));
        Ok(match self.change(key, Some(NewValue { revision, value, ttl }), condition).await? {
            Outcome::Done(_) => Outcome::Done(revision),
            Outcome::Refused(found) => Outcome::Refused(found),
        })
    }

    async fn delete(&self, key: &Key, condition: Condition) -> Result<Outcome<bool>, Error> {
        Ok(match self.change(key, None, condition).await? {
            Outcome::Done(found) => Outcome::Done(found.is_some()),
            Outcome::Refused(found) => Outcome::Refused(found),
        })
    }

    async fn list(&self, space: Space, prefix: &str, from: Option<Cursor>) -> Result<Page, Error> {
        if space.durable {
            self.durable.list(space, prefix, from).await
        } else {
            Ok(Page { keys: self.memory.list(space, prefix, Instant::now()), next: None })
        }
    }
}

#[async_trait]
impl Leases for Embedded {
    async fn acquire(&self, key: &Key, token: Token, hold: Duration) -> Result<bool, Error> {
        Ok(self.buckets.lock(key).acquire(token, hold, Instant::now()))
    }

    async fn release(&self, key: &Key, token: Token) -> Result<bool, Error> {
        let mut locked = self.buckets.lock(key);
        let is_held = locked.is_leased_by(token, Instant::now());
        if is_held {
            locked.publish_change();
        }
        Ok(is_held)
    }
}

#[async_trait]
impl Generations for Embedded {
    async fn generations(&self, tags: &[Key]) -> Result<Vec<Generation>, Error> {
        Ok(tags.iter().map(|tag| self.memory.generation(tag, || self.buckets.lock(tag))).collect())
    }

    async fn renew(&self, tag: &Key) -> Result<Generation, Error> {
        let mut locked = self.buckets.lock(tag);
        let generation = self.memory.renew(tag);
        locked.publish_change();
        Ok(generation)
    }
}

#[async_trait]
impl Permits for Embedded {
    async fn take(&self, key: &Key, limit: RateLimit, most: u32) -> Result<Taken, Error> {
        Ok(self.permits.take(key, limit, most, Instant::now()))
    }
}

#[async_trait]
impl Logs for Embedded {
    async fn append(&self, log: &Key, id: &str, value: Bytes) -> Result<u64, Error> {
        // An unconditional append is never rejected.
        let (Appended::At(position) | Appended::Behind { last: position }) =
            self.durable.append(log, id, value, None).await?;
        Ok(position)
    }

    async fn append_after(&self, log: &Key, last: u64, id: &str, value: Bytes) -> Result<Appended, Error> {
        self.durable.append(log, id, value, Some(last)).await
    }

    async fn read(&self, log: &Key, after: u64, limit: usize) -> Result<Vec<LogRecord>, Error> {
        self.durable.read(log, after, limit).await
    }

    async fn trim(&self, log: &Key, first: u64) -> Result<(), Error> {
        self.durable.trim(log, first).await
    }
}

#[async_trait]
impl Collections for Embedded {
    async fn collection(&self, collection: &Key) -> Result<Collection, Error> {
        self.durable.collection(collection).await
    }

    async fn stage(
        &self,
        collection: &Key,
        content: ContentId,
        index: u32,
        chunk: Bytes,
    ) -> Result<(), Error> {
        self.durable.stage(collection, (content, index), chunk).await
    }

    async fn chunk(&self, collection: &Key, content: ContentId, index: u32) -> Result<Option<Bytes>, Error> {
        self.durable.chunk(collection, content, index).await
    }

    async fn apply(&self, collection: &Key, version: u64, changes: Vec<Change>) -> Result<Applied, Error> {
        self.durable.apply(collection, version, changes).await
    }
}

#[async_trait]
impl Signals for Embedded {
    async fn publish(&self, topic: &str, message: Bytes) -> Result<(), Error> {
        self.buckets.hub().send(topic, message);
        Ok(())
    }

    fn subscribe(&self, topic: &'static str) -> Subscription {
        self.buckets.hub().subscribe(topic)
    }
}
