//! What the cache does: entries in the store, with copies of them in this process where the store is elsewhere.

use std::sync::Arc;

use dataflow_mesh::args::LimitArgs;
use dataflow_mesh::limiter::Limiter;
use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::tasks::Task;
use dataflow_settings::Live;
use dataflow_store::Store;
use dataflow_store::entries::{Condition, Outcome, Revision};
use dataflow_store::generations::Generation;
use dataflow_store::key::Key as Place;
use dataflow_store::leases::Token;
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::Mutex;

use crate::Error;
use crate::entry::{Held, New};
use crate::key::{ENTRIES, Key, Tag};
use crate::l1::L1;
use crate::stats::{Counters, Stats};
use crate::stored;

/// Entries removed at once of those that begin alike.
const REMOVED_AT_ONCE: usize = 16;

/// Entries of all callers. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Entries {
    pub(crate) store: Arc<dyn Store>,
    /// Permits of calls that wait for another caller's value. Fewer than calls there may be at once, or they could keep out
    /// the very call that they wait for.
    pub(crate) waiting: Limiter,
    pub(crate) limits: Live<LimitArgs>,
    /// One at a time looks at every key of the store.
    sweeping: Arc<Mutex<()>>,
    l1: Option<L1>,
    counters: Counters,
}

/// What a read found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// An entry that is as good as new.
    Fresh(Held),
    /// One whose time is up, or one of whose tags was invalidated.
    Stale(Held),
    /// None.
    Nothing,
}

/// A read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// What it found.
    pub found: Found,
    /// Whether the store could not be asked.
    pub degraded: bool,
}

/// Under which condition an entry is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Whatever is there.
    Anything,
    /// Only this version.
    Version(Revision),
    /// Only while the lease is held.
    Lease(Token),
}

/// What came of writing an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It lies in the store as this version.
    Stored(Revision),
    /// The lease under which it was computed is no longer held: somebody changed the entry, or was granted another.
    LeaseEnded,
    /// The store does not answer.
    Degraded,
}

// === impl Read ===

impl Read {
    fn of(found: Found) -> Self {
        Self { found, degraded: false }
    }

    /// The store could not be asked.
    fn degraded() -> Self {
        Self { found: Found::Nothing, degraded: true }
    }
}

// === impl Entries ===

impl Entries {
    /// Entries in `store`, of which this process holds copies of at most `capacity` bytes while [`Entries::follow_changes`]
    /// runs. Half as many as there may be calls by the `limits` may wait for values at once.
    pub fn new(store: Arc<dyn Store>, capacity: u64, limits: Live<LimitArgs>, metrics: &Metrics) -> Self {
        let l1 = L1::new(&*store, capacity);
        let counters = Counters::register(metrics, l1.clone());
        let (waiting, sweeping) = (Limiter::default(), Arc::default());
        Self { store, waiting, limits, sweeping, l1, counters }
    }

    /// The task that keeps this process' copies right; none where it holds none.
    pub fn follow_changes(&self) -> Option<Task> {
        self.l1.clone().map(|l1| l1.follow(Arc::clone(&self.store)))
    }

    /// What was counted.
    pub fn stats(&self) -> Stats {
        self.counters.stats()
    }

    /// Reads one entry.
    pub async fn get(&self, key: &Key) -> Read {
        if let Some((held, in_doubt)) = self.l1.as_ref().and_then(|l1| l1.entry(&key.place())) {
            self.counters.first_level_hit();
            return Read { found: Found::Fresh(held), degraded: in_doubt };
        }
        let read = self.get_from_store(key).await;
        self.counters.read(&read);
        read
    }

    /// Reads one entry from the store, whatever copy of it there is.
    pub(crate) async fn get_from_store(&self, key: &Key) -> Read {
        let place = key.place();
        let before = self.l1.as_ref().map(|l1| l1.before(&place));
        let entry = match self.store.get(std::slice::from_ref(&place)).await {
            Ok(entries) => entries.into_iter().next().flatten(),
            Err(dataflow_store::Error::Unreadable { key, problem }) => {
                tracing::warn!(key, problem, "an entry cannot be read");
                None
            }
            Err(error) => {
                tracing::debug!(%error, "the store does not answer");
                return Read::degraded();
            }
        };
        let Some(held) = entry.and_then(|entry| stored::decode(key.namespace(), entry)) else {
            return Read::of(Found::Nothing);
        };
        let Ok(valid) = self.is_valid(&held).await else { return Read::degraded() };
        if !valid || held.ttl().is_zero() {
            return Read::of(Found::Stale(held));
        }
        if let (Some(l1), Some(before)) = (&self.l1, before) {
            l1.keep_entry(&place, &held, before);
        }
        Read::of(Found::Fresh(held))
    }

