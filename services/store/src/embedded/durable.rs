//! Durable data: tables of a redb database, in a file or in memory.
//!
//! A crash of the process or the machine at any moment leaves the state of the last commit: redb writes new pages
//! beside the ones in use, and then switches over. Every write is acknowledged and published only after its commit, so
//! that no other recovery is needed.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use dataflow_mesh::breaker::Breaker;
use dataflow_mesh::panics;
use redb::backends::{FileBackend, InMemoryBackend};
use redb::{
    Builder, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition,
    WriteTransaction,
};
use tokio::time::Instant;

use super::NewValue;
use super::buckets::Buckets;
use super::collection;
use super::database::OpenDatabase;
use super::directory::Directory;
use super::log;
use super::writer::Writer;
use crate::collections::{Applied, Change, Collection, ContentId};
use crate::entries::{Condition, Cursor, Entry, Outcome, Page};
use crate::error::Error;
use crate::key::{Key, Space};
use crate::logs::{Appended, LogRecord};
use crate::record;
use crate::revision::Revision;

/// Space and name, to the expiry in Unix milliseconds, 0 for never, and the record.
const ENTRIES: TableDefinition<'_, (&str, &str), (u64, &[u8])> = TableDefinition::new("entries");

/// Database pages cached in memory, in bytes. Small, because the kernel caches them too.
const PAGE_CACHE: usize = 4 << 20;

/// How many entries one page of a listing scans.
const PAGE_SIZE: usize = 1000;

/// Durable entries and logs. Closed before the lock of the directory is released.
pub(super) struct DurableStore {
    pub(super) writer: Writer,
    open: Arc<OpenDatabase>,
    /// Opens while the disk fails, which makes the failure visible in the status and the metrics.
    pub(super) breaker: Option<Breaker>,
    _directory: Option<Directory>,
}

// === impl DurableStore ===

impl DurableStore {
    pub(super) fn in_memory() -> Self {
        Self::open(|| Ok(InMemoryBackend::new()), None).expect("memory does not fail")
    }

    pub(super) fn in_file(directory: Directory) -> Result<Self, redb::Error> {
        // redb rejects a file whose initialization was interrupted.
        let initialize = |file| {
            Builder::new().create_with_backend(FileBackend::new(file)?)?;
            Ok::<_, redb::Error>(())
        };
        let file = directory.file("state.redb", initialize)?;
        // The same file each time, whatever has its name meanwhile.
        Self::open(move || Ok(FileBackend::new(file.try_clone()?)?), Some(directory))
    }

    pub(super) fn open<B: StorageBackend>(
        backend: impl Fn() -> Result<B, redb::Error> + Send + Sync + 'static,
        directory: Option<Directory>,
    ) -> Result<Self, redb::Error> {
        let opener = move || {
            // Checked each time: external damage would otherwise cause a panic at some later time.
            let database = Builder::new()
                .set_cache_size(PAGE_CACHE)
                .set_check_integrity_on_open(true)
                .create_with_backend(backend()?)?;
            let transaction = database.begin_write()?;
            transaction.open_table(ENTRIES)?;
            log::create(&transaction)?;
            collection::create(&transaction)?;
            transaction.commit()?;
            Ok(database)
        };
        let open = Arc::new(OpenDatabase::open(opener)?);
        Ok(Self { writer: Writer::start(Arc::clone(&open))?, open, breaker: None, _directory: directory })
    }

    pub(super) async fn get(&self, keys: Vec<Key>) -> Result<Vec<Option<Entry>>, Error> {
        let now = unix_ms();
        let read = move |transaction: &ReadTransaction| {
            let table = transaction.open_table(ENTRIES)?;
            let get = |key: Key| {
                let stored = table.get((key.space.name, key.name.as_str()))?;
                let unexpired = stored.and_then(|stored| {
                    let (expires, record) = stored.value();
                    is_alive(expires, now).then(|| (expires, Bytes::copy_from_slice(record)))
                });
                Ok((key, unexpired))
            };
            keys.into_iter().map(get).collect::<Result<Vec<_>, _>>()
        };
        let entry = |(key, stored): (Key, Option<(u64, Bytes)>)| {
            let Some((expires, record)) = stored else { return Ok(None) };
            let (revision, value) = record::decode(&key, record)?;
            let ttl = (expires > 0).then(|| Duration::from_millis(expires - now));
            Ok(Some(Entry { value, revision, ttl }))
        };
        self.snapshot(read).await?.into_iter().map(entry).collect()
    }

