//! How many of something there are at once, where the limit may change at any time and nobody waits: a semaphore could not
//! give back permits that are out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts what is there. Cheap to clone: clones count together.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<AtomicU32>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Place(Arc<AtomicU32>);

impl Places {
    /// One more, unless there are `most` already.
    pub fn take(&self, most: u32) -> Option<Place> {
        // The count guards no other memory.
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| (taken < most).then_some(taken + 1));
        taken.ok().map(|_| Place(Arc::clone(&self.0)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_from_the_moment_it_is_set() {
        let places = Places::default();
        let held: Vec<_> = (0..3).map(|_| places.take(3).unwrap()).collect();
        assert!(places.take(3).is_none());
        // Raised, there is one more; lowered, those that are out stay out, and count.
        let fourth = places.take(4);
        assert!(fourth.is_some() && places.take(2).is_none());
        drop((fourth, held));
        let held = (places.take(2), places.take(2));
        assert!(held.0.is_some() && held.1.is_some() && places.take(2).is_none());
    }
}