    /// The present generations of tags.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn generations(&self, tags: &[Tag]) -> Result<Vec<Generation>, Error> {
        let places: Vec<_> = tags.iter().map(|tag| tag.place.clone()).collect();
        // From the store: a copy that lags by a millisecond would let pass what was invalidated in that time.
        Ok(self.store.generations(&places).await?)
    }

    /// Writes one entry. `generations` are those of its tags from before the
    /// value was computed; none for those of this moment.
    ///
    /// # Errors
    ///
    /// [`Error::EtagMismatch`], or [`Error::Store`] for what is no outage: a cache that cannot store does not fail.
    pub async fn set(
        &self,
        key: &Key,
        new: New,
        generations: Option<Vec<Generation>>,
        over: Over,
    ) -> Result<Written, Error> {
        let generations = match generations {
            Some(generations) => generations,
            None => match self.generations(&new.tags).await {
                Ok(generations) => generations,
                Err(error) => return self.not_stored(error),
            },
        };
        let place = key.place();
        let ttl = new.ttl + new.grace;
        let condition = match over {
            Over::Anything => Condition::Always,
            Over::Version(revision) => Condition::Revision(revision),
            Over::Lease(token) => Condition::Lease(token),
        };
        let value = stored::encode(new, &generations);
        let outcome = self.store.set(&place, value, Some(ttl), condition).await;
        self.forget(&place);
        match outcome {
            Ok(Outcome::Done(revision)) => {
                self.counters.stored(true);
                Ok(Written::Stored(revision))
            }
            Ok(Outcome::Refused(found)) if matches!(over, Over::Version(_)) => {
                Err(Error::EtagMismatch { found })
            }
            Ok(Outcome::Refused(_)) => {
                self.counters.stored(false);
                Ok(Written::LeaseEnded)
            }
            Err(error) => self.not_stored(error.into()),
        }
    }

    /// Removes one entry, or one version of it; whether there was one.
    ///
    /// # Errors
    ///
    /// [`Error::EtagMismatch`], [`Error::Store`].
    pub async fn delete(&self, key: &Key, version: Option<Revision>) -> Result<bool, Error> {
        let place = key.place();
        let condition = version.map_or(Condition::Always, Condition::Revision);
        let outcome = self.store.delete(&place, condition).await;
        // Also when it is not known what came of it.
        self.forget(&place);
        match outcome? {
            Outcome::Done(existed) => Ok(existed),
            Outcome::Refused(found) => Err(Error::EtagMismatch { found }),
        }
    }

    /// Removes all entries whose keys begin so; how many.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]; some of them are gone then.
    pub async fn delete_prefix(&self, prefix: &Key) -> Result<u64, Error> {
        let _alone = self.sweeping.lock().await;
        let prefix = prefix.place();
        let (mut deleted, mut from) = (0, None);
        loop {
            let page = self.store.list(ENTRIES, &prefix.name, from).await?;
            let removing = stream::iter(page.keys).map(|place| async move {
                let outcome = self.store.delete(&place, Condition::Always).await;
                self.forget(&place);
                outcome
            });
            let outcomes: Vec<_> = removing.buffer_unordered(REMOVED_AT_ONCE).try_collect().await?;
            deleted += outcomes.into_iter().filter(|outcome| *outcome == Outcome::Done(true)).count() as u64;
            from = page.next;
            if from.is_none() {
                return Ok(deleted);
            }
        }
    }

    /// Makes every entry stale that has any of these tags.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]; some of the tags may be invalidated then.
    pub async fn invalidate(&self, tags: &[Tag]) -> Result<(), Error> {
        let renewed = try_join_all(tags.iter().map(|tag| self.store.renew(&tag.place))).await;
        for tag in tags {
            self.forget(&tag.place);
        }
        renewed?;
        Ok(())
    }

    /// Whether the generations of an entry's tags are still those from before its value was computed. Copies of them may
    /// say yes; no is the store's to say, since one that the store has lost and made anew is told to nobody.
    async fn is_valid(&self, held: &Held) -> Result<bool, dataflow_store::Error> {
        if held.tags.is_empty() {
            return Ok(true);
        }
        if let Some(l1) = &self.l1 {
            let agrees =
                |(place, generation): &(Place, Generation)| l1.generation(place) == Some(*generation);
            if held.tags.iter().all(agrees) {
                return Ok(true);
            }
        }
        let (places, known): (Vec<_>, Vec<_>) = held.tags.iter().cloned().unzip();
        let before: Vec<_> =
            self.l1.iter().flat_map(|l1| places.iter().map(|place| l1.before(place))).collect();
        let generations = self.store.generations(&places).await?;
        if let Some(l1) = &self.l1 {
            for ((place, generation), before) in places.iter().zip(&generations).zip(before) {
                l1.keep_generation(place, *generation, before);
            }
        }
        Ok(generations == known)
    }

    fn forget(&self, place: &Place) {
        if let Some(l1) = &self.l1 {
            l1.forget(place);
        }
    }

    /// A cache may forget at once what it cannot keep; only a fault of ours is one.
    fn not_stored(&self, error: Error) -> Result<Written, Error> {
        self.counters.stored(false);
        if error.is_outage() { Ok(Written::Degraded) } else { Err(error) }
    }
}
