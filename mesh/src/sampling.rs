//! Samples log records of which a caller could cause any number: the first ten of each second, and how many were left
//! out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The records of one kind that are logged in a second.
const PER_SECOND: u64 = 10;

/// The state of one kind of record. Cheap to clone: clones count together.
#[derive(Debug, Clone)]
pub struct Sampler(Arc<State>);

#[derive(Debug)]
struct State {
    start: Instant,
    /// The present second since the start, and the records in it.
    second: AtomicU64,
    count: AtomicU64,
    /// The records that were left out since the last one.
    left_out: AtomicU64,
}

// === impl Sampler ===

impl Sampler {
    /// Whether to log a record: how many were left out before it.
    pub fn take(&self) -> Option<u64> {
        self.take_at(self.0.start.elapsed().as_secs())
    }

    fn take_at(&self, now: u64) -> Option<u64> {
        // Approximate under concurrency: a record more or less does not matter.
        let State { second, count, left_out, .. } = &*self.0;
        if second.swap(now, Ordering::Relaxed) != now {
            count.store(0, Ordering::Relaxed);
        }
        if count.fetch_add(1, Ordering::Relaxed) < PER_SECOND {
            return Some(left_out.swap(0, Ordering::Relaxed));
        }
        left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Default for Sampler {
    fn default() -> Self {
        let [second, count, left_out] = [0; 3].map(AtomicU64::new);
        Self(Arc::new(State { start: Instant::now(), second, count, left_out }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_records_of_each_second_are_logged_with_the_number_of_the_others() {
        let sampler = Sampler::default();
        let logged = |second: u64, records: usize| -> Vec<u64> {
            (0..records).filter_map(|_| sampler.take_at(second)).collect()
        };
        assert_eq!(logged(0, 1000), [0; 10]);
        assert_eq!(logged(1, 3), [990, 0, 0]);
        assert_eq!(logged(7, 11), [0; 10]);
        assert_eq!(logged(8, 1), [1]);
    }
}
