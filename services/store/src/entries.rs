//! Entries with a time to live, in memory: bounded by bytes, the least recently used give way.

use std::time::Duration;

use bytes::Bytes;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use tokio::time::Instant;

/// What an entry costs besides its key and value: the maps' own nodes, rounded up.
const OVERHEAD: usize = 128;

/// Bytes under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The bytes.
    pub value: Bytes,
    /// Their media type.
    pub content_type: String,
    /// When the entry is gone.
    pub expires: Instant,
}

impl Entry {
    /// How long the entry still lives.
    pub fn ttl(&self) -> Duration {
        self.expires.saturating_duration_since(Instant::now())
    }
}

/// Entries by key. Cheap to clone; clones share what they hold.
#[derive(Debug, Clone)]
pub struct Entries {
    cache: Cache<String, Entry>,
}

// === impl Entries ===

impl Entries {
    /// Holds at most `capacity` bytes of keys, values and overhead.
    pub fn new(capacity: u64) -> Self {
        let weigh = |key: &String, entry: &Entry| {
            let bytes = key.len() + entry.value.len() + entry.content_type.len() + OVERHEAD;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder()
            .max_capacity(capacity)
            .weigher(weigh)
            // moka's own policy turns newcomers away; a result is read most often just after it was written.
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Expiry);
        Self { cache: cache.build() }
    }

    /// The entry, unless it never was, has expired or had to give way.
    pub async fn get(&self, key: &str) -> Option<Entry> {
        // The expiry is compared here too: eviction lags behind the clock.
        self.cache.get(key).await.filter(|entry| entry.expires > Instant::now())
    }

    /// Keeps an entry in place of whatever was there.
    pub async fn set(&self, key: String, entry: Entry) {
        self.cache.insert(key, entry).await;
    }
}

/// Tells moka when to drop what has expired, so that it does not count against the capacity for ever.
struct Expiry;

impl moka::Expiry<String, Entry> for Expiry {
    fn expire_after_create(&self, _: &String, entry: &Entry, _: std::time::Instant) -> Option<Duration> {
        Some(entry.ttl())
    }

    fn expire_after_update(
        &self,
        _: &String,
        entry: &Entry,
        _: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.ttl())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bytes: usize, ttl: Duration) -> Entry {
        let value = Bytes::from(vec![b'x'; bytes]);
        Entry { value, content_type: String::new(), expires: Instant::now() + ttl }
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_lives_as_long_as_it_was_given() {
        let entries = Entries::new(1 << 20);
        entries.set("a".to_owned(), entry(1, Duration::from_secs(10))).await;
        tokio::time::advance(Duration::from_millis(9_999)).await;
        assert_eq!(entries.get("a").await.unwrap().ttl(), Duration::from_millis(1));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(entries.get("a").await, None);
        assert_eq!(entries.get("b").await, None);
    }

    #[tokio::test]
    async fn a_later_entry_replaces_an_earlier_one() {
        let entries = Entries::new(1 << 20);
        entries.set("a".to_owned(), entry(1, Duration::from_secs(10))).await;
        entries.set("a".to_owned(), entry(2, Duration::from_secs(10))).await;
        assert_eq!(entries.get("a").await.unwrap().value.len(), 2);
    }

    #[tokio::test]
    async fn the_least_recently_used_gives_way_to_a_newcomer() {
        // Room for three of 1 + 372 + 128 bytes.
        let entries = Entries::new(3 * 501);
        for key in ["a", "b", "c"] {
            entries.set(key.to_owned(), entry(372, Duration::from_secs(10))).await;
        }
        for _ in 0..100 {
            entries.get("b").await.unwrap();
            entries.get("c").await.unwrap();
            entries.get("a").await.unwrap();
        }
        entries.cache.run_pending_tasks().await;
        entries.set("d".to_owned(), entry(372, Duration::from_secs(10))).await;
        entries.cache.run_pending_tasks().await;
        let held = ["a", "b", "c", "d"].map(|key| entries.cache.contains_key(key));
        assert_eq!(held, [true, false, true, true]);
    }

    #[tokio::test]
    async fn memory_stays_within_the_capacity() {
        let entries = Entries::new(10_000);
        for index in 0..100 {
            entries.set(index.to_string(), entry(1_000, Duration::from_secs(10))).await;
        }
        entries.cache.run_pending_tasks().await;
        assert!(entries.cache.weighted_size() <= 10_000);
        assert!(entries.cache.entry_count() >= 5, "{}", entries.cache.entry_count());
    }
}