    /// See [`Embedded::change`](super::Embedded::change).
    pub(super) async fn change(
        &self,
        key: &Key,
        new: Option<NewValue>,
        condition: Condition,
        buckets: &Arc<Buckets>,
    ) -> Result<Outcome<Option<Revision>>, Error> {
        let (key, buckets) = (key.clone(), Arc::clone(buckets));
        // Read here: the writer thread does not see a paused test clock.
        let (instant, now) = (Instant::now(), unix_ms());
        let stage = move |transaction: &WriteTransaction| {
            let mut table = transaction.open_table(ENTRIES)?;
            let name = (key.space.name, key.name.as_str());
            let found = table.get(name)?.and_then(|stored| {
                let (expires, record) = stored.value();
                revision(record).filter(|_| is_alive(expires, now))
            });
            let mut locked = buckets.lock(&key);
            let meets = locked.meets(condition, found, instant);
            if meets {
                locked.block_leases(instant);
            }
            drop(locked);
            match new {
                _ if !meets => {}
                Some(NewValue { revision, value, ttl }) => {
                    let record = record::encode(revision, value);
                    table.insert(name, (expires(ttl, now), record.as_slice()))?;
                }
                None => drop(table.remove(name)?),
            }
            Ok(move || {
                if !meets {
                    return Outcome::Refused(found);
                }
                buckets.lock(&key).publish_change();
                Outcome::Done(found)
            })
        };
        self.write(stage).await
    }

    pub(super) async fn list(&self, space: Space, prefix: &str, from: Option<Cursor>) -> Result<Page, Error> {
        let (prefix, now) = (prefix.to_owned(), unix_ms());
        let read = move |transaction: &ReadTransaction| {
            let table = transaction.open_table(ENTRIES)?;
            // A cursor is the first name of the next page.
            let first = from.as_ref().map_or(prefix.as_str(), |Cursor(name)| name);
            let (mut page, mut expired) = (Page::default(), Vec::new());
            for (index, stored) in table.range((space.name, first)..)?.enumerate() {
                let (key, value) = stored?;
                let ((of, name), (expires, _)) = (key.value(), value.value());
                if of != space.name || !name.starts_with(&prefix) {
                    break;
                }
                if index == PAGE_SIZE {
                    page.next = Some(Cursor(name.to_owned()));
                    break;
                }
                let keys = if is_alive(expires, now) { &mut page.keys } else { &mut expired };
                keys.push(space.key(name));
            }
            Ok((page, expired))
        };
        let (page, expired) = self.snapshot(read).await?;
        if !expired.is_empty() {
            self.writer.queue(move |transaction| remove_expired(transaction, &expired, now));
        }
        Ok(page)
    }

    /// Appends to a log, if its last position is `last` or none is given.
    pub(super) async fn append(
        &self,
        log: &Key,
        id: &str,
        value: Bytes,
        last: Option<u64>,
    ) -> Result<Appended, Error> {
        debug_assert!(log.space.durable, "{log} is in a volatile space");
        let (log, id, now) = (log.clone(), id.to_owned(), unix_ms());
        let stage = move |transaction: &WriteTransaction| {
            let position = log::append(transaction, &log, &id, now, &value, last)?;
            Ok(move || position)
        };
        self.write(stage).await
    }

    pub(super) async fn read(&self, log: &Key, after: u64, limit: usize) -> Result<Vec<LogRecord>, Error> {
        let log = log.clone();
        self.snapshot(move |transaction| log::read(transaction, &log, after, limit)).await
    }

