//! The operations of the cache: entries in the store, behind an L1 cache in this process if the store is Redis.

use std::sync::Arc;

use dataflow_mesh::args::LimitArgs;
use dataflow_mesh::limiter::Limiter;
use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::process_status::CacheUse;
use dataflow_mesh::tasks::Task;
use dataflow_settings::Live;
use dataflow_store::Store;
use dataflow_store::entries::{Condition, Outcome};
use dataflow_store::generations::Generation;
use dataflow_store::key::Key as StoreKey;
use dataflow_store::leases::Token;
use dataflow_store::revision::Revision;
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::Mutex;

use crate::Error;
use crate::entry::{CachedEntry, Lookup, New, Read};
use crate::key::{Caller, ENTRIES, Key, Tag};
use crate::l1::L1;
use crate::secret::StoreKeys;
use crate::stats::{Counters, Stats};
use crate::stored;

/// Concurrent deletions of one prefix deletion.
const MAX_CONCURRENT_DELETES: usize = 16;

/// The entries of all callers. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Entries {
    pub(crate) store: Arc<dyn Store>,
    store_keys: StoreKeys,
    /// Permits of calls that wait for another caller's value. Fewer than the limit of concurrent calls: otherwise the
    /// waiting calls could exhaust it and shed the very call that they wait for.
    pub(crate) waiting: Limiter,
    pub(crate) limits: Live<LimitArgs>,
    /// Serializes prefix deletions, each of which scans all keys of the store.
    prefix_scan: Arc<Mutex<()>>,
    l1: Option<L1>,
    pub(crate) counters: Counters,
}

/// The precondition of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Unconditional.
    Anything,
    /// Only over this version (optimistic concurrency by etag).
    Version(Revision),
    /// Only while the lease is held.
    Lease(Token),
}

/// The result of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The entry is stored, with this version.
    Stored(Revision),
    /// The lease under which the value was computed has ended: the entry was changed, or another lease was granted.
    LeaseEnded,
    /// The store is unreachable.
    Degraded,
}

// === impl Entries ===

impl Entries {
    /// Entries in `store`, with an L1 cache of at most `capacity` bytes that is used while [`Entries::follow_changes`]
    /// runs. At most half of the concurrent calls allowed by `limits` may wait for values of others.
    pub fn new(store: Arc<dyn Store>, capacity: u64, limits: Live<LimitArgs>, metrics: &Metrics) -> Self {
        let l1 = L1::new(&*store, capacity);
        let counters = Counters::register(metrics, l1.clone());
        let (waiting, prefix_scan) = (Limiter::default(), Arc::default());
        let store_keys = StoreKeys::new(Arc::clone(&store));
        Self { store, store_keys, waiting, limits, prefix_scan, l1, counters }
    }

    /// The task that keeps the L1 cache coherent; none without one.
    pub fn follow_changes(&self) -> Option<Task> {
        self.l1.clone().map(|l1| l1.follow(Arc::clone(&self.store)))
    }

    /// Empties the L1 cache.
    pub(crate) fn drop_copies(&self) {
        if let Some(l1) = &self.l1 {
            l1.clear();
        }
    }

    /// The statistics of this process on the entries that a caller can access.
    pub fn stats(&self, caller: &Caller) -> Stats {
        self.counters.stats(caller)
    }

    /// The use of this cache by all callers.
    pub(crate) fn use_of_all(&self) -> CacheUse {
        self.counters.use_of_all()
    }

    /// The store key of an entry.
    pub(crate) async fn store_key(&self, key: &Key) -> Result<StoreKey, dataflow_store::Error> {
        self.store_keys.of(key).await
    }

    /// Reads one entry.
    pub async fn get(&self, key: &Key) -> Read {
        let read = match self.store_key(key).await {
            Ok(store_key) => {
                if let Some((entry, degraded)) = self.l1.as_ref().and_then(|l1| l1.entry(&store_key)) {
                    self.counters.l1_hit(key.namespace());
                    return Read { lookup: Lookup::Fresh(entry), degraded };
                }
                self.get_from_store(key, &store_key).await
            }
            Err(error) => {
                tracing::debug!(%error, "store: secret not read, degraded");
                Read::degraded()
            }
        };
        self.counters.read(key.namespace(), &read);
        read
    }

    /// Reads one entry from the store, bypassing the L1 cache.
    pub(crate) async fn get_from_store(&self, key: &Key, store_key: &StoreKey) -> Read {
        let before = self.l1.as_ref().map(|l1| l1.begin_read(store_key));
        let entry = match self.store.get(std::slice::from_ref(store_key)).await {
            Ok(entries) => entries.into_iter().next().flatten(),
            Err(dataflow_store::Error::Unreadable { key, problem }) => {
                tracing::warn!(key, problem, "store: entry unreadable, treated as a miss");
                None
            }
            Err(error) => {
                tracing::debug!(%error, "store: read failed, degraded");
                return Read::degraded();
            }
        };
        let Some(entry) = entry.and_then(|entry| stored::decode(key.namespace(), entry)) else {
            return Read::of(Lookup::Miss);
        };
        let Ok(valid) = self.is_valid(&entry).await else { return Read::degraded() };
        if !valid || entry.ttl().is_zero() {
            return Read::of(Lookup::Stale(entry));
        }
        if let (Some(l1), Some(before)) = (&self.l1, before) {
            l1.insert_entry(key.namespace(), store_key, &entry, before);
        }
        Read::of(Lookup::Fresh(entry))
    }

