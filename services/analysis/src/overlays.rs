//! What tenants have changed in rule sets. The config service pushes which of them have changes; the changes themselves
//! are loaded, and compiled with the shared set, when a call of the tenant needs them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::outbound::{CallObserver, Follower, Outbound, Upstream};
use dataflow_mesh::panics;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use moka::future::Cache;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::time::Instant;
use tonic::{Status, Streaming};

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
    /// The revisions of changes, by tenant and rule set.
    revisions: ArcSwap<Revisions>,
    compiled: Cache<Key, Arc<Ruleset>>,
    /// None without a config service, and so without tenants that have changes.
    config: Option<RuleServiceClient<Outbound>>,
    /// Until when nothing is loaded.
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

/// The changes of a tenant could not be loaded, or do not compile with the shared set.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Missing(String);

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
        let compiled = Cache::builder().max_capacity(memory).weigher(|_, ruleset| weight(ruleset)).build();
        let loads = Family::<Labels, Counter>::default();
        for outcome in ["loaded", "failed"] {
            let _ = loads.get_or_create(&Labels { outcome });
        }
        metrics.register(
            "analysis_tenant_rules",
            "Loads of the rules that a tenant has changed, by outcome: loaded, or failed and the shared rules used",
            loads.clone(),
        );
        let (revisions, pause) = (ArcSwap::default(), Mutex::default());
        Self(Arc::new(Shared { revisions, compiled, config, pause, loads }))
    }

    /// A set with the changes of a tenant; none if it has not changed the set.
    ///
    /// # Errors
    ///
    /// [`Missing`].
    pub async fn over(&self, tenant: &str, shared: &Arc<Ruleset>) -> Result<Option<Arc<Ruleset>>, Missing> {
        let revision = self.0.revisions.load().get(tenant).and_then(|sets| sets.get(&shared.name)).copied();
        let Some(overlay_revision) = revision else { return Ok(None) };
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
        let load = self.load(key.clone(), Arc::clone(shared));
        let loaded = self.0.compiled.try_get_with(key, load).await;
        loaded.map_err(|missing| Missing::clone(&missing)).and_then(usable).map(Some)
    }

    async fn load(&self, key: Key, shared: Arc<Ruleset>) -> Result<Arc<Ruleset>, Missing> {
        let loaded = self.fetch(key, shared).await;
        let outcome = if loaded.is_ok() { "loaded" } else { "failed" };
        self.0.loads.get_or_create(&Labels { outcome }).inc();
        loaded
    }

    async fn fetch(&self, key: Key, shared: Arc<Ruleset>) -> Result<Arc<Ruleset>, Missing> {
        let missing = |problem: &dyn std::fmt::Display| Missing(problem.to_string());
        let mut config = self.0.config.clone().ok_or_else(|| missing(&"no config service"))?;
        if self.pause().is_some_and(|end| Instant::now() < end) {
            return Err(missing(&"the config service did not answer"));
        }
        let Key { tenant, ruleset, .. } = key;
        let answered = config.get_overlay(pb::GetOverlayRequest { tenant, ruleset }).await;
        let answer = answered.map_err(|status| {
            *self.pause() = Some(Instant::now() + PAUSE);
            tracing::warn!(%status, "rule sets: changes of a tenant not loaded, using the shared rules");
            missing(&status)
        })?;
        let pb::GetOverlayResponse { overlay, revision } = answer.into_inner();
        let overlay =
            convert::rules::overlay(overlay.unwrap_or_default()).map_err(|error| missing(&error))?;
        let compiled = panics::spawn_blocking(move || {
            let changed = shared.with(&overlay, revision)?;
            // An error is kept with the set, and found by every call.
            let _ = changed.compiled();
            Ok::<_, crate::Error>(Arc::new(changed))
        });
        compiled.await.map_err(|error| missing(&error))
    }

    fn pause(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The set, if it compiles.
fn usable(ruleset: Arc<Ruleset>) -> Result<Arc<Ruleset>, Missing> {
    match ruleset.compiled() {
        Ok(_) => Ok(ruleset),
        Err(error) => Err(Missing(error.to_string())),
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
            self.overlays.0.revisions.store(Arc::new(self.next.clone()));
        }
    }

    fn ended(&mut self, error: Option<&Status>) {
        if let Some(error) = error {
            tracing::debug!(%error, "rule sets: changes of tenants not watched, keeping the current ones, retrying");
        }
    }
}
