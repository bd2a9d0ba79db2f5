//! When API keys are used: each key at most once a minute, until it is reported.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::Notify;

/// The seconds for which a use stands for all that follow.
const RESOLUTION: u64 = 60;

/// The most keys whose uses are not reported yet; the config service creates no more keys.
const MAX_KEYS: usize = 10_000;

/// The uses that are not reported yet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyUses(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    unreported: Mutex<HashMap<String, SystemTime>>,
    news: Notify,
}

/// When the last use of one key was noted, in seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct LastNoted(AtomicU64);

// === impl KeyUses ===

impl KeyUses {
    /// Notes a use of a key, unless one was noted in the minute before.
    pub(super) fn note(&self, key_id: &str, last: &LastNoted, now: SystemTime) {
        if last.is_due(now) {
            self.add(key_id.to_owned(), now);
        }
    }

    /// Takes the uses of at most this many keys.
    pub(crate) fn take(&self, limit: usize) -> Vec<(String, SystemTime)> {
        let mut unreported = self.unreported();
        if unreported.len() <= limit {
            return unreported.drain().collect();
        }
        let taken: Vec<_> = unreported.keys().take(limit).cloned().collect();
        self.0.news.notify_one();
        taken.into_iter().filter_map(|key_id| unreported.remove_entry(&key_id)).collect()
    }

    /// Has uses reported again, of which the report has failed.
    pub(crate) fn put_back(&self, uses: Vec<(String, SystemTime)>) {
        for (key_id, time) in uses {
            self.add(key_id, time);
        }
    }

    /// Waits until there are uses to report.
    pub(crate) async fn news(&self) {
        self.0.news.notified().await;
    }

    fn add(&self, key_id: String, time: SystemTime) {
        {
            let mut unreported = self.unreported();
            if unreported.len() >= MAX_KEYS && !unreported.contains_key(&key_id) {
                return;
            }
            let last = unreported.entry(key_id).or_insert(time);
            *last = (*last).max(time);
        }
        self.0.news.notify_one();
    }

    fn unreported(&self) -> MutexGuard<'_, HashMap<String, SystemTime>> {
        self.0.unreported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl LastNoted ===

impl LastNoted {
    /// Whether a use is to be noted; of several at once only one.
    fn is_due(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let last = self.0.load(Ordering::Relaxed);
        now >= last + RESOLUTION
            && self.0.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn a_key_is_noted_once_a_minute() {
        let (uses, last, other) = (KeyUses::default(), LastNoted::default(), LastNoted::default());
        let check = |key_id: &str, last: &LastNoted, seconds: u64, expected: Option<u64>| {
            uses.note(key_id, last, at(seconds));
            let expected: Vec<_> =
                expected.map(|seconds| (key_id.to_owned(), at(seconds))).into_iter().collect();
            assert_eq!(uses.take(10), expected, "{key_id} {seconds}");
        };
        check("k-1", &last, 0, Some(0));
        check("k-1", &last, 0, None);
        check("k-2", &other, 30, Some(30));
        check("k-1", &last, 59, None);
        check("k-1", &last, 60, Some(60));
        check("k-1", &last, 5, None);
        check("k-1", &last, 1000, Some(1000));
    }

    #[tokio::test]
    async fn what_was_not_reported_is_taken_again_with_the_latest_time() {
        let uses = KeyUses::default();
        uses.note("k-1", &LastNoted::default(), at(0));
        uses.news().await;
        let taken = uses.take(10);
        uses.note("k-1", &LastNoted::default(), at(90));
        uses.put_back(taken);
        uses.put_back(vec![("k-2".to_owned(), at(1))]);
        uses.news().await;
        let mut taken = uses.take(10);
        taken.sort_unstable();
        assert_eq!(taken, [("k-1".to_owned(), at(90)), ("k-2".to_owned(), at(1))]);
    }

    #[tokio::test]
    async fn no_more_keys_wait_than_there_can_be() {
        let uses = KeyUses::default();
        for key in 0..=MAX_KEYS {
            uses.note(&format!("k-{key}"), &LastNoted::default(), at(0));
        }
        uses.note("k-1", &LastNoted::default(), at(70));
        uses.news().await;
        assert_eq!(uses.take(MAX_KEYS - 5).len(), MAX_KEYS - 5);
        // What is left is news.
        uses.news().await;
        assert_eq!(uses.take(MAX_KEYS).len(), 5);
    }
}
