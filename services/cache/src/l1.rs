//! The L1 cache: copies of entries and of tags' generations in this process, so that frequent reads need no round trip
//! to Redis. A copy is returned only while it is known to be coherent.

mod coherence;
mod collector;
mod sizes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dataflow_mesh::tasks::Task;
use dataflow_store::Store;
use dataflow_store::generations::Generation;
use dataflow_store::key::Key as StoreKey;
use dataflow_store::signals::{CHANGES, Change, Signal, Subscription};
use dataflow_store::version_counters::VersionCounters;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::entry::CachedEntry;
use crate::key::{ENTRIES, Namespace, TAGS};
use coherence::{Coherence, Epoch};
pub(crate) use collector::L1Collector;
use sizes::Sizes;

/// The memory overhead of a copy in bytes, for the nodes of the maps, rounded up.
const OVERHEAD: usize = 512;

/// The most batches in which all copies are removed.
const CLEAR_ROUNDS: usize = 1000;

/// The L1 cache. Cheap to clone; clones share the copies.
#[derive(Debug, Clone)]
pub(crate) struct L1 {
    copies: Arc<Copies>,
}

#[derive(Debug)]
struct Copies {
    entries: Cache<String, Copy>,
    sizes: Arc<Sizes>,
    generations: Cache<String, (Generation, u64)>,
    coherence: Mutex<Coherence>,
}

/// A copy of an entry.
#[derive(Debug, Clone)]
struct Copy {
    namespace: &'static str,
    entry: CachedEntry,
    epoch: u64,
}

/// The epoch of a bucket before a read from the store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadEpoch(Option<Epoch>);

// === impl L1 ===

impl L1 {
    /// An L1 cache of at most `capacity` bytes; none for the embedded store.
    pub(crate) fn new(store: &dyn Store, capacity: u64) -> Option<Self> {
        store.version_counters()?;
        let sizes = Arc::<Sizes>::default();
        let removed = Arc::clone(&sizes);
        let entries = Cache::builder()
            .max_capacity(capacity)
            .weigher(|name: &String, copy: &Copy| copy.weight(name))
            .eviction_listener(move |name, copy: Copy, cause| removed.remove(&name, &copy, cause))
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Expiry);
        let copies = Arc::new(Copies {
            entries: entries.build(),
            sizes,
            // An additional eighth of the capacity. An evicted generation is read again.
            generations: Cache::builder()
                .max_capacity(capacity / 8)
                .weigher(|name: &String, _: &(Generation, u64)| {
                    u32::try_from(name.len() + OVERHEAD).unwrap_or(u32::MAX)
                })
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            coherence: Mutex::new(Coherence::new()),
        });
        Some(Self { copies })
    }

    /// The task that applies invalidation messages and version counters. Without it, copies are no longer returned 600
    /// ms after the last poll.
    pub(crate) fn follow(self, store: Arc<dyn Store>) -> Task {
        Task::restarting("L1 coherence", move || {
            let (copies, changes, counters) =
                (Arc::clone(&self.copies), store.subscribe(CHANGES), store.version_counters());
            async move {
                let Some(counters) = counters else { return };
                // Changes before the subscription are unknown.
                copies.coherence().gap(Instant::now());
                follow(copies, changes, counters).await;
            }
        })
    }

    /// The copy of an entry, if it is coherent, fresh, and its tags are valid; and whether a change of it may be
    /// missing, because the store has not replied for a while.
    pub(crate) fn entry(&self, key: &StoreKey) -> Option<(CachedEntry, bool)> {
        let copies = &self.copies;
        let now = Instant::now();
        let (epoch, degraded) = {
            let coherence = copies.coherence();
            (coherence.epoch(key.bucket(), now)?, coherence.is_overdue(key.bucket(), now))
        };
        let copy = copies.entries.get(&key.name).filter(|copy| copy.epoch == epoch.number)?;
        let fresh = copy.entry.fresh_until > now;
        let valid = |(tag, generation): &(StoreKey, Generation)| self.generation(tag) == Some(*generation);
        (fresh && copy.entry.tags.iter().all(valid)).then_some((copy.entry, degraded))
    }

    /// The copy of a tag's generation, if it is coherent.
    pub(crate) fn generation(&self, tag: &StoreKey) -> Option<Generation> {
        let copies = &self.copies;
        let epoch = copies.coherence().epoch(tag.bucket(), Instant::now())?;
        copies
            .generations
            .get(&tag.name)
            .filter(|(_, of)| *of == epoch.number)
            .map(|(generation, _)| generation)
    }

    /// Must be called before a read from the store whose result is inserted here.
    pub(crate) fn begin_read(&self, key: &StoreKey) -> ReadEpoch {
        ReadEpoch(self.copies.coherence().epoch(key.bucket(), Instant::now()))
    }

    /// Inserts a copy of an entry, unless its bucket changed since `read`.
    pub(crate) fn insert_entry(
        &self,
        namespace: &Namespace,
        key: &StoreKey,
        entry: &CachedEntry,
        read: ReadEpoch,
    ) {
        let copies = &self.copies;
        let Some(epoch) = read.0 else { return };
        let copy = Copy { namespace: namespace.name(), entry: entry.clone(), epoch: epoch.number };
        // Before the insertion, which may evict the copy at once.
        copies.sizes.add(&key.name, &copy);
        copies.entries.insert(key.name.clone(), copy);
        // Checked after the insertion: an invalidation first changes the epoch and then removes the copy, so that one
        // of the two sees the other.
        if copies.epoch(key) != read.0 {
            copies.entries.invalidate(&key.name);
        }
    }

    /// Inserts a copy of a generation, unless its bucket changed since `read`.
    pub(crate) fn insert_generation(&self, tag: &StoreKey, generation: Generation, read: ReadEpoch) {
        let copies = &self.copies;
        let Some(epoch) = read.0 else { return };
        copies.generations.insert(tag.name.clone(), (generation, epoch.number));
        if copies.epoch(tag) != read.0 {
            copies.generations.invalidate(&tag.name);
        }
    }

    /// Removes the copy of a key that this process has just changed, without waiting for the invalidation message.
    pub(crate) fn invalidate(&self, key: &StoreKey) {
        let copies = &self.copies;
        copies.coherence().local_change(key.bucket());
        copies.drop_copy(key.space.name, &key.name);
    }

    /// Removes all copies, and their memory.
    pub(crate) fn clear(&self) {
        let Copies { entries, generations, .. } = &*self.copies;
        entries.invalidate_all();
        generations.invalidate_all();
        // moka frees them in batches.
        for _ in 0..CLEAR_ROUNDS {
            entries.run_pending_tasks();
            generations.run_pending_tasks();
            if entries.entry_count() + generations.entry_count() == 0 {
                return;
            }
        }
    }

    /// The number of entries of a namespace, and their bytes.
    pub(crate) fn size(&self, namespace: &str) -> (u64, u64) {
        self.copies.entries.run_pending_tasks();
        self.copies.sizes.of(namespace)
    }

    /// The most bytes of copies.
    pub(crate) fn capacity(&self) -> u64 {
        self.copies.entries.policy().max_capacity().unwrap_or_default()
    }

    /// The copies that were evicted, by cause.
    pub(crate) fn evictions(&self) -> [u64; sizes::REMOVALS.len()] {
        self.copies.sizes.evictions()
    }

    /// Whether the copies of all buckets are coherent at present.
    pub(crate) fn is_coherent(&self) -> bool {
        let (coherence, now) = (self.copies.coherence(), Instant::now());
        (0..dataflow_store::key::BUCKETS).all(|bucket| coherence.epoch(bucket, now).is_some())
    }
}

