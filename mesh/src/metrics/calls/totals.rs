//! The calls that a role has received since its start, as its status shows them. Separate from the families, whose
//! series would have to be added up by label.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tonic::Code;

/// See the module. Cheap to clone: clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallTotals(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    total: AtomicU64,
    failed: AtomicU64,
    rejected: AtomicU64,
    /// The calls that are no streams, and their microseconds.
    timed: AtomicU64,
    micros: AtomicU64,
}

/// The calls that a role has received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Calls {
    /// The role.
    pub role: &'static str,
    /// The calls that have ended.
    pub total: u64,
    /// Those that failed because of the server.
    pub failed: u64,
    /// Those that were rejected because of a limit.
    pub rejected: u64,
    /// The mean time of those that are no streams.
    pub mean_time: Option<Duration>,
}

// === impl CallTotals ===

impl CallTotals {
    /// Counts a call that has ended. One that lasts as long as its caller wants has no time.
    pub(super) fn count(&self, code: Code, took: Option<Duration>) {
        let Counts { total, failed, rejected, timed, micros } = &*self.0;
        total.fetch_add(1, Ordering::Relaxed);
        match code {
            Code::Unknown | Code::Internal | Code::Unavailable | Code::DeadlineExceeded | Code::DataLoss => {
                failed.fetch_add(1, Ordering::Relaxed);
            }
            Code::ResourceExhausted => {
                rejected.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        if let Some(took) = took {
            timed.fetch_add(1, Ordering::Relaxed);
            micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// What it has counted.
    pub(crate) fn of(&self, role: &'static str) -> Calls {
        let Counts { total, failed, rejected, timed, micros } = &*self.0;
        let [total, failed, rejected, timed, micros] =
            [total, failed, rejected, timed, micros].map(|count| count.load(Ordering::Relaxed));
        Calls {
            role,
            total,
            failed,
            rejected,
            mean_time: micros.checked_div(timed).map(Duration::from_micros),
        }
    }
}

// === impl Calls ===

impl Calls {
    /// The share of calls that failed; 0 without a call.
    pub fn failed_ratio(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.failed as f64 / self.total as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_count_by_whose_fault_they_are() {
        let totals = CallTotals::default();
        assert_eq!(totals.of("cache"), Calls { role: "cache", ..Calls::default() });
        for code in [Code::Ok, Code::NotFound, Code::Internal, Code::DeadlineExceeded] {
            totals.count(code, Some(Duration::from_millis(10)));
        }
        totals.count(Code::ResourceExhausted, None);
        totals.count(Code::Ok, Some(Duration::from_millis(60)));
        let mean_time = Some(Duration::from_millis(20));
        assert_eq!(totals.of("cache"), Calls { role: "cache", total: 6, failed: 2, rejected: 1, mean_time });
        assert!((totals.of("cache").failed_ratio() - 2.0 / 6.0).abs() < 1e-12);
    }
}
