//! Leases: single flight per key, which prevents a cache stampede. One caller computes the value; the others wait, or
//! accept a stale value (stale-while-revalidate).

use std::sync::Arc;
use std::time::Duration;

use dataflow_mesh::tasks::Task;
use dataflow_store::Store;
use dataflow_store::generations::Generation;
use dataflow_store::key::Key as StoreKey;
use dataflow_store::leases::Token;
use dataflow_store::signals::{CHANGES, Change, Signal, Subscription};
use tokio::time::{Instant, timeout_at};

use crate::Error;
use crate::entries::Entries;
use crate::entry::{CachedEntry, Lookup, Read};
use crate::key::{Key, Tag};

/// The random interval in milliseconds at which a waiting call reads again: an invalidation message may be lost, and a
/// lease that expires sends none.
const RECHECK_MILLIS: std::ops::Range<u64> = 200..400;

/// The options of a lease request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseOptions {
    /// The duration of a granted lease.
    pub hold: Duration,
    /// How long to wait for another caller's value.
    pub wait: Duration,
    /// Whether a stale value is accepted meanwhile.
    pub accept_stale: bool,
}

/// The result of a lease request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// A fresh entry.
    Fresh(CachedEntry),
    /// A stale entry, whose value another caller is computing.
    Stale(CachedEntry),
    /// A lease: the caller computes the value.
    Granted {
        /// The token that proves it.
        token: Token,
        /// The generations of the tags before the computation, in their order.
        generations: Vec<Generation>,
    },
    /// Neither: another caller holds the lease, and the wait is over.
    Busy,
    /// Neither: the store is unreachable.
    Degraded,
}

// === impl LeaseOutcome ===

impl LeaseOutcome {
    /// Its label in metrics: one of [`LEASE_OUTCOMES`](crate::stats::LEASE_OUTCOMES).
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Granted { .. } => "granted",
            Self::Fresh(_) => "fresh",
            Self::Stale(_) => "stale",
            Self::Busy => "busy",
            Self::Degraded => "degraded",
        }
    }
}

// === impl Entries ===

impl Entries {
    /// Reads an entry, or acquires the lease to compute it.
    ///
    /// # Errors
    ///
    /// [`Error::Store`], except for outages.
    pub async fn lease(&self, key: &Key, tags: &[Tag], options: LeaseOptions) -> Result<LeaseOutcome, Error> {
        let outcome = match self.try_lease(key, tags, options).await {
            Err(error) if error.is_outage() => LeaseOutcome::Degraded,
            other => other?,
        };
        self.counters.leased(outcome.label());
        Ok(outcome)
    }

    /// Releases a lease; returns whether it was still held. While the store is unreachable, the lease expires.
    ///
    /// # Errors
    ///
    /// [`Error::Store`], except for outages.
    pub async fn release(&self, key: &Key, token: Token) -> Result<bool, Error> {
        let released = async {
            let store_key = self.store_key(key).await?;
            self.store.release(&store_key, token).await
        };
        match released.await.map_err(Error::from) {
            Err(error) if error.is_outage() => Ok(false),
            other => other,
        }
    }

