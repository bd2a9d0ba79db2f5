//! A connection pool of one link: a limit of concurrent calls, and the idle connections.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection pool. Last in, first out.
pub(super) struct Pool<C> {
    permits: Semaphore,
    max_concurrent: usize,
    /// Ordered by idle time, longest first.
    idle: Mutex<Vec<Idle<C>>>,
}

struct Idle<C> {
    connection: C,
    since: Instant,
}

// === impl Pool ===

impl<C> Pool<C> {
    pub(super) fn new(max_concurrent: usize) -> Self {
        Self { permits: Semaphore::new(max_concurrent), max_concurrent, idle: Mutex::default() }
    }

    /// Waits for a permit for one more call; none if the deadline passes first.
    pub(super) async fn permit(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        timeout_at(deadline, self.permits.acquire()).await.ok()?.ok()
    }

    pub(super) fn take(&self) -> Option<C> {
        self.idle().pop().map(|idle| idle.connection)
    }

    pub(super) fn put(&self, connection: C) {
        self.idle().push(Idle { connection, since: Instant::now() });
    }

    /// Closes connections that were idle for too long.
    pub(super) fn drop_idle(&self) {
        let mut idle = self.idle();
        let old = idle.partition_point(|idle| idle.since.elapsed() > IDLE_TIMEOUT);
        idle.drain(..old);
    }

    /// Closes all idle connections.
    pub(super) fn clear(&self) {
        self.idle().clear();
    }

    /// The permits in use, and the idle connections.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.max_concurrent.saturating_sub(self.permits.available_permits()), self.idle().len())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle<C>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn idle_connections_are_closed_after_the_timeout() {
        let pool = Pool::new(1);
        for name in ["a", "b", "c"] {
            pool.put(name);
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        pool.drop_idle();
        assert_eq!(pool.idle().len(), 3, "the first for 30 s");
        tokio::time::advance(Duration::from_secs(1)).await;
        pool.drop_idle();
        assert_eq!([pool.take(), pool.take(), pool.take()], [Some("c"), Some("b"), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_permit_ends_at_the_deadline() {
        let pool = Pool::<()>::new(3);
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.push(pool.permit(deadline).await.unwrap());
        }
        assert!(pool.permit(deadline).await.is_none());
        assert_eq!(pool.counts(), (3, 0));
        assert_eq!(Instant::now(), deadline);
        taken.pop();
        assert!(pool.permit(deadline).await.is_some());
    }
}
