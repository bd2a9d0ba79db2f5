//! The journal: one log in the store that holds every change there ever was. The state is what they make, and so is the
//! audit; a change is made by writing it there, whole or not at all.
//!
//! Whoever changes something goes by a state and writes after it. If somebody else was faster the log ends elsewhere, the
//! write is refused, and the change is decided anew.

mod reader;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dataflow_store::Store;
use dataflow_store::key::{Key, Space};
use dataflow_store::logs::Appended;
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

use crate::Error;
use crate::change::{Change, ChangeRecord, Origin};
use crate::state::State;
use crate::stored;
use dataflow_rules::RuleSet;

use reader::{LogReader, PAGE_SIZE};

/// Where the log lies.
const SPACE: Space = Space::durable("config");
const LOG: &str = "changes";

/// Under which topic every change is told.
const TOPIC: &str = "config";

/// How often a change is decided anew because others were faster.
const MAX_ATTEMPTS: usize = 32;

/// How often to look for changes of which no signal came.
const POLL_PERIOD: Duration = Duration::from_millis(500);

/// Every change, and what they have made.
pub struct Journal {
    store: Arc<dyn Store>,
    log: Key,
    /// What a release brings, for a store that has never had it.
    seeds: Vec<Change>,
    /// Whether they are there. Before, nothing else may be written: it would follow what no other replica has read.
    is_seeded: AtomicBool,
    /// A watch channel, because a slow watcher may skip to the newest state but must end on it.
    state: watch::Sender<Arc<State>>,
    /// Whether the log was read, or waited for long enough: before, readers wait.
    is_ready: watch::Sender<bool>,
    /// What the seeds make, which is served until the log says what there is.
    built_in: Arc<State>,
    /// One reader of the log at a time.
    reader: Mutex<LogReader>,
    /// One writer at a time: a process does not compete with itself.
    writing: Mutex<()>,
}

/// A page of the log.
#[derive(Debug)]
pub struct Page {
    /// The changes on it, but for those that cannot be read.
    pub entries: Vec<JournalEntry>,
    /// The place of the last record on it, readable or not; none if there are none.
    pub last: Option<u64>,
}

/// A change on record, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its place among all changes, from 1.
    pub position: u64,
    /// What was done, by whom and when.
    pub record: ChangeRecord,
}

// === impl Journal ===

impl Journal {
    /// A journal in `store` that nobody has read yet. Until then the state is what `seeds` make.
    ///
    /// # Errors
    ///
    /// When a seed is invalid.
    pub fn new(store: Arc<dyn Store>, seeds: Vec<Change>) -> Result<Self, Error> {
        let mut state = State::default();
        for seed in &seeds {
            let time = SystemTime::now();
            state.apply(&ChangeRecord { change: seed.clone(), origin: seed_origin(), time })?;
            state.validate(seed)?;
        }
        // Those are no changes yet: the log is to be read from its beginning, and none of them is known to be there.
        state.position = 0;
        state.seen_providers.clear();
        for ruleset in state.rulesets.values_mut().map(Arc::make_mut) {
            ruleset.revisions.clear();
            // As the contract has it for rules that are built in.
            Arc::make_mut(&mut ruleset.set).revision = 0;
        }
        let built_in = Arc::new(state);
        let (log, state) = (SPACE.key(LOG), watch::Sender::new(Arc::clone(&built_in)));
        let (is_seeded, is_ready) = (AtomicBool::new(false), watch::Sender::new(false));
        let (reader, writing) = (Mutex::default(), Mutex::default());
        Ok(Self { store, log, seeds, is_seeded, state, is_ready, built_in, reader, writing })
    }

    /// Waits until the log was read, so that nobody is told of older rules by a replica that has just started.
    pub async fn ready(&self) {
        self.is_ready
            .subscribe()
            .wait_for(|is_ready| *is_ready)
            .await
            .expect("the sender lives as long as we do");
    }

    /// Lets readers in: the log was read, or does not come in time and what the release brings must do.
    pub fn mark_ready(&self) {
        self.is_ready.send_replace(true);
    }

    /// The state as far as the log was read.
    pub fn state(&self) -> Arc<State> {
        self.state.borrow().clone()
    }

    /// The state as it is now, and each later one.
    pub fn watch(&self) -> watch::Receiver<Arc<State>> {
        self.state.subscribe()
    }