    async fn try_lease(&self, key: &Key, tags: &[Tag], options: LeaseOptions) -> Result<LeaseOutcome, Error> {
        let store_key = self.store_key(key).await?;
        let deadline = Instant::now() + options.wait;
        let mut read = self.get(key).await;
        let (mut changes, mut waiting) = (None, None);
        loop {
            let stale = match read {
                Read { degraded: true, .. } => return Ok(LeaseOutcome::Degraded),
                Read { lookup: Lookup::Fresh(entry), .. } => return Ok(LeaseOutcome::Fresh(entry)),
                Read { lookup: Lookup::Stale(entry), .. } => Some(entry),
                Read { lookup: Lookup::Miss, .. } => None,
            };
            // Created before the request: the reply may be lost, or this call canceled before it arrives.
            let guard = LeaseGuard::new(&self.store, &store_key);
            if self.store.acquire(&store_key, guard.token, options.hold).await? {
                return self.grant(key, &store_key, tags, guard).await;
            }
            guard.disarm();
            if let Some(entry) = stale.filter(|_| options.accept_stale) {
                return Ok(LeaseOutcome::Stale(entry));
            }
            if waiting.is_none() {
                let limit = self.limits.load().max_concurrent_requests.div_ceil(2);
                let Some(permit) = self.waiting.try_acquire(limit) else { return Ok(LeaseOutcome::Busy) };
                waiting = Some(permit);
            }
            match &mut changes {
                // A change between the read and the subscription is found by another read before the first wait.
                None => changes = Some(self.store.subscribe(CHANGES)),
                Some(_) if Instant::now() >= deadline => return Ok(LeaseOutcome::Busy),
                Some(changes) => {
                    let recheck = Duration::from_millis(fastrand::u64(RECHECK_MILLIS));
                    let _ = timeout_at(deadline.min(Instant::now() + recheck), changed(changes, &store_key))
                        .await;
                }
            }
            read = self.get(key).await;
        }
    }

    /// Grants the acquired lease, unless its previous holder stored a value after our read.
    async fn grant(
        &self,
        key: &Key,
        store_key: &StoreKey,
        tags: &[Tag],
        guard: LeaseGuard,
    ) -> Result<LeaseOutcome, Error> {
        match self.get_from_store(key, store_key).await {
            Read { lookup: Lookup::Fresh(entry), .. } => Ok(LeaseOutcome::Fresh(entry)),
            // There may be a value.
            Read { degraded: true, .. } => Ok(LeaseOutcome::Degraded),
            Read { .. } => {
                let generations = self.generations(tags).await?;
                Ok(guard.grant(generations))
            }
        }
    }
}

/// A guard that releases an acquired lease on drop, if the lease does not reach the caller: because there is a value
/// after all, or because the call was canceled. Waiting callers need not wait until it expires.
struct LeaseGuard {
    store: Arc<dyn Store>,
    store_key: StoreKey,
    token: Token,
    disarmed: bool,
}

// === impl LeaseGuard ===

impl LeaseGuard {
    fn new(store: &Arc<dyn Store>, store_key: &StoreKey) -> Self {
        Self {
            store: Arc::clone(store),
            store_key: store_key.clone(),
            token: Token::random(),
            disarmed: false,
        }
    }

    /// Another caller holds the lease: nothing to release.
    fn disarm(mut self) {
        self.disarmed = true;
    }

    fn grant(mut self, generations: Vec<Generation>) -> LeaseOutcome {
        self.disarmed = true;
        LeaseOutcome::Granted { token: self.token, generations }
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        if self.disarmed {
            return;
        }
        let (store, store_key, token) = (Arc::clone(&self.store), self.store_key.clone(), self.token);
        let release = async move {
            if let Err(error) = store.release(&store_key, token).await {
                tracing::debug!(%error, "lease: release failed, it will expire");
            }
        };
        Task::logged("release lease", release).detach();
    }
}

/// Resolves when the key has changed, or may have.
async fn changed(changes: &mut Subscription, store_key: &StoreKey) {
    while let Some(Signal::Message(message)) = changes.next().await {
        let change = std::str::from_utf8(&message).ok().and_then(|text| text.parse::<Change>().ok());
        if change.is_some_and(|change| change.space == store_key.space.name && change.name == store_key.name)
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::LEASE_OUTCOMES;

    #[test]
    fn every_outcome_has_a_series_from_the_start() {
        let token = Token::random();
        let outcomes = [
            LeaseOutcome::Granted { token, generations: Vec::new() },
            LeaseOutcome::Busy,
            LeaseOutcome::Degraded,
        ];
        for outcome in outcomes {
            assert!(LEASE_OUTCOMES.contains(&outcome.label()), "{outcome:?}");
        }
    }
}
