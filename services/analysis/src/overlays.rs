//! What tenants have changed in rule sets. The config service pushes which of them have changes; the changes themselves
//! are loaded, and compiled with the shared set, when a call of the tenant needs them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::outbound::{CallObserver, Follower, Outbound, Upstream};
use dataflow_mesh::panics;
use dataflow_mesh::tasks::Task;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};

use crate::convert;
use crate::rulesets::Ruleset;

/// The memory of a compiled set for each byte of its keywords.
const BYTES_PER_KEYWORD_BYTE: usize = 64;

/// How long nothing is loaded after the config service did not answer: calls would wait for it one after the other.
const PAUSE: Duration = Duration::from_secs(1);

/// The changes of all tenants. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Overlays(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The revisions of changes, by tenant and rule set. None until the config service has sent them.
    revisions: ArcSwapOption<Revisions>,
    /// Becomes true with the first attempt to get them.
    attempted: watch::Sender<bool>,
    compiled: Cache<Key, Arc<Ruleset>>,
    /// One permit, to compile a set: others than the tenant need the processors too.
    compiling: Semaphore,
    /// The most bytes of one compiled set.
    largest: u32,
    /// None without a config service, and so without tenants that have changes.
    config: Option<RuleServiceClient<Outbound>>,
    /// Until when nothing is loaded, since the config service was out of reach.
    pause: Mutex<Option<Instant>>,
    loads: Family<Labels, Counter>,
}

type Revisions = HashMap<String, HashMap<String, i64>>;

/// A set with the changes of a tenant, at one revision of both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    tenant: String,
    ruleset: String,
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
    /// They cannot be compiled with the shared rules.
    #[error("{0}")]
    Unusable(String),
    /// The compiled set would take too much of the memory for all tenants.
    #[error("the rule set of the tenant is too large for --tenant-rules-memory")]
    TooLarge,
}

// === impl Overlays ===