    /// Reads everything, and writes those seeds that were never there. Once is enough.
    ///
    /// # Errors
    ///
    /// When the store does not answer; what was read by then stays.
    pub async fn open(&self) -> Result<(), Error> {
        if self.is_seeded.load(Ordering::Acquire) {
            return Ok(());
        }
        self.catch_up().await?;
        for seed in &self.seeds {
            let decided = self.write(seed_origin(), |state| {
                let exists = match seed {
                    Change::RulesetSeeded(set) => {
                        state.rulesets.get(&set.name).is_some_and(|ruleset| !ruleset.revisions.is_empty())
                    }
                    Change::ProviderSeeded(provider) => state.seen_providers.contains(&provider.provider_id),
                    _ => true,
                };
                Ok((!exists).then(|| seed.clone()))
            });
            decided.await?;
        }
        self.is_seeded.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes one change, which `decide` derives from the state; none if there is nothing to do. The state in which it is
    /// made.
    ///
    /// # Errors
    ///
    /// What `decide` says; when the change cannot be made; or when the store does not take it.
    pub async fn change(
        &self,
        origin: Origin,
        decide: impl Fn(&State) -> Result<Option<Change>, Error>,
    ) -> Result<Arc<State>, Error> {
        self.open().await?;
        self.write(origin, decide).await
    }

    async fn write(
        &self,
        origin: Origin,
        decide: impl Fn(&State) -> Result<Option<Change>, Error>,
    ) -> Result<Arc<State>, Error> {
        let _guard = self.writing.lock().await;
        // Names this change in the log, so that writing it again is safe while it is in doubt whether it is there.
        let id = Uuid::now_v7().to_string();
        for _ in 0..MAX_ATTEMPTS {
            let state = self.writable().await?;
            let Some(change) = decide(&state)? else { return Ok(state) };
            let recorded = ChangeRecord { change, origin: origin.clone(), time: SystemTime::now() };
            let mut next = State::clone(&state);
            next.apply(&recorded)?;
            next.validate(&recorded.change)?;
            let record = stored::encode(recorded);
            let appended = self.append(state.position, &id, record.clone()).await?;
            if let Appended::At(position) = appended {
                let mut reader = self.reader.lock().await;
                // Unless it was in doubt at first, and others are behind it by now, or a reader was faster.
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

    /// At most `limit` changes after a position, as they are on record.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn page(&self, after: u64, limit: usize) -> Result<Page, Error> {
        let records = self.store.read(&self.log, after, limit).await?;
        let last = records.last().map(|record| record.position);
        let entries = records.into_iter().filter_map(|record| {
            let change = stored::decode(record.value).ok()?;
            Some(JournalEntry { position: record.position, record: change })
        });
        Ok(Page { entries: entries.collect(), last })
    }

    /// Reads what was written since.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn catch_up(&self) -> Result<(), Error> {
        let mut reader = self.reader.lock().await;
        let state = self.state();
        let Some(replayed) = reader.read_new(&*self.store, &self.log, &state).await? else { return Ok(()) };
        if replayed.is_rebuilt {
            // What the release brings may be lost with the rest.
            self.is_seeded.store(false, Ordering::Release);
        }
        let is_empty = replayed.state.position == 0;
        let next = if is_empty { Arc::clone(&self.built_in) } else { Arc::new(replayed.state) };
        self.state.send_replace(next);
        Ok(())
    }

    /// Keeps up with what other replicas write, for ever.
    pub async fn follow(&self) {
        let mut signals = self.store.subscribe(TOPIC);
        loop {
            let read = async {
                self.open().await?;
                self.catch_up().await
            };
            if let Err(error) = read.await {
                tracing::debug!(%error, "the configuration cannot be read");
            }
            // A signal, a gap in them, or the time to look anyway.
            let _ = tokio::time::timeout(POLL_PERIOD, signals.next()).await;
        }
    }

    /// The state, if a change may follow it.
    async fn writable(&self) -> Result<Arc<State>, Error> {
        if self.reader.lock().await.is_ahead {
            return Err(Error::ReleaseOutdated);
        }
        Ok(self.state())
    }

    /// What a set was at a revision, replayed from the log: nobody keeps what is hardly ever wanted.
    ///
    /// # Errors
    ///
    /// [`Error::RulesetNotFound`], [`Error::RevisionNotFound`], or when the store does not answer.
    pub async fn ruleset_at(&self, name: &str, revision: i64) -> Result<RuleSet, Error> {
        let not_found = || Error::RevisionNotFound { ruleset: name.to_owned(), revision };
        self.open().await?;
        self.catch_up().await?;
        if !(1..=self.state().ruleset(name)?.set.revision).contains(&revision) {
            return Err(not_found());
        }
        let mut replayed = State::default();
        loop {
            let records = self.store.read(&self.log, replayed.position, PAGE_SIZE).await?;
            if records.is_empty() {
                return Err(not_found());
            }
            for record in records {
                reader::apply(&mut replayed, &record).map_err(|_| Error::ReleaseOutdated)?;
                let set = replayed.rulesets.get(name).map(|ruleset| &ruleset.set);
                if let Some(set) = set.filter(|set| set.revision == revision) {
                    return Ok(RuleSet::clone(set));
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Appends a record; once more if it is in doubt whether it was.
    async fn append(&self, last: u64, id: &str, value: Bytes) -> Result<Appended, Error> {
        let first = self.store.append_after(&self.log, last, id, value.clone()).await;
        match first {
            Err(dataflow_store::Error::OutcomeUnknown | dataflow_store::Error::NotReplicated { .. }) => {
                Ok(self.store.append_after(&self.log, last, id, value).await?)
            }
            other => Ok(other?),
        }
    }

    /// Tells the other replicas. They would find out by themselves, a little later.
    async fn notify_replicas(&self) {
        if let Err(error) = self.store.publish(TOPIC, Bytes::new()).await {
            tracing::debug!(%error, "other replicas are not told of a change");
        }
    }
}

fn seed_origin() -> Origin {
    Origin::system("brought by the release", String::new())
}

#[cfg(test)]
mod tests;
