//! The calls whose bodies have not arrived. They have no permit yet and are counted here. When there are too many, one
//! gives way: of the tenant that has most of them, and of its connections the one that has most, the call that has waited
//! longest. Where callers have no tenant, each connection counts by itself. A call that sends its body at once is never
//! rejected because of others that do not.

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
    /// Those of each tenant on each connection, in the order in which they began to wait.
    by_party: HashMap<Party, BTreeMap<u64, Arc<Notify>>>,
    /// The number of those of each tenant.
    by_tenant: HashMap<Arc<str>, usize>,
}

/// Whose calls are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Party {
    pub(super) connection: u64,
    /// Empty for callers without a tenant.
    pub(super) tenant: Arc<str>,
}

/// A waiting call, until it is dropped.
#[derive(Debug)]
pub(super) struct Waiter {
    waiting: WaitingBodies,
    party: Party,
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
    pub(super) fn enter(&self, limit: u32, party: Party, evicted: Arc<Notify>) -> Waiter {
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
        waiters.by_party.entry(party.clone()).or_default().insert(id, evicted);
        if !party.tenant.is_empty() {
            *waiters.by_tenant.entry(Arc::clone(&party.tenant)).or_default() += 1;
        }
        self.count(&waiters);
        drop(waiters);
        Waiter { waiting: self.clone(), party, id }
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
        let most = self.by_party.iter().max_by_key(|(party, of_one)| {
            let of_tenant = self.by_tenant.get(&party.tenant).copied().unwrap_or(of_one.len());
            (of_tenant, of_one.len(), oldest(of_one))
        })?;
        let (party, id) = (most.0.clone(), *most.1.keys().next()?);
        self.remove(&party, id)
    }

    fn remove(&mut self, party: &Party, id: u64) -> Option<Arc<Notify>> {
        let of_one = self.by_party.get_mut(party)?;
        let removed = of_one.remove(&id)?;
        self.total -= 1;
        if of_one.is_empty() {
            self.by_party.remove(party);
        }
        if let Some(of_tenant) = self.by_tenant.get_mut(&party.tenant) {
            *of_tenant -= 1;
            if *of_tenant == 0 {
                self.by_tenant.remove(&party.tenant);
            }
        }
        Some(removed)
    }
}

// === impl Waiter ===

impl Waiter {
    /// Whether it has given way.
    pub(super) fn is_evicted(&self) -> bool {
        let waiters = self.waiting.waiters();
        !waiters.by_party.get(&self.party).is_some_and(|of_one| of_one.contains_key(&self.id))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiters = self.waiting.waiters();
        waiters.remove(&self.party, self.id);
        self.waiting.count(&waiters);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn party(connection: u64, tenant: &str) -> Party {
        Party { connection, tenant: tenant.into() }
    }

    /// Enters a call of each connection, in this order, and returns which of them gave way.
    fn evicted(limit: u32, connections: &[u64]) -> Vec<usize> {
        evicted_of(limit, &connections.iter().map(|connection| party(*connection, "")).collect::<Vec<_>>())
    }

    fn evicted_of(limit: u32, parties: &[Party]) -> Vec<usize> {
        let waiting = WaitingBodies::default();
        let enter = |party: &Party| {
            let evicted = Arc::new(Notify::new());
            (waiting.enter(limit, party.clone(), Arc::clone(&evicted)), evicted)
        };
        let waiters: Vec<_> = parties.iter().map(enter).collect();
        assert!(waiting.number.get() <= limit.into());
        let is_evicted = |(waiter, evicted): &(Waiter, Arc<Notify>)| {
            let notified = evicted.notified().now_or_never().is_some();
            assert_eq!(waiter.is_evicted(), notified);
            notified
        };
        let found = (0..waiters.len()).filter(|index| is_evicted(&waiters[*index])).collect();
        drop(waiters);
        assert_eq!(waiting.number.get(), 0, "a call that gave way is not counted twice");
        assert!(waiting.waiters().by_party.is_empty() && waiting.waiters().by_tenant.is_empty());
        found
    }

    #[test]
    fn the_longest_of_the_connection_with_most_waiting_calls_gives_way() {
        assert_eq!(evicted(3, &[1, 1, 1]), [] as [usize; 0]);
        assert_eq!(evicted(2, &[1, 2, 3, 4]), [0, 1], "the oldest where all have one");
        assert_eq!(evicted(4, &[1, 2, 2, 2, 3, 2]), [1, 2], "the only calls of 1 and 3 stay");
        assert_eq!(evicted(1, &[1, 1, 1]), [0, 1]);
    }

    #[test]
    fn a_tenant_counts_on_all_of_its_connections() {
        let of = |parties: &[(u64, &str)]| {
            parties.iter().map(|(connection, tenant)| party(*connection, tenant)).collect::<Vec<_>>()
        };
        let parties = of(&[(1, "bolt"), (2, "acme"), (3, ""), (4, "acme"), (5, "acme"), (6, "bolt")]);
        assert_eq!(evicted_of(4, &parties), [1, 3], "the calls of others stay");
        // Of one tenant, the connection with most.
        let parties = of(&[(1, "acme"), (2, "acme"), (2, "acme"), (2, "acme"), (3, "acme")]);
        assert_eq!(evicted_of(3, &parties), [1, 2]);
    }
}
