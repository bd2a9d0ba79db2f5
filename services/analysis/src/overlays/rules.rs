//! What tenants have changed in rule sets.

use dataflow_mesh::outbound::{CallObserver, Follower, Outbound, Upstream};
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_rules::Overlay;
use tonic::{Status, Streaming};

use super::{Overlays, Revisions, Shared};
use crate::rulesets::Ruleset;
use crate::{Error, convert};

/// The memory of a compiled set for each byte of its keywords.
const BYTES_PER_KEYWORD_BYTE: usize = 64;

// === impl Ruleset ===

impl Shared for Ruleset {
    type Changes = Overlay;

    const LOADS: (&'static str, &'static str) = (
        "analysis_tenant_rules",
        "Loads of the rules that a tenant has changed, by outcome: loaded, or failed and the shared rules used",
    );

    const MEMORY_FLAG: &'static str = "--tenant-rules-memory";

    fn name(&self) -> &str {
        &self.name
    }

    fn revision(&self) -> i64 {
        self.revision
    }

    fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    async fn load(
        config: Outbound,
        tenant: String,
        ruleset: String,
        revision: i64,
    ) -> Result<(Result<Overlay, Error>, i64), Status> {
        // Every set that the config service accepts must arrive.
        let mut config = RuleServiceClient::new(config).max_decoding_message_size(usize::MAX);
        let request = pb::GetOverlayRequest { tenant, ruleset, revision };
        let pb::GetOverlayResponse { overlay, revision } = config.get_overlay(request).await?.into_inner();
        Ok((convert::rules::overlay(overlay.unwrap_or_default()), revision))
    }

    fn with(&self, changes: &Overlay, revision: i64) -> Result<Self, Error> {
        Ruleset::with(self, changes, revision)
    }

    fn compile(&self) -> Result<(), Error> {
        self.compiled().map(drop)
    }

    fn weight(&self) -> usize {
        let rules = self.rules().map_or(&[][..], |set| &set.rules);
        let keywords = rules.iter().flat_map(|rule| &rule.keywords);
        keywords.map(|keyword| keyword.len() + 1).sum::<usize>() * BYTES_PER_KEYWORD_BYTE
    }
}

/// Takes the index of changes that the config service pushes.
pub(crate) struct OverlayWatch {
    overlays: Overlays<Ruleset>,
    client: RuleServiceClient<Outbound>,
    /// What the present batch changes.
    next: Revisions,
}

// === impl OverlayWatch ===

impl OverlayWatch {
    pub(crate) fn new(overlays: &Overlays<Ruleset>, upstream: &Upstream, observer: &CallObserver) -> Self {
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
            self.overlays.set_revisions(self.next.clone());
        }
    }

    fn ended(&mut self, error: Option<&Status>) {
        self.overlays.set_attempted();
        if let Some(error) = error {
            tracing::debug!(%error, "rule sets: changes of tenants not watched, keeping the current ones, retrying");
        }
    }
}
