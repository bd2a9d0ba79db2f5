//! The calls whose bodies have not arrived. They have no permit yet and are counted here. When there are too many, one
//! gives way: of the connection that has most of them, the one that has waited longest. A call that sends its body at
//! once is never rejected because of others that do not.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;

/// The waiting calls. Cheap to clone: clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct WaitingBodies {
    waiters: Arc<Mutex<Waiters>>,
    /// Their number.
    number: Gauge,
}

#[derive(Debug, Default)]
struct Waiters {
    /// The sequence number of the next one.
    next: u64,
    total: usize,
    /// Those of each connection, in the order in which they began to wait.
    by_connection: HashMap<u64, BTreeMap<u64, Arc<Notify>>>,
}

/// A waiting call, until it is dropped.
#[derive(Debug)]
pub(super) struct Waiter {
    waiting: WaitingBodies,
    connection: u64,
    id: u64,
}

// === impl WaitingBodies ===

impl WaitingBodies {
    /// Shows their number in `number`.
    pub(crate) fn counted(number: Gauge) -> Self {
        Self { waiters: Arc::default(), number }
    }

    /// One of at most `limit` waiting calls; another one gives way if there are too many. `evicted` is notified if it
    /// must give way itself.
    pub(super) fn enter(&self, limit: u32, connection: u64, evicted: Arc<Notify>) -> Waiter {
        let mut waiters = self.waiters();
        while waiters.total >= usize::try_from(limit.max(1)).unwrap_or(usize::MAX) {
            match waiters.evict() {
                Some(longest) => longest.notify_one(),
                None => break,
            }
        }
        let id = waiters.next;
        waiters.next += 1;
        waiters.total += 1;
        waiters.by_connection.entry(connection).or_default().insert(id, evicted);
        self.count(&waiters);
        drop(waiters);
        Waiter { waiting: self.clone(), connection, id }
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, waiters: &Waiters) {
        self.number.set(i64::try_from(waiters.total).unwrap_or(i64::MAX));
    }
}

// === impl Waiters ===

impl Waiters {
    /// Removes the one that gives way.
    fn evict(&mut self) -> Option<Arc<Notify>> {
        let oldest = |of_one: &BTreeMap<u64, _>| of_one.keys().next().copied().map(std::cmp::Reverse);
        let most = self.by_connection.iter().max_by_key(|(_, of_one)| (of_one.len(), oldest(of_one)))?;
        let (connection, id) = (*most.0, *most.1.keys().next()?);
        self.remove(connection, id)
    }

    fn remove(&mut self, connection: u64, id: u64) -> Option<Arc<Notify>> {
        let of_one = self.by_connection.get_mut(&connection)?;
        let removed = of_one.remove(&id)?;
        self.total -= 1;
        if of_one.is_empty() {
            self.by_connection.remove(&connection);
        }
        Some(removed)
    }
}

// === impl Waiter ===

impl Waiter {
    /// Whether it has given way.
    pub(super) fn is_evicted(&self) -> bool {
        let waiters = self.waiting.waiters();
        !waiters.by_connection.get(&self.connection).is_some_and(|of_one| of_one.contains_key(&self.id))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiters = self.waiting.waiters();
        waiters.remove(self.connection, self.id);
        self.waiting.count(&waiters);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Enters a call of each connection, in this order, and returns which of them gave way.
    fn evicted(limit: u32, connections: &[u64]) -> Vec<usize> {
        let waiting = WaitingBodies::default();
        let enter = |connection: &u64| {
            let evicted = Arc::new(Notify::new());
            (waiting.enter(limit, *connection, Arc::clone(&evicted)), evicted)
        };
        let waiters: Vec<_> = connections.iter().map(enter).collect();
        assert!(waiting.number.get() <= limit.into());
        let is_evicted = |(waiter, evicted): &(Waiter, Arc<Notify>)| {
            let notified = evicted.notified().now_or_never().is_some();
            assert_eq!(waiter.is_evicted(), notified);
            notified
        };
        let found = (0..waiters.len()).filter(|index| is_evicted(&waiters[*index])).collect();
        drop(waiters);
        assert_eq!(waiting.number.get(), 0, "a call that gave way is not counted twice");
        assert!(waiting.waiters().by_connection.is_empty());
        found
    }

    #[test]
    fn the_longest_of_the_connection_with_most_waiting_calls_gives_way() {
        assert_eq!(evicted(3, &[1, 1, 1]), [] as [usize; 0]);
        assert_eq!(evicted(2, &[1, 2, 3, 4]), [0, 1], "the oldest where all have one");
        assert_eq!(evicted(4, &[1, 2, 2, 2, 3, 2]), [1, 2], "the only calls of 1 and 3 stay");
        assert_eq!(evicted(1, &[1, 1, 1]), [0, 1]);
    }
}
