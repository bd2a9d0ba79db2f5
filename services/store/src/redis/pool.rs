//! The connections of one link that durable writes go over: how many at a time, and those that nobody uses at present.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// Durable writes at a time. More would not be faster, and one call may come to thousands.
pub(super) const MAX_CONCURRENT: usize = 32;

/// How long a connection is kept that nobody uses.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections, of which the one used last is taken first.
pub(super) struct Pool<C> {
    permits: Semaphore,
    /// Those that have been idle for longest come first.
    idle: Mutex<Vec<Idle<C>>>,
}

struct Idle<C> {
    connection: C,
    since: Instant,
}

// === impl Pool ===

impl<C> Pool<C> {
    pub(super) fn new() -> Self {
        Self { permits: Semaphore::new(MAX_CONCURRENT), idle: Mutex::default() }
    }

    /// Waits until there is permits for one more write; none when there is not in time.
    pub(super) async fn permit(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        timeout_at(deadline, self.permits.acquire()).await.ok()?.ok()
    }

    pub(super) fn take(&self) -> Option<C> {
        self.idle().pop().map(|idle| idle.connection)
    }

    pub(super) fn put(&self, connection: C) {
        self.idle().push(Idle { connection, since: Instant::now() });
    }

    /// Lets go of those that nobody has used for long.
    pub(super) fn drop_idle(&self) {
        let mut idle = self.idle();
        let old = idle.partition_point(|idle| idle.since.elapsed() > IDLE_TIMEOUT);
        idle.drain(..old);
    }

    /// Lets go of all.
    pub(super) fn clear(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle<C>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_nobody_uses_is_let_go() {
        let pool = Pool::new();
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
    async fn who_finds_no_room_is_told_in_time() {
        let pool = Pool::<()>::new();
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut taken = Vec::new();
        for _ in 0..MAX_CONCURRENT {
            taken.push(pool.permit(deadline).await.unwrap());
        }
        assert!(pool.permit(deadline).await.is_none());
        assert_eq!(Instant::now(), deadline);
        taken.pop();
        assert!(pool.permit(deadline).await.is_some());
    }
}
