//! The journal: an append-only log in the store with every change ever made. Replaying it gives the state, and it is
//! also the audit trail. A change is made by appending it, atomically.
//!
//! Optimistic concurrency: a writer decides on a state, and appends only if the log still ends at the position of that
//! state. On a conflict it reads the new changes and decides again.

mod attempt;
mod compaction;
mod history;
mod metrics;
mod pace;
mod page;
mod reader;
mod replay;
mod themes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dataflow_mesh::metrics::Metrics;
use dataflow_store::Store;
use dataflow_store::key::{Key, Space};
use dataflow_store::logs::Appended;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::Error;
use crate::change::{Change, ChangeRecord, Origin};
use crate::state::State;
use crate::stored;

pub use attempt::Attempt;
pub use page::Page;

use metrics::Gauges;
use pace::Pace;
use reader::LogReader;

/// The store's space of the service, and the name of the log.
pub(crate) const SPACE: Space = Space::durable("config");
const LOG: &str = "changes";

/// The pub/sub topic that notifies other replicas of every change.
const TOPIC: &str = "config";

/// The most attempts at a change that conflicts with others.
const MAX_ATTEMPTS: usize = 32;

/// The poll period for changes whose notification was lost.
const POLL_PERIOD: Duration = Duration::from_millis(500);

/// The journal, and the state of its changes.
pub struct Journal {
    store: Arc<dyn Store>,
    log: Key,
    /// The seeds of this release, for a store that never had them.
    seeds: Vec<Change>,
    /// Whether the seeds are in the log. Before that, no other change may be appended: it would build on a state that
    /// no other replica has read.
    is_seeded: AtomicBool,
    /// A watch channel, because a slow watcher may skip intermediate states but must reach the latest.
    state: watch::Sender<Arc<State>>,
    /// Whether the log was read, or startup no longer waits for it. Readers wait until then.
    is_ready: watch::Sender<bool>,
    /// Serializes reads of the log.
    reader: Mutex<LogReader>,
    /// The number of records that were read so far.
    progress: Arc<AtomicU64>,
    /// Serializes writers: a process does not conflict with itself.
    writing: Mutex<()>,
    /// How much tenants may write.
    pace: Pace,
    /// One permit, to read the whole log for an earlier revision.
    replays: Semaphore,
    /// The size in bytes above which the log is compacted.
    max_bytes: u64,
    /// When compaction was last attempted.
    compacting: Mutex<Option<Instant>>,
    gauges: Gauges,
}

// === impl Journal ===

impl Journal {
    /// A journal in `store`, not yet read. Until then the state is that of `seeds`. Above `max_bytes`, the log is
    /// compacted.
    ///
    /// # Errors
    ///
    /// If a seed is invalid.
    pub fn new(store: Arc<dyn Store>, seeds: Vec<Change>, max_bytes: u64) -> Result<Self, Error> {
        let mut state = State::default();
        for seed in &seeds {
            let time = SystemTime::now();
            state.apply(&ChangeRecord { change: seed.clone(), origin: seed_origin(), time })?;
            state.validate(seed)?;
        }
        // The seeds are not in the log yet: it must be read from its beginning, and may contain none of them.
        state.position = 0;
        state.seen_providers.clear();
        for ruleset in state.rulesets.values_mut().map(Arc::make_mut) {
            ruleset.history.revisions.clear();
            // The contract defines revision 0 for built-in rule sets.
            Arc::make_mut(&mut ruleset.set).revision = 0;
        }
        let (log, state) = (SPACE.key(LOG), watch::Sender::new(Arc::new(state)));
        let (is_seeded, is_ready) = (AtomicBool::new(false), watch::Sender::new(false));
        let (progress, writing, compacting) = (Arc::default(), Mutex::default(), Mutex::default());
        let (reader, gauges) = (Mutex::new(LogReader::counted_by(&progress)), Gauges::default());
        Ok(Self {
            store,
            log,
            seeds,
            is_seeded,
            state,
            is_ready,
            reader,
            progress,
            writing,
            pace: Pace::default(),
            replays: Semaphore::new(1),
            max_bytes,
            compacting,
            gauges,
        })
    }

    /// The store, for what stands in it beside the journal.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Registers the metrics of this journal.
    pub fn register(&self, metrics: &Metrics) {
        self.gauges.register(metrics);
    }

    /// Whether the store has lost the journal.
    pub fn is_lost(&self) -> bool {
        self.gauges.is_lost()
    }

    /// Waits until the journal is ready, so that a replica that has just started does not serve older rules.
    pub async fn ready(&self) {
        self.is_ready
            .subscribe()
            .wait_for(|is_ready| *is_ready)
            .await
            .expect("the sender lives as long as the journal");
    }

    /// The number of records that were read so far.
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Marks the journal as ready: the log was read, or did not arrive in time and the seeds are served.
    pub fn mark_ready(&self) {
        self.is_ready.send_replace(true);
    }

    /// The current state, as far as the log was read.
    pub fn state(&self) -> Arc<State> {
        self.state.borrow().clone()
    }

    /// Watches the current state and all later ones.
    pub fn watch(&self) -> watch::Receiver<Arc<State>> {
        self.state.subscribe()
    }