    /// The current generations of tags.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn generations(&self, tags: &[Tag]) -> Result<Vec<Generation>, Error> {
        let store_keys: Vec<_> = tags.iter().map(|tag| tag.store_key.clone()).collect();
        // From the store, not from the L1 cache: a copy that lags by a millisecond would accept a value whose tag was
        // invalidated in that time.
        Ok(self.store.generations(&store_keys).await?)
    }

    /// Writes one entry. `generations` are those of its tags from before the value was computed; by default the current
    /// ones.
    ///
    /// # Errors
    ///
    /// [`Error::EtagMismatch`], or [`Error::Store`] except for outages: a write to an unreachable store returns
    /// [`Written::Degraded`].
    pub async fn set(
        &self,
        key: &Key,
        new: New,
        generations: Option<Vec<Generation>>,
        over: Over,
    ) -> Result<Written, Error> {
        let generations = match generations {
            Some(generations) => generations,
            None => match self.generations(&new.tags).await {
                Ok(generations) => generations,
                Err(error) => return self.write_failed(key, error),
            },
        };
        let store_key = match self.store_key(key).await {
            Ok(store_key) => store_key,
            Err(error) => return self.write_failed(key, error.into()),
        };
        let ttl = new.ttl + new.grace;
        let condition = match over {
            Over::Anything => Condition::Always,
            Over::Version(revision) => Condition::Revision(revision),
            Over::Lease(token) => Condition::Lease(token),
        };
        let value = stored::encode(new, &generations);
        let outcome = self.store.set(&store_key, value, Some(ttl), condition).await;
        self.invalidate_copy(&store_key);
        match outcome {
            Ok(Outcome::Done(revision)) => {
                self.counters.stored(key.namespace(), true);
                Ok(Written::Stored(revision))
            }
            Ok(Outcome::Refused(found)) if matches!(over, Over::Version(_)) => {
                Err(Error::EtagMismatch { found })
            }
            Ok(Outcome::Refused(_)) => {
                self.counters.stored(key.namespace(), false);
                Ok(Written::LeaseEnded)
            }
            Err(error) => self.write_failed(key, error.into()),
        }
    }

    /// Deletes an entry, optionally only one version of it; returns whether it existed.
    ///
    /// # Errors
    ///
    /// [`Error::EtagMismatch`], [`Error::Store`].
    pub async fn delete(&self, key: &Key, version: Option<Revision>) -> Result<bool, Error> {
        let store_key = self.store_key(key).await?;
        let condition = version.map_or(Condition::Always, Condition::Revision);
        let outcome = self.store.delete(&store_key, condition).await;
        // Also if the outcome is unknown.
        self.invalidate_copy(&store_key);
        match outcome? {
            Outcome::Done(existed) => Ok(existed),
            Outcome::Refused(found) => Err(Error::EtagMismatch { found }),
        }
    }

    /// Deletes all entries whose keys have the prefix; returns their number.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]; some of them may be deleted.
    pub async fn delete_prefix(&self, prefix: &Key) -> Result<u64, Error> {
        let _guard = self.prefix_scan.lock().await;
        let prefix = prefix.store_key(prefix.name());
        let (mut deleted, mut from) = (0, None);
        loop {
            let page = self.store.list(ENTRIES, &prefix.name, from).await?;
            let removing = stream::iter(page.keys).map(|store_key| async move {
                let outcome = self.store.delete(&store_key, Condition::Always).await;
                self.invalidate_copy(&store_key);
                outcome
            });
            let outcomes: Vec<_> = removing.buffer_unordered(MAX_CONCURRENT_DELETES).try_collect().await?;
            deleted += outcomes.into_iter().filter(|outcome| *outcome == Outcome::Done(true)).count() as u64;
            from = page.next;
            if from.is_none() {
                return Ok(deleted);
            }
        }
    }

    /// Invalidates tags: all entries with any of them are stale at once.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]; some of the tags may be invalidated.
    pub async fn invalidate(&self, tags: &[Tag]) -> Result<(), Error> {
        let renewed = try_join_all(tags.iter().map(|tag| self.store.renew(&tag.store_key))).await;
        for tag in tags {
            self.invalidate_copy(&tag.store_key);
        }
        renewed?;
        Ok(())
    }

    /// Whether an entry's tags still have the generations from before its value was computed. The L1 cache may confirm
    /// that, but only the store may deny it: a generation that the store lost and created again is not published.
    async fn is_valid(&self, entry: &CachedEntry) -> Result<bool, dataflow_store::Error> {
        if entry.tags.is_empty() {
            return Ok(true);
        }
        if let Some(l1) = &self.l1 {
            let agrees = |(store_key, generation): &(StoreKey, Generation)| {
                l1.generation(store_key) == Some(*generation)
            };
            if entry.tags.iter().all(agrees) {
                return Ok(true);
            }
        }
        let (store_keys, stored): (Vec<_>, Vec<_>) = entry.tags.iter().cloned().unzip();
        let before: Vec<_> = self
            .l1
            .iter()
            .flat_map(|l1| store_keys.iter().map(|store_key| l1.begin_read(store_key)))
            .collect();
        let generations = self.store.generations(&store_keys).await?;
        if let Some(l1) = &self.l1 {
            for ((store_key, generation), before) in store_keys.iter().zip(&generations).zip(before) {
                l1.insert_generation(store_key, *generation, before);
            }
        }
        Ok(generations == stored)
    }

    fn invalidate_copy(&self, store_key: &StoreKey) {
        if let Some(l1) = &self.l1 {
            l1.invalidate(store_key);
        }
    }

    /// A cache need not keep a value, so an outage is not an error of the write; other failures are.
    fn write_failed(&self, key: &Key, error: Error) -> Result<Written, Error> {
        self.counters.stored(key.namespace(), false);
        if error.is_outage() { Ok(Written::Degraded) } else { Err(error) }
    }
}