impl Overlays {
    /// Loads changes from the config service, within the timeout, and keeps compiled sets in this memory.
    pub fn new(
        config: Option<(&Upstream, &CallObserver)>,
        timeout: Duration,
        memory: u64,
        metrics: &Metrics,
    ) -> Self {
        let config = config.map(|(upstream, observer)| {
            let channel = Outbound::new(upstream, timeout).observed(observer);
            // Every set that the config service accepts must arrive.
            RuleServiceClient::new(channel).max_decoding_message_size(usize::MAX)
        });
        let compiled = Cache::builder()
            .max_capacity(memory)
            .eviction_policy(EvictionPolicy::lru())
            .weigher(|_, ruleset| weight(ruleset))
            .build();
        let loads = Family::<Labels, Counter>::default();
        for outcome in ["loaded", "failed"] {
            let _ = loads.get_or_create(&Labels { outcome });
        }
        metrics.register(
            "analysis_tenant_rules",
            "Loads of the rules that a tenant has changed, by outcome: loaded, or failed and the shared rules used",
            loads.clone(),
        );
        Self(Arc::new(Shared {
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

    /// A set with the changes of a tenant; none if it has not changed the set.
    ///
    /// # Errors
    ///
    /// [`Missing`].
    pub async fn over(&self, tenant: &str, shared: &Arc<Ruleset>) -> Result<Option<Arc<Ruleset>>, Missing> {
        if self.0.config.is_none() {
            return Ok(None);
        }
        let revisions = self.0.revisions.load();
        let sets = revisions.as_ref().ok_or(Missing::NotWatched)?.get(tenant);
        let Some(overlay_revision) = sets.and_then(|sets| sets.get(&shared.name)).copied() else {
            return Ok(None);
        };
        let key = Key {
            tenant: tenant.to_owned(),
            ruleset: shared.name.clone(),
            shared: shared.fingerprint,
            revision: shared.revision,
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
    async fn load(self, key: Key, shared: Arc<Ruleset>) -> Result<Arc<Ruleset>, Missing> {
        let (sender, loaded) = oneshot::channel();
        let load = async move {
            let loaded = self.fetch(key, shared).await;
            let outcome = if loaded.is_ok() { "loaded" } else { "failed" };
            self.0.loads.get_or_create(&Labels { outcome }).inc();
            // Without a caller, the next one loads it again.
            let _ = sender.send(loaded);
        };
        Task::logged("load tenant rules", load).detach();
        loaded.await.unwrap_or_else(|_| Err(Missing::NotLoaded("the load has panicked".to_owned())))
    }

    async fn fetch(&self, key: Key, shared: Arc<Ruleset>) -> Result<Arc<Ruleset>, Missing> {
        let mut config = self.0.config.clone().ok_or(Missing::NotWatched)?;
        if self.pause().is_some_and(|end| Instant::now() < end) {
            return Err(Missing::OutOfReach);
        }
        let Key { tenant, ruleset, overlay_revision: wanted, .. } = key;
        let request = pb::GetOverlayRequest { tenant, ruleset, revision: wanted };
        let answer = config.get_overlay(request).await.map_err(|status| {
            tracing::warn!(%status, "rule sets: changes of a tenant not loaded, using the shared rules");
            if !matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) {
                return Missing::NotLoaded(status.message().to_owned());
            }
            *self.pause() = Some(Instant::now() + PAUSE);
            Missing::OutOfReach
        })?;
        let pb::GetOverlayResponse { overlay, revision } = answer.into_inner();
        if revision < wanted {
            return Err(Missing::NotLoaded(format!("revision {wanted} is not there yet, but {revision}")));
        }
        let unusable = |error: crate::Error| Missing::Unusable(error.to_string());
        let overlay = convert::rules::overlay(overlay.unwrap_or_default()).map_err(unusable)?;
        let changed = Arc::new(shared.with(&overlay, revision).map_err(unusable)?);
        if weight(&changed) > self.0.largest {
            return Err(Missing::TooLarge);
        }
        let _permit = self.0.compiling.acquire().await.expect("the semaphore is never closed");
        panics::spawn_blocking(move || {
            // An error is kept with the set, and found by every call.
            let _ = changed.compiled();
            Ok(changed)
        })
        .await
    }

    fn pause(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The set, if it compiles.
fn usable(ruleset: Arc<Ruleset>) -> Result<Arc<Ruleset>, Missing> {
    match ruleset.compiled() {
        Ok(_) => Ok(ruleset),
        Err(error) => Err(Missing::Unusable(error.to_string())),
    }
}

/// The bytes of a compiled set, estimated.
fn weight(ruleset: &Arc<Ruleset>) -> u32 {
    let rules = ruleset.rules().map_or(&[][..], |set| &set.rules);
    let keywords = rules.iter().flat_map(|rule| &rule.keywords);
    let bytes: usize = keywords.map(|keyword| keyword.len() + 1).sum();
    u32::try_from(bytes * BYTES_PER_KEYWORD_BYTE).unwrap_or(u32::MAX).max(1)
}

/// Takes the index of changes that the config service pushes.
pub(crate) struct OverlayWatch {
    overlays: Overlays,
    client: RuleServiceClient<Outbound>,
    /// What the present batch changes.
    next: Revisions,
}

// === impl OverlayWatch ===

impl OverlayWatch {
    pub(crate) fn new(overlays: &Overlays, upstream: &Upstream, observer: &CallObserver) -> Self {
        let client = RuleServiceClient::new(Outbound::watching(upstream).observed(observer));
        Self { overlays: overlays.clone(), client, next: Revisions::new() }
    }
}

impl Follower for OverlayWatch {
    type Message = pb::WatchOverlaysResponse;

    async fn open(&mut self) -> Result<Streaming<pb::WatchOverlaysResponse>, Status> {
        // The first batch has everything.
        self.next.clear();
        Ok(self.client.watch_overlays(pb::WatchOverlaysRequest {}).await?.into_inner())
    }

    async fn take(&mut self, message: pb::WatchOverlaysResponse) {
        for pb::watch_overlays_response::Changed { tenant, ruleset, revision } in message.changed {
            let sets = self.next.entry(tenant).or_default();
            match revision {
                0 => drop(sets.remove(&ruleset)),
                revision => drop(sets.insert(ruleset, revision)),
            }
        }
        if message.complete {
            self.next.retain(|_, sets| !sets.is_empty());
            self.overlays.0.revisions.store(Some(Arc::new(self.next.clone())));
            self.overlays.0.attempted.send_replace(true);
        }
    }

    fn ended(&mut self, error: Option<&Status>) {
        self.overlays.0.attempted.send_replace(true);
        if let Some(error) = error {
            tracing::debug!(%error, "rule sets: changes of tenants not watched, keeping the current ones, retrying");
        }
    }
}
