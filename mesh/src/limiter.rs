//! A resizable, non-blocking concurrency limiter: the limit may change at any time, and no caller queues. A semaphore
//! could not shrink while permits are out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts the permits that are out. Cheap to clone: clones count together.
#[derive(Debug, Clone, Default)]
pub struct Limiter(Arc<AtomicU32>);

/// One permit, until it is dropped.
#[derive(Debug)]
pub struct Permit(Arc<AtomicU32>);

impl Limiter {
    /// A permit, unless `limit` permits or more are out.
    pub fn try_acquire(&self, limit: u32) -> Option<Permit> {
        // The count guards no other memory.
        let acquired =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |out| (out < limit).then_some(out + 1));
        acquired.ok().map(|_| Permit(Arc::clone(&self.0)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_in_force_from_the_moment_it_is_set() {
        let limiter = Limiter::default();
        let permits: Vec<_> = (0..3).map(|_| limiter.try_acquire(3).unwrap()).collect();
        assert!(limiter.try_acquire(3).is_none());
        // Raised, there is one more; lowered, those that are out stay out, and count.
        let fourth = limiter.try_acquire(4);
        assert!(fourth.is_some() && limiter.try_acquire(2).is_none());
        drop((fourth, permits));
        let permits = (limiter.try_acquire(2), limiter.try_acquire(2));
        assert!(permits.0.is_some() && permits.1.is_some() && limiter.try_acquire(2).is_none());
    }
}
