//! Leases: of all who miss the same entry, one computes it and the rest wait, or take what is stale.

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
use crate::entries::{Entries, Lookup, Read};
use crate::entry::CachedEntry;
use crate::key::{Key, Tag};

/// How often to look again while waiting, in milliseconds at random: a signal may be lost, and a lease that ended by itself
/// sends none.
const RECHECK_MILLIS: std::ops::Range<u64> = 200..400;

/// What the caller of a lease wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseOptions {
    /// How long to hold a lease that is granted.
    pub hold: Duration,
    /// How long to wait for somebody else's value.
    pub wait: Duration,
    /// Whether a stale value will do meanwhile.
    pub accept_stale: bool,
}

/// What it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// A fresh entry.
    Fresh(CachedEntry),
    /// A stale one, which somebody else is computing anew.
    Stale(CachedEntry),
    /// The right to compute it.
    Granted {
        /// What to show for it.
        token: Token,
        /// The generations of the tags from before the computation, in their order.
        generations: Vec<Generation>,
    },
    /// Neither: somebody else still computes.
    Busy,
    /// Neither: the store does not answer.
    Degraded,
}

// === impl Entries ===

impl Entries {
    /// Reads an entry, or gets the right to compute it.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] for what is no outage.
    pub async fn lease(&self, key: &Key, tags: &[Tag], options: LeaseOptions) -> Result<LeaseOutcome, Error> {
        match self.try_lease(key, tags, options).await {
            Err(error) if error.is_outage() => Ok(LeaseOutcome::Degraded),
            other => other,
        }
    }

    /// Gives a lease back; whether it was still held. While the store does not answer it will end by itself.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] for what is no outage.
    pub async fn release(&self, key: &Key, token: Token) -> Result<bool, Error> {
        match self.store.release(&key.store_key(), token).await.map_err(Error::from) {
            Err(error) if error.is_outage() => Ok(false),
            other => other,
        }
    }

    async fn try_lease(&self, key: &Key, tags: &[Tag], options: LeaseOptions) -> Result<LeaseOutcome, Error> {
        let store_key = key.store_key();
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
            // Before it is asked for: the answer may be lost, or the caller gone before it comes.
            let guard = LeaseGuard::new(&self.store, &store_key);
            if self.store.acquire(&store_key, guard.token, options.hold).await? {
                return self.grant(key, tags, guard).await;
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
                // What came between the read and this moment is read once more before anybody waits.
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

    /// The lease is ours; unless its last holder stored a value between our read and now.
    async fn grant(&self, key: &Key, tags: &[Tag], guard: LeaseGuard) -> Result<LeaseOutcome, Error> {
        match self.get_from_store(key).await {
            Read { lookup: Lookup::Fresh(entry), .. } => Ok(LeaseOutcome::Fresh(entry)),
            // The value may be there.
            Read { degraded: true, .. } => Ok(LeaseOutcome::Degraded),
            Read { .. } => {
                let generations = self.generations(tags).await?;
                Ok(guard.into_outcome(generations))
            }
        }
    }
}

/// A lease on its way to whoever asked. If it does not get there, because there is a value after all or the caller has
/// gone, it is given back: those who wait need not do so until it ends by itself.
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

    /// Somebody else has it: there is nothing to give back.
    fn disarm(mut self) {
        self.disarmed = true;
    }

    fn into_outcome(mut self, generations: Vec<Generation>) -> LeaseOutcome {
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
                tracing::debug!(%error, "a lease is not given back");
            }
        };
        Task::logged("release lease", release).detach();
    }
}

/// Resolves when the place changed, or may have.
async fn changed(changes: &mut Subscription, store_key: &StoreKey) {
    while let Some(Signal::Message(message)) = changes.next().await {
        let change = std::str::from_utf8(&message).ok().and_then(|text| text.parse::<Change>().ok());
        if change.is_some_and(|change| change.space == store_key.space.name && change.name == store_key.name)
        {
            return;
        }
    }
}
