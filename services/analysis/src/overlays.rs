//! What tenants have changed in a set that all share: in rule sets, or in the mapping of themes. The config service
//! pushes which of them have changes; the changes themselves are loaded, and compiled with the shared set, when a call of
//! the tenant needs them.

pub mod rules;
pub mod themes;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::outbound::{CallObserver, Outbound, Upstream};
use dataflow_mesh::panics;
use dataflow_mesh::tasks::Task;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::Error;

/// How long nothing is loaded after the config service did not answer: calls would wait for it one after the other.
const PAUSE: Duration = Duration::from_secs(1);

/// A set that all tenants share, and that each may change for itself.
pub trait Shared: Sized + Send + Sync + 'static {
    /// What a tenant changes in it.
    type Changes: Send;

    /// The name and the help of the metric that counts loads.
    const LOADS: (&'static str, &'static str);

    /// The flag for the memory of compiled sets.
    const MEMORY_FLAG: &'static str;

    /// The name; empty if there is only one set.
    fn name(&self) -> &str;

    /// The revision in the config service.
    fn revision(&self) -> i64;

    /// Identifies the content.
    fn fingerprint(&self) -> [u8; 32];

    /// Loads what a tenant has changed in the set of this name, at this revision or a later one; with the revision.
    fn load(
        config: Outbound,
        tenant: String,
        name: String,
        revision: i64,
    ) -> impl Future<Output = Result<(Result<Self::Changes, Error>, i64), Status>> + Send;

    /// This set with the changes of a tenant, not compiled yet.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn with(&self, changes: &Self::Changes, revision: i64) -> Result<Self, Error>;

    /// Compiles the set, unless it was.
    ///
    /// # Errors
    ///
    /// If it does not compile.
    fn compile(&self) -> Result<(), Error>;

    /// The bytes of the compiled set, estimated.
    fn weight(&self) -> usize;
}

/// The changes of all tenants. Cheap to clone.
#[derive(Debug)]
pub struct Overlays<S: Shared>(Arc<Inner<S>>);

#[derive(Debug)]
struct Inner<S: Shared> {
    /// The revisions of changes, by tenant and set. None until the config service has sent them.
    revisions: ArcSwapOption<Revisions>,
    /// Becomes true with the first attempt to get them.
    attempted: watch::Sender<bool>,
    compiled: Cache<Key, Arc<S>>,
    /// One permit, to compile a set: others than the tenant need the processors too.
    compiling: Semaphore,
    /// The most bytes of one compiled set.
    largest: u32,
    /// None without a config service, and so without tenants that have changes.
    config: Option<Outbound>,
    /// Until when nothing is loaded, since the config service was out of reach.
    pause: Mutex<Option<Instant>>,
    loads: Family<Labels, Counter>,
}

/// The revisions of changes, by tenant and set.
pub(crate) type Revisions = HashMap<String, HashMap<String, i64>>;

/// A set with the changes of a tenant, at one revision of both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    tenant: String,
    set: String,
    shared: [u8; 32],
    revision: i64,
    overlay_revision: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

/// Why the changes of a tenant cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Missing {
    /// It is not known yet which tenants have changes.
    #[error("the config service has not told yet which tenants have changes")]
    NotWatched,
    /// The config service did not answer, now or a moment ago.
    #[error("the config service is out of reach")]
    OutOfReach,
    /// It refused, or a replica answered that has not read the changes yet.
    #[error("{0}")]
    NotLoaded(String),
    /// They cannot be compiled with the shared set.
    #[error("{0}")]
    Unusable(String),
    /// The compiled set would take too much of the memory for all tenants.
    #[error("the set of the tenant is too large for {flag}")]
    TooLarge {
        /// The flag for that memory.
        flag: &'static str,
    },
}

// === impl Overlays ===

impl<S: Shared> Clone for Overlays<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Shared> Overlays<S> {
    /// Loads changes from the config service, within the timeout, and keeps compiled sets in this memory.
    pub fn new(
        config: Option<(&Upstream, &CallObserver)>,
        timeout: Duration,
        memory: u64,
        metrics: &Metrics,
    ) -> Self {
        let config = config.map(|(upstream, observer)| Outbound::new(upstream, timeout).observed(observer));
        let compiled = Cache::builder()
            .max_capacity(memory)
            .eviction_policy(EvictionPolicy::lru())
            .weigher(|_, set| weight(set))
            .build();
        let loads = Family::<Labels, Counter>::default();
        for outcome in ["loaded", "failed"] {
            let _ = loads.get_or_create(&Labels { outcome });
        }
        let (name, help) = S::LOADS;
        metrics.register(name, help, loads.clone());
        Self(Arc::new(Inner {
            revisions: ArcSwapOption::empty(),
            attempted: watch::Sender::new(false),
            compiled,
            compiling: Semaphore::new(1),
            largest: u32::try_from(memory / 2).unwrap_or(u32::MAX),
            config,
            pause: Mutex::default(),
            loads,
        }))
    }

