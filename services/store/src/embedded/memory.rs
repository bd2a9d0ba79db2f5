//! Volatile data: limited by bytes, with eviction of the least recently used.

use std::time::Duration;

use bytes::Bytes;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::Instant;

use super::NewValue;
use crate::entries::Entry;
use crate::generations::{Generation, REMEMBERED};
use crate::key::{Key, Space};
use crate::revision::Revision;

/// The memory overhead of an entry in bytes, for the nodes of moka's map, queues and timers. Measured with 200,000
/// entries, rounded up.
const OVERHEAD: usize = 480;

/// The additional share of the capacity for generations, an eighth. A generation is an entry without a value, and most
/// entries of a dataflow share their tags.
const GENERATIONS: u64 = 8;

/// Volatile entries and generations.
pub(super) struct Memory {
    entries: Cache<Key, StoredEntry>,
    generations: Cache<Key, Generation>,
}

#[derive(Clone)]
struct StoredEntry {
    value: Bytes,
    revision: Revision,
    /// None if it does not expire, or only beyond the range of the clock.
    expires: Option<Instant>,
}

// === impl Memory ===

impl Memory {
    /// Stores at most `capacity` bytes of names, values and overhead.
    pub(super) fn new(capacity: u64) -> Self {
        let entries = Cache::builder()
            .max_capacity(capacity)
            .weigher(|key: &Key, stored: &StoredEntry| weight(key, stored.value.len()))
            // LRU, because moka's default policy may reject new entries; a result is read most often just after it was
            // written.
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Expiry);
        let generations = Cache::builder()
            .max_capacity(capacity / GENERATIONS)
            .weigher(|tag: &Key, _: &Generation| weight(tag, 0))
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(REMEMBERED);
        Self { entries: entries.build(), generations: generations.build() }
    }

    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<Entry> {
        let StoredEntry { value, revision, expires } = self.stored(key, now)?;
        Some(Entry { value, revision, ttl: expires.map(|expires| expires - now) })
    }

    pub(super) fn revision(&self, key: &Key, now: Instant) -> Option<Revision> {
        self.stored(key, now).map(|stored| stored.revision)
    }

    pub(super) fn insert(&self, key: Key, NewValue { revision, value, ttl }: NewValue, now: Instant) {
        let expires = ttl.and_then(|ttl| now.checked_add(ttl));
        self.entries.insert(key, StoredEntry { value, revision, expires });
    }

    pub(super) fn remove(&self, key: &Key) {
        self.entries.invalidate(key);
    }

    pub(super) fn list(&self, space: Space, prefix: &str, now: Instant) -> Vec<Key> {
        let listed = |key: &Key| key.space == space && key.name.starts_with(prefix);
        let entries = self.entries.iter().filter(|(key, stored)| listed(key) && stored.is_alive(now));
        entries.map(|(key, _)| Key::clone(&key)).collect()
    }

    /// The generation of a tag; creates it if missing, under the same `lock` under which [`renew`](Self::renew) is
    /// called, so that neither overwrites what the other has published.
    pub(super) fn generation<L>(&self, tag: &Key, lock: impl FnOnce() -> L) -> Generation {
        self.generations.get(tag).unwrap_or_else(|| {
            let _lock = lock();
            self.generations.get(tag).unwrap_or_else(|| self.renew(tag))
        })
    }

    pub(super) fn renew(&self, tag: &Key) -> Generation {
        let generation = Generation::random();
        self.generations.insert(tag.clone(), generation);
        generation
    }

    fn stored(&self, key: &Key, now: Instant) -> Option<StoredEntry> {
        // Checks the expiry here too: eviction lags behind the clock.
        self.entries.get(key).filter(|stored| stored.is_alive(now))
    }
}

fn weight(key: &Key, value: usize) -> u32 {
    u32::try_from(key.name.len() + value + OVERHEAD).unwrap_or(u32::MAX)
}

// === impl StoredEntry ===

impl StoredEntry {
    fn is_alive(&self, now: Instant) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    fn ttl(&self) -> Option<Duration> {
        self.expires.map(|expires| expires.saturating_duration_since(Instant::now()))
    }
}

/// Lets moka evict expired entries, so that they do not count against the capacity.
struct Expiry;

impl moka::Expiry<Key, StoredEntry> for Expiry {
    fn expire_after_create(&self, _: &Key, stored: &StoredEntry, _: std::time::Instant) -> Option<Duration> {
        stored.ttl()
    }

    fn expire_after_update(
        &self,
        _: &Key,
        stored: &StoredEntry,
        _: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        stored.ttl()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: Space = Space::volatile("test");

    fn insert(memory: &Memory, name: impl Into<String>, bytes: usize, ttl: Option<Duration>) {
        let new = NewValue { revision: Revision::random(), value: vec![b'x'; bytes].into(), ttl };
        memory.insert(SPACE.key(name), new, Instant::now());
    }

    #[test]
    fn a_new_entry_evicts_the_least_recently_used() {
        // Capacity for three entries with names of one byte.
        let memory = Memory::new(3 * (1 + 372 + OVERHEAD as u64));
        for name in ["a", "b", "c"] {
            insert(&memory, name, 372, None);
        }
        for _ in 0..100 {
            for name in ["b", "c", "a"] {
                memory.get(&SPACE.key(name), Instant::now()).unwrap();
            }
        }
        memory.entries.run_pending_tasks();
        insert(&memory, "d", 372, None);
        memory.entries.run_pending_tasks();
        let present = ["a", "b", "c", "d"].map(|name| memory.entries.contains_key(&SPACE.key(name)));
        assert_eq!(present, [true, false, true, true]);
    }

    #[test]
    fn memory_stays_within_the_capacity() {
        let memory = Memory::new(10_000);
        for index in 0..100 {
            insert(&memory, index.to_string(), 1_000, None);
            memory.renew(&SPACE.key(index.to_string()));
        }
        memory.entries.run_pending_tasks();
        memory.generations.run_pending_tasks();
        assert!((5_000..=10_000).contains(&memory.entries.weighted_size()));
        assert!((625..=1_250).contains(&memory.generations.weighted_size()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_expires_after_its_ttl() {
        let memory = Memory::new(1 << 20);
        insert(&memory, "a", 1, Some(Duration::from_secs(10)));
        insert(&memory, "b", 1, Some(Duration::MAX));
        insert(&memory, "c", 1, Some(Duration::from_secs(1 << 40)));
        tokio::time::advance(Duration::from_millis(9_999)).await;
        let ttl = |name| memory.get(&SPACE.key(name), Instant::now()).map(|entry| entry.ttl);
        assert_eq!(ttl("a"), Some(Some(Duration::from_millis(1))));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(ttl("a"), None);
        assert_eq!(ttl("b"), Some(None), "a TTL beyond the range of the clock never expires");
        assert!(ttl("c").is_some());
        assert_eq!(memory.list(SPACE, "", Instant::now()).len(), 2);
    }
}
