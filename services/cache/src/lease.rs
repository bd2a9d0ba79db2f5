//! Leases: of all who miss the same entry, one computes it and the rest wait, or take what is stale.

use std::sync::Arc;
use std::time::Duration;

use dataflow_mesh::tasks::Task;
use dataflow_store::Store;
use dataflow_store::generations::Generation;
use dataflow_store::key::Key as Place;
use dataflow_store::leases::Token;
use dataflow_store::signals::{CHANGES, Change, Signal, Subscription};
use tokio::time::{Instant, timeout_at};

use crate::Error;
use crate::entries::{Entries, Found, Read};
use crate::entry::Held;
use crate::key::{Key, Tag};

/// How often to look again while waiting, in milliseconds at random: a signal may be lost, and a lease that ended by itself
/// sends none.
const LOOK_AGAIN: std::ops::Range<u64> = 200..400;

/// What the caller of a lease wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long to hold a lease that is granted.
    pub hold: Duration,
    /// How long to wait for somebody else's value.
    pub wait: Duration,
    /// Whether a stale value will do meanwhile.
    pub accept_stale: bool,
}

/// What it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leased {
    /// A fresh entry.
    Fresh(Held),
    /// A stale one, which somebody else is computing anew.
    Stale(Held),
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
    pub async fn lease(&self, key: &Key, tags: &[Tag], terms: Terms) -> Result<Leased, Error> {
        match self.lease_or_fail(key, tags, terms).await {
            Err(error) if error.is_outage() => Ok(Leased::Degraded),
            other => other,
        }
    }

    /// Gives a lease back; whether it was still held. While the store does not answer it will end by itself.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] for what is no outage.
    pub async fn release(&self, key: &Key, token: Token) -> Result<bool, Error> {
        match self.store.release(&key.place(), token).await.map_err(Error::from) {
            Err(error) if error.is_outage() => Ok(false),
            other => other,
        }
    }

    async fn lease_or_fail(&self, key: &Key, tags: &[Tag], terms: Terms) -> Result<Leased, Error> {
        let place = key.place();
        let until = Instant::now() + terms.wait;
        let mut read = self.get(key).await;
        let (mut changes, mut waiting) = (None, None);
        loop {
            let stale = match read {
                Read { degraded: true, .. } => return Ok(Leased::Degraded),
                Read { found: Found::Fresh(held), .. } => return Ok(Leased::Fresh(held)),
                Read { found: Found::Stale(held), .. } => Some(held),
                Read { found: Found::Nothing, .. } => None,
            };
            // Before it is asked for: the answer may be lost, or the caller gone before it comes.
            let granting = Granting::new(&self.store, &place);
            if self.store.acquire(&place, granting.token, terms.hold).await? {
                return self.grant(key, tags, granting).await;
            }
            granting.refused();
            if let Some(held) = stale.filter(|_| terms.accept_stale) {
                return Ok(Leased::Stale(held));
            }
            if waiting.is_none() {
                let most = self.limits.load().max_concurrent_requests.div_ceil(2);
                let Some(permit) = self.waiting.try_acquire(most) else { return Ok(Leased::Busy) };
                waiting = Some(permit);
            }
            match &mut changes {
                // What came between the read and this moment is read once more before anybody waits.
                None => changes = Some(self.store.subscribe(CHANGES)),
                Some(_) if Instant::now() >= until => return Ok(Leased::Busy),
                Some(changes) => {
                    let again = Duration::from_millis(fastrand::u64(LOOK_AGAIN));
                    let _ = timeout_at(until.min(Instant::now() + again), changed(changes, &place)).await;
                }
            }
            read = self.get(key).await;
        }
    }

    /// The lease is ours; unless its last holder stored a value between our read and now.
    async fn grant(&self, key: &Key, tags: &[Tag], granting: Granting) -> Result<Leased, Error> {
        match self.get_from_store(key).await {
            Read { found: Found::Fresh(held), .. } => Ok(Leased::Fresh(held)),
            // The value may be there.
            Read { degraded: true, .. } => Ok(Leased::Degraded),
            Read { .. } => {
                let generations = self.generations(tags).await?;
                Ok(granting.granted(generations))
            }
        }
    }
}

/// A lease on its way to whoever asked. If it does not get there, because there is a value after all or the caller has
/// gone, it is given back: those who wait need not do so until it ends by itself.
struct Granting {
    store: Arc<dyn Store>,
    place: Place,
    token: Token,
    arrived: bool,
}

// === impl Granting ===

impl Granting {
    fn new(store: &Arc<dyn Store>, place: &Place) -> Self {
        Self { store: Arc::clone(store), place: place.clone(), token: Token::random(), arrived: false }
    }

    /// Somebody else has it: there is nothing to give back.
    fn refused(mut self) {
        self.arrived = true;
    }

    fn granted(mut self, generations: Vec<Generation>) -> Leased {
        self.arrived = true;
        Leased::Granted { token: self.token, generations }
    }
}

impl Drop for Granting {
    fn drop(&mut self) {
        if self.arrived {
            return;
        }
        let (store, place, token) = (Arc::clone(&self.store), self.place.clone(), self.token);
        let release = async move {
            if let Err(error) = store.release(&place, token).await {
                tracing::debug!(%error, "a lease is not given back");
            }
        };
        Task::logged("release lease", release).detach();
    }
}

/// Resolves when the place changed, or may have.
async fn changed(changes: &mut Subscription, place: &Place) {
    while let Some(Signal::Message(message)) = changes.next().await {
        let change = std::str::from_utf8(&message).ok().and_then(|text| text.parse::<Change>().ok());
        if change.is_some_and(|change| change.space == place.space.name && change.name == place.name) {
            return;
        }
    }
}
