//! Samples what each caller does, and all callers of a tenant do, who may do it often: the first calls of each minute, and
//! how many were left out. Separate from the sampler of log records, which counts all callers together: one of them could
//! hide those of the others.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time for which the calls of a caller are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// A tenant has the calls of this many callers.
const CALLERS_OF_TENANT: u32 = 10;

/// The callers and tenants that are told apart. Those beyond them count together.
const MAX_CALLERS: usize = 10_000;

/// The calls of all callers, as far as they are sampled.
#[derive(Debug)]
pub struct CallerSampler {
    per_window: u32,
    callers: Mutex<Callers>,
}

#[derive(Debug)]
struct Callers {
    /// By tenant and subject; those of a whole tenant have no subject.
    windows: HashMap<(String, String), Window>,
    /// The callers beyond the most that are told apart.
    others: Window,
    /// When those whose window has passed were last removed: with any number of callers, at most once in a window.
    removed: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    start: Instant,
    count: u32,
    /// The calls that were left out since the last one that was not.
    left_out: u64,
}

// === impl CallerSampler ===

impl CallerSampler {
    /// Takes this many calls of each caller in a minute.
    pub fn new(per_window: u32) -> Self {
        let now = Instant::now();
        let callers = Callers { windows: HashMap::new(), others: Window::starting(now), removed: now };
        Self { per_window, callers: Mutex::new(callers) }
    }

    /// Whether to take a call of this caller: how many were left out before it.
    pub fn take(&self, tenant: &str, subject: &str) -> Option<u64> {
        let now = Instant::now();
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let caller = (tenant.to_owned(), subject.to_owned());
        let left_out = callers.window(caller.clone(), now).take(self.per_window, now)?;
        let of_tenant = self.per_window.saturating_mul(CALLERS_OF_TENANT);
        if tenant.is_empty()
            || callers.window((caller.0.clone(), String::new()), now).take(of_tenant, now).is_some()
        {
            return Some(left_out);
        }
        callers.window(caller, now).left_out += left_out + 1;
        None
    }

    /// So many calls of this caller, which were taken, were left out nevertheless.
    pub fn leave_out(&self, tenant: &str, subject: &str, calls: u64) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.window((tenant.to_owned(), subject.to_owned()), Instant::now()).left_out += calls;
    }
}

// === impl Callers ===

impl Callers {
    fn window(&mut self, caller: (String, String), now: Instant) -> &mut Window {
        let is_full = self.windows.len() >= MAX_CALLERS;
        if is_full && !self.windows.contains_key(&caller) {
            if now.duration_since(self.removed) >= WINDOW {
                self.removed = now;
                // What was left out of a window that is removed is told with the next call of the others.
                let passed = self.windows.extract_if(|_, window| window.has_passed(now));
                self.others.left_out += passed.map(|(_, window)| window.left_out).sum::<u64>();
            }
            if self.windows.len() >= MAX_CALLERS {
                return &mut self.others;
            }
        }
        self.windows.entry(caller).or_insert_with(|| Window::starting(now))
    }
}

// === impl Window ===

impl Window {
    fn starting(start: Instant) -> Self {
        Self { start, count: 0, left_out: 0 }
    }

    fn has_passed(&self, now: Instant) -> bool {
        now.duration_since(self.start) >= WINDOW
    }

    fn take(&mut self, limit: u32, now: Instant) -> Option<u64> {
        if self.has_passed(now) {
            *self = Self { left_out: self.left_out, ..Self::starting(now) };
        }
        if self.count < limit {
            self.count += 1;
            return Some(std::mem::take(&mut self.left_out));
        }
        self.left_out += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was left out before each of the calls that are taken.
    fn taken(sampler: &CallerSampler, caller: (&str, &str), calls: usize) -> Vec<u64> {
        (0..calls).filter_map(|_| sampler.take(caller.0, caller.1)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn some_calls_of_each_caller_are_taken_with_the_number_of_the_others() {
        let sampler = CallerSampler::new(3);
        let (ada, bob) = (("acme", "ada"), ("acme", "bob"));
        assert_eq!(taken(&sampler, ada, 100), [0; 3]);
        assert_eq!(taken(&sampler, bob, 2), [0; 2], "another caller");
        assert_eq!(taken(&sampler, ("bolt", "ada"), 2), [0; 2], "another tenant's caller of that name");
        tokio::time::advance(WINDOW - Duration::from_millis(1)).await;
        assert_eq!(taken(&sampler, ada, 5), [0; 0]);
        assert_eq!(taken(&sampler, bob, 5), [0]);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(taken(&sampler, ada, 2), [102, 0]);
        assert_eq!(taken(&sampler, bob, 1), [4]);
        assert_eq!(taken(&sampler, ada, 9), [0]);
        sampler.leave_out(bob.0, bob.1, 5);
        assert_eq!(taken(&sampler, bob, 2), [5, 0], "what was taken in vain is told with the next one");
    }

    #[tokio::test(start_paused = true)]
    async fn many_callers_of_a_tenant_share_what_it_has() {
        let sampler = CallerSampler::new(2);
        let of_acme = |index: usize| taken(&sampler, ("acme", &format!("key:{index}")), 2).len();
        assert_eq!((0..100).map(of_acme).sum::<usize>(), 20);
        assert_eq!(taken(&sampler, ("bolt", "ada"), 2), [0; 2], "another tenant");
        assert_eq!(
            (0..50).map(|index| taken(&sampler, ("", &index.to_string()), 2).len()).sum::<usize>(),
            100
        );
        tokio::time::advance(WINDOW).await;
        assert_eq!(taken(&sampler, ("acme", "key:99"), 2), [2, 0], "what was left out is told later");
    }

    #[tokio::test(start_paused = true)]
    async fn callers_beyond_the_most_that_are_told_apart_count_together() {
        let sampler = CallerSampler::new(1);
        let known = |sampler: &CallerSampler| sampler.callers.lock().unwrap().windows.len();
        for caller in 0..MAX_CALLERS {
            assert_eq!(taken(&sampler, ("", &caller.to_string()), 1), [0], "{caller}");
        }
        assert_eq!(taken(&sampler, ("", "one more"), 5), [0]);
        assert_eq!(taken(&sampler, ("", "another"), 5), [0; 0]);
        assert_eq!(known(&sampler), MAX_CALLERS);
        assert_eq!(taken(&sampler, ("", "7"), 3), [0; 0], "a known one has its own window");
        tokio::time::advance(WINDOW).await;
        assert_eq!(taken(&sampler, ("", "7"), 3), [3]);
        assert_eq!(taken(&sampler, ("", "8"), 1), [0]);
        assert_eq!(taken(&sampler, ("", "8"), 5), [0; 0]);
        tokio::time::advance(WINDOW).await;
        assert_eq!(taken(&sampler, ("", "one more"), 2), [0], "there is room again");
        assert_eq!(known(&sampler), 1);
        for caller in 1..MAX_CALLERS {
            assert_eq!(taken(&sampler, ("", &caller.to_string()), 1), [0], "{caller}");
        }
        // Nine of the two beyond the most, two of caller 7, five of caller 8: none is lost with its window.
        assert_eq!(taken(&sampler, ("", "another"), 1), [9 + 2 + 5]);
    }
}