    /// Resolves when it is known which tenants have changes, or the first attempt to get to know has failed.
    pub async fn attempted(&self) {
        if self.0.config.is_some() {
            let mut attempted = self.0.attempted.subscribe();
            let _ = attempted.wait_for(|attempted| *attempted).await;
        }
    }

    /// The changes that there are, as the config service has sent them.
    pub(crate) fn set_revisions(&self, revisions: Revisions) {
        self.0.revisions.store(Some(Arc::new(revisions)));
        self.set_attempted();
    }

    /// An attempt to get to know them has ended.
    pub(crate) fn set_attempted(&self) {
        self.0.attempted.send_replace(true);
    }

    /// A set with the changes of a tenant; none if it has not changed the set.
    ///
    /// # Errors
    ///
    /// [`Missing`].
    pub async fn over(&self, tenant: &str, shared: &Arc<S>) -> Result<Option<Arc<S>>, Missing> {
        if self.0.config.is_none() {
            return Ok(None);
        }
        let revisions = self.0.revisions.load();
        let sets = revisions.as_ref().ok_or(Missing::NotWatched)?.get(tenant);
        let Some(overlay_revision) = sets.and_then(|sets| sets.get(shared.name())).copied() else {
            return Ok(None);
        };
        let key = Key {
            tenant: tenant.to_owned(),
            set: shared.name().to_owned(),
            shared: shared.fingerprint(),
            revision: shared.revision(),
            overlay_revision,
        };
        if let Some(known) = self.0.compiled.get(&key).await {
            return usable(known).map(Some);
        }
        // One call loads it for all that wait.
        let load = self.clone().load(key.clone(), Arc::clone(shared));
        let loaded = self.0.compiled.try_get_with(key, load).await;
        loaded.map_err(|missing| Missing::clone(&missing)).and_then(usable).map(Some)
    }

    /// Loads a set in a task of its own, with a deadline of its own: the caller's may be too short, and others wait too.
    async fn load(self, key: Key, shared: Arc<S>) -> Result<Arc<S>, Missing> {
        let (sender, loaded) = oneshot::channel();
        let load = async move {
            let loaded = self.fetch(key, shared).await;
            let outcome = if loaded.is_ok() { "loaded" } else { "failed" };
            self.0.loads.get_or_create(&Labels { outcome }).inc();
            // Without a caller, the next one loads it again.
            let _ = sender.send(loaded);
        };
        Task::logged("load tenant changes", load).detach();
        loaded.await.unwrap_or_else(|_| Err(Missing::NotLoaded("the load has panicked".to_owned())))
    }

    async fn fetch(&self, key: Key, shared: Arc<S>) -> Result<Arc<S>, Missing> {
        let config = self.0.config.clone().ok_or(Missing::NotWatched)?;
        if self.pause().is_some_and(|end| Instant::now() < end) {
            return Err(Missing::OutOfReach);
        }
        let Key { tenant, set, overlay_revision: wanted, .. } = key;
        let (changes, revision) = S::load(config, tenant, set, wanted).await.map_err(|status| {
            tracing::warn!(%status, "tenant changes: not loaded, using the shared set");
            if !matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) {
                return Missing::NotLoaded(status.message().to_owned());
            }
            *self.pause() = Some(Instant::now() + PAUSE);
            Missing::OutOfReach
        })?;
        if revision < wanted {
            return Err(Missing::NotLoaded(format!("revision {wanted} is not there yet, but {revision}")));
        }
        let changed = changes.and_then(|changes| shared.with(&changes, revision));
        let changed = Arc::new(changed.map_err(|error| Missing::Unusable(error.to_string()))?);
        if weight(&changed) > self.0.largest {
            return Err(Missing::TooLarge { flag: S::MEMORY_FLAG });
        }
        let _permit = self.0.compiling.acquire().await.expect("the semaphore is never closed");
        panics::spawn_blocking(move || {
            // An error is kept with the set, and found by every call.
            let _ = changed.compile();
            Ok(changed)
        })
        .await
    }

    fn pause(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The set, if it compiles.
fn usable<S: Shared>(set: Arc<S>) -> Result<Arc<S>, Missing> {
    match set.compile() {
        Ok(()) => Ok(set),
        Err(error) => Err(Missing::Unusable(error.to_string())),
    }
}

fn weight<S: Shared>(set: &Arc<S>) -> u32 {
    u32::try_from(set.weight()).unwrap_or(u32::MAX).max(1)
}