    /// Reads the log, and appends the seeds that it never had. Needs to succeed once.
    ///
    /// # Errors
    ///
    /// If the store is unreachable; what was read until then is kept.
    pub async fn open(&self) -> Result<(), Error> {
        if self.is_seeded.load(Ordering::Acquire) {
            return Ok(());
        }
        self.catch_up().await?;
        for seed in &self.seeds {
            let written = self.write(seed_origin(), |state| {
                let exists = match seed {
                    Change::RulesetSeeded(set) => {
                        state.rulesets.get(&set.name).is_some_and(|set| !set.history.revisions.is_empty())
                    }
                    Change::ProviderSeeded(provider) => state.seen_providers.contains(&provider.provider_id),
                    _ => true,
                };
                Ok((!exists).then(|| seed.clone()))
            });
            written.await?;
        }
        self.is_seeded.store(true, Ordering::Release);
        Ok(())
    }

    async fn write(
        &self,
        origin: Origin,
        decide: impl Fn(&State) -> Result<Option<Change>, Error>,
    ) -> Result<Arc<State>, Error> {
        let _guard = self.writing.lock().await;
        // The idempotency id of this change, so that appending it again is safe after an unknown outcome.
        let id = Uuid::now_v7().to_string();
        let mut is_paid = false;
        for _ in 0..MAX_ATTEMPTS {
            let state = self.writable().await?;
            let Some(change) = decide(&state)? else { return Ok(state) };
            let recorded = ChangeRecord { change, origin: origin.clone(), time: SystemTime::now() };
            let next = applied(&state, &recorded)?;
            let payer = match &recorded.change {
                Change::Tenant { tenant, .. } if !is_paid => Some(tenant.clone()),
                _ => None,
            };
            let record = stored::encode(recorded);
            if let Some(tenant) = payer {
                self.pace.take(&tenant, record.len())?;
                is_paid = true;
            }
            let appended = self.append(state.position, &id, record.clone()).await?;
            if let Appended::At(position) = appended {
                let mut reader = self.reader.lock().await;
                // Skipped if the outcome was unknown at first and others have appended since, or if a reader was
                // faster.
                if position == next.position && self.state.borrow().position == state.position {
                    self.state.send_replace(Arc::new(next));
                    reader.advance(position, record);
                }
            }
            self.catch_up().await?;
            if matches!(appended, Appended::At(_)) {
                self.notify_replicas().await;
                return Ok(self.state());
            }
        }
        Err(Error::TooManyChanges)
    }

    /// Reads the records appended since the last read.
    ///
    /// # Errors
    ///
    /// If the store is unreachable.
    pub async fn catch_up(&self) -> Result<(), Error> {
        let mut reader = self.reader.lock().await;
        let state = self.state();
        let replayed = reader.read_new(&*self.store, &self.log, &state).await?;
        self.gauges.set(&reader);
        let Some(replayed) = replayed else { return Ok(()) };
        if replayed.is_rebuilt {
            // The seeds may be lost with the rest.
            self.is_seeded.store(false, Ordering::Release);
        }
        self.state.send_replace(Arc::new(replayed.state));
        Ok(())
    }

    /// Follows the changes of other replicas forever.
    pub async fn follow(&self) {
        let mut signals = self.store.subscribe(TOPIC);
        let mut is_reported = false;
        loop {
            let read = async {
                self.open().await?;
                self.catch_up().await?;
                self.compact().await
            };
            match read.await {
                Ok(()) => is_reported = false,
                // It needs an operator.
                Err(error @ Error::SnapshotMissing { .. }) if !std::mem::replace(&mut is_reported, true) => {
                    tracing::error!(%error, "journal: cannot be read");
                }
                Err(error) => tracing::debug!(%error, "journal: read failed, retrying"),
            }
            // A notification, a gap, or the poll period.
            let _ = tokio::time::timeout(POLL_PERIOD, signals.next()).await;
        }
    }

    /// The state, if this release may append to the log.
    ///
    /// # Errors
    ///
    /// [`Error::ReleaseOutdated`], [`Error::JournalLost`]: the state lacks what the log has.
    pub(crate) async fn writable(&self) -> Result<Arc<State>, Error> {
        let reader = self.reader.lock().await;
        if reader.is_ahead {
            return Err(Error::ReleaseOutdated);
        }
        if reader.is_lost {
            return Err(Error::JournalLost);
        }
        Ok(self.state())
    }

    /// Appends a record; retries once if the outcome is unknown.
    async fn append(&self, last: u64, id: &str, value: Bytes) -> Result<Appended, Error> {
        let first = self.store.append_after(&self.log, last, id, value.clone()).await;
        match first {
            Err(dataflow_store::Error::OutcomeUnknown | dataflow_store::Error::NotReplicated { .. }) => {
                Ok(self.store.append_after(&self.log, last, id, value).await?)
            }
            other => Ok(other?),
        }
    }

    /// Notifies other replicas. If that fails, they find the change at their next poll.
    async fn notify_replicas(&self) {
        if let Err(error) = self.store.publish(TOPIC, Bytes::new()).await {
            tracing::debug!(%error, "journal: notification failed, other replicas will poll");
        }
    }
}

/// The state after a change that is valid.
fn applied(state: &State, recorded: &ChangeRecord) -> Result<State, Error> {
    let mut next = State::clone(state);
    next.apply(recorded)?;
    // Seeds were validated with the journal.
    if !matches!(recorded.change, Change::RulesetSeeded(_) | Change::ProviderSeeded(_)) {
        next.validate(&recorded.change)?;
    }
    Ok(next)
}

fn seed_origin() -> Origin {
    Origin::system("built into the release", String::new())
}

#[cfg(test)]
mod tests;