// === impl Copy ===

impl Copy {
    /// Its memory in bytes.
    fn weight(&self, name: &str) -> u32 {
        u32::try_from(name.len() + self.entry.weight() + OVERHEAD).unwrap_or(u32::MAX)
    }
}

// === impl Copies ===

impl Copies {
    fn coherence(&self) -> MutexGuard<'_, Coherence> {
        self.coherence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn epoch(&self, key: &StoreKey) -> Option<Epoch> {
        self.coherence().epoch(key.bucket(), Instant::now())
    }

    fn drop_copy(&self, space: &str, name: &str) {
        if space == ENTRIES.name {
            self.entries.invalidate(name);
        } else if space == TAGS.name {
            self.generations.invalidate(name);
        }
    }
}

/// Applies invalidation messages and version counters.
async fn follow(
    copies: Arc<Copies>,
    mut changes: Subscription,
    mut counters: watch::Receiver<VersionCounters>,
) {
    loop {
        tokio::select! {
            // Messages first: those that arrived before a counter was read must be applied before the counter.
            biased;
            signal = changes.next() => match signal {
                Some(Signal::Message(message)) => {
                    let change = std::str::from_utf8(&message).ok().and_then(|text| text.parse::<Change>().ok());
                    match change {
                        Some(Change { space, bucket, name, count }) if bucket < dataflow_store::key::BUCKETS => {
                            copies.coherence().invalidation(bucket, count);
                            copies.drop_copy(&space, &name);
                        }
                        _ => tracing::warn!("L1 cache: invalidation message unreadable, sent by another release"),
                    }
                }
                Some(Signal::Gap) => copies.coherence().gap(Instant::now()),
                None => return,
            },
            changed = counters.changed() => match changed {
                Ok(()) => {
                    let counters = counters.borrow_and_update().clone();
                    copies.coherence().poll(&counters);
                }
                Err(_) => return,
            },
        }
    }
}

/// Lets moka evict expired copies, so that they do not count against the capacity.
struct Expiry;

impl moka::Expiry<String, Copy> for Expiry {
    fn expire_after_create(&self, _: &String, copy: &Copy, _: std::time::Instant) -> Option<Duration> {
        Some(copy.entry.fresh_until.saturating_duration_since(Instant::now()))
    }

    fn expire_after_update(
        &self,
        name: &String,
        copy: &Copy,
        now: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(name, copy, now)
    }
}