    /// See [`Logs::trim`](crate::logs::Logs::trim).
    pub(super) async fn trim(&self, log: &Key, first: u64) -> Result<(), Error> {
        let log = log.clone();
        let stage = move |transaction: &WriteTransaction| {
            log::trim(transaction, &log, first)?;
            Ok(|| ())
        };
        self.write(stage).await
    }

    /// See [`Collections`](crate::collections::Collections), here and below.
    pub(super) async fn collection(&self, key: &Key) -> Result<Collection, Error> {
        let key = key.clone();
        self.snapshot(move |transaction| collection::read(transaction, &key)).await
    }

    pub(super) async fn chunk(
        &self,
        key: &Key,
        content: ContentId,
        index: u32,
    ) -> Result<Option<Bytes>, Error> {
        let key = key.clone();
        self.snapshot(move |transaction| collection::chunk(transaction, &key, content, index)).await
    }

    pub(super) async fn stage(&self, key: &Key, at: (ContentId, u32), chunk: Bytes) -> Result<(), Error> {
        debug_assert!(key.space.durable, "{key} is in a volatile space");
        let (key, now) = (key.clone(), unix_ms());
        let stage = move |transaction: &WriteTransaction| {
            collection::stage(transaction, &key, at, &chunk, now)?;
            Ok(|| ())
        };
        self.write(stage).await
    }

    pub(super) async fn apply(
        &self,
        key: &Key,
        version: u64,
        changes: Vec<Change>,
    ) -> Result<Applied, Error> {
        let key = key.clone();
        let stage = move |transaction: &WriteTransaction| {
            let applied = collection::apply(transaction, &key, version, &changes)?;
            Ok(move || applied)
        };
        self.write(stage).await
    }

    /// See [`Writer::write`].
    async fn write<T, A>(
        &self,
        stage: impl FnOnce(&WriteTransaction) -> Result<A, redb::Error> + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        A: FnOnce() -> T + 'static,
    {
        let permit = self.breaker.as_ref().map(Breaker::enter).transpose().map_err(|open| {
            let why = "the disk of the data directory failed a moment ago".to_owned();
            Error::Unavailable { why, retry_after: open.retry_after }
        })?;
        let result = self.writer.write(stage).await;
        match (permit, &result) {
            (Some(permit), Err(Error::DiskFailed(_))) => permit.failed(),
            (Some(permit), _) => permit.succeeded(),
            (None, _) => {}
        }
        result
    }

    /// Reads a snapshot, on a thread that may block on the disk.
    async fn snapshot<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let open = Arc::clone(&self.open);
        let read = panics::spawn_blocking(move || open.run(|database| read(&database.begin_read()?))).await;
        read.map_err(|error| {
            // Only the writer opens the database again.
            self.writer.queue(|_| Ok(()));
            super::error(Arc::new(error))
        })
    }
}

/// Removes expired keys, unless they were written again.
fn remove_expired(transaction: &WriteTransaction, keys: &[Key], now: u64) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(ENTRIES)?;
    for key in keys {
        let name = (key.space.name, key.name.as_str());
        if table.get(name)?.is_some_and(|stored| !is_alive(stored.value().0, now)) {
            table.remove(name)?;
        }
    }
    Ok(())
}

/// The revision of a record, without the copy that decoding the record would make.
fn revision(record: &[u8]) -> Option<Revision> {
    let bytes = record.get(record::REVISION)?.try_into().ok()?;
    Revision::new(u64::from_le_bytes(bytes))
}

/// Whether an entry is still alive; both times in Unix milliseconds.
fn is_alive(expires: u64, now: u64) -> bool {
    expires == 0 || now < expires
}

fn expires(ttl: Option<Duration>, now: u64) -> u64 {
    ttl.map_or(0, |ttl| now.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)))
}

/// The wall clock, which also advances while no process runs.
fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).expect("Unix milliseconds fit into 64 bits for 500 million years")
}
