//! Samples log records of which a caller could cause any number: the first of each period, and how many were left out.

mod callers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use callers::CallerSampler;

/// The records of one kind that are logged in a second, unless something else is said.
const PER_SECOND: u64 = 10;

/// The state of one kind of record. Cheap to clone: clones count together.
#[derive(Debug, Clone)]
pub struct Sampler(Arc<State>);

#[derive(Debug)]
struct State {
    start: Instant,
    /// The records that are logged in a period.
    most: u64,
    period: Duration,
    /// The present period since the start, and the records in it.
    number: AtomicU64,
    count: AtomicU64,
    /// The records that were left out since the last one.
    left_out: AtomicU64,
}

// === impl Sampler ===

impl Sampler {
    /// Logs at most so many records of each period, which is a second or longer.
    pub fn new(most: u64, period: Duration) -> Self {
        let [number, count, left_out] = [0; 3].map(AtomicU64::new);
        Self(Arc::new(State { start: Instant::now(), most, period, number, count, left_out }))
    }

    /// Whether to log a record: how many were left out before it.
    pub fn take(&self) -> Option<u64> {
        self.take_at(self.0.start.elapsed().as_secs() / self.0.period.as_secs().max(1))
    }

    fn take_at(&self, now: u64) -> Option<u64> {
        // Approximate under concurrency: a record more or less does not matter.
        let State { most, number, count, left_out, .. } = &*self.0;
        if number.swap(now, Ordering::Relaxed) != now {
            count.store(0, Ordering::Relaxed);
        }
        if count.fetch_add(1, Ordering::Relaxed) < *most {
            return Some(left_out.swap(0, Ordering::Relaxed));
        }
        left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Default for Sampler {
    fn default() -> Self {
        Self::new(PER_SECOND, Duration::from_secs(1))
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
        let sampler = Sampler::new(1, Duration::from_secs(60));
        assert_eq!([sampler.take(), sampler.take()], [Some(0), None]);
    }
}
