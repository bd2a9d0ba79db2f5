//! The states of many callers, in a bounded map. Callers choose how many there are; what is unused is the same as none,
//! and is removed first.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Gcra;

/// A full map removes this part of its states at once, so that each of them is examined a bounded number of times.
const REMOVED_PART: usize = 16;

/// So few states are not examined.
const FEW: usize = 16;

/// The state of one caller.
pub trait Unused {
    /// The time until it is the same as none.
    fn until_unused(&self, now: Instant) -> Duration;
}

/// At most a number of states, by key.
#[derive(Debug)]
pub struct States<K, V> {
    states: HashMap<K, V>,
    max: usize,
    /// How many were in use after the last removal.
    used_after_removal: usize,
}

// === impl Gcra ===

impl Unused for Gcra {
    fn until_unused(&self, now: Instant) -> Duration {
        Gcra::until_unused(self, now)
    }
}

impl<T: Unused> Unused for Arc<T> {
    fn until_unused(&self, now: Instant) -> Duration {
        T::until_unused(self, now)
    }
}

// === impl States ===

impl<K: Hash + Eq, V: Unused> States<K, V> {
    /// At most `max` states, at least one.
    pub fn new(max: usize) -> Self {
        Self { states: HashMap::new(), max: max.max(1), used_after_removal: 0 }
    }

    /// The state of a key. A new one may take the place of those that are unused, or soonest unused.
    pub fn get(&mut self, key: K, now: Instant, new: impl FnOnce() -> V) -> &mut V {
        if !self.states.contains_key(&key)
            && self.states.len() >= self.max.min(2 * self.used_after_removal + FEW)
        {
            self.remove_unused(now);
        }
        self.states.entry(key).or_insert_with(new)
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    fn remove_unused(&mut self, now: Instant) {
        self.states.retain(|_, state| !state.until_unused(now).is_zero());
        if self.states.len() >= self.max {
            let mut left = self.max.div_ceil(REMOVED_PART);
            let mut times: Vec<_> = self.states.values().map(|state| state.until_unused(now)).collect();
            let (_, latest, _) = times.select_nth_unstable(left - 1);
            self.states.retain(|_, state| {
                let is_removed = left > 0 && state.until_unused(now) <= *latest;
                left -= usize::from(is_removed);
                !is_removed
            });
        }
        self.used_after_removal = self.states.len();
    }
}

#[cfg(test)]
mod tests {
    use super::super::RateLimit;
    use super::*;

    const LIMIT: RateLimit = RateLimit { interval: Duration::from_secs(1), burst: 1000 };

    #[test]
    fn unused_states_are_removed_and_then_those_soonest_unused() {
        let (start, mut states) = (Instant::now(), States::new(32));
        for key in 1..=32 {
            states.get(key, start, Gcra::default).take(LIMIT, key, start);
        }
        assert_eq!(states.len(), 32);
        // 1 to 10 are unused by then.
        let later = start + Duration::from_secs(10);
        states.get(33, later, Gcra::default).take(LIMIT, 33, later);
        assert_eq!(states.len(), 23);
        for key in 34..=42 {
            states.get(key, later, Gcra::default).take(LIMIT, key, later);
        }
        assert_eq!(states.len(), 32, "the map is full of used ones");
        states.get(43, later, Gcra::default).take(LIMIT, 43, later);
        let used = |states: &mut States<u32, Gcra>, key| {
            !states.get(key, later, Gcra::default).until_unused(later).is_zero()
        };
        assert_eq!(states.len(), 31);
        assert!(used(&mut states, 13) && used(&mut states, 43) && used(&mut states, 32));
        assert!(!used(&mut states, 11) && states.len() == 32);
    }

    #[test]
    fn any_number_of_callers_takes_bounded_memory() {
        let now = Instant::now();
        for max in [1, 2, 16, 17, 100] {
            let mut states = States::new(max);
            for key in 0..1000_u32 {
                states.get(key, now, Gcra::default).take(LIMIT, 1, now);
                assert!(states.len() <= max, "{max}");
                assert!(
                    !states.get(key, now, Gcra::default).until_unused(now).is_zero(),
                    "the newest is there"
                );
            }
        }
    }
}
