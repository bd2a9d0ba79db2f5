//! Watches the mapping of themes in the config service, as its client: the shared one, and which tenants have changed it.

use std::collections::HashMap;
use std::sync::Arc;

use dataflow_mesh::outbound::{CallObserver, Follower, Outbound, Upstream};
use dataflow_mesh::panics;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::theme_service_client::ThemeServiceClient;
use dataflow_proto::config::v1::watch_themes_response::Changed;
use tonic::{Status, Streaming};

use crate::convert;
use crate::mappings::{Mapping, Mappings};
use crate::overlays::{Overlays, Revisions};

/// Takes what the config service pushes.
pub(crate) struct ThemeWatch {
    mappings: Arc<Mappings>,
    overlays: Overlays<Mapping>,
    client: ThemeServiceClient<Outbound>,
    /// The shared mapping of the present batch, if that has one.
    mapping: Option<pb::ThemeMapping>,
    /// The revisions of tenants' changes after the present batch.
    next: HashMap<String, i64>,
}

// === impl ThemeWatch ===

impl ThemeWatch {
    pub(crate) fn new(
        mappings: &Arc<Mappings>,
        overlays: &Overlays<Mapping>,
        upstream: &Upstream,
        observer: &CallObserver,
    ) -> Self {
        // No message limit: every mapping that the config service accepts must arrive.
        let client = ThemeServiceClient::new(Outbound::watching(upstream).observed(observer));
        let client = client.max_decoding_message_size(usize::MAX);
        let (mappings, overlays) = (Arc::clone(mappings), overlays.clone());
        Self { mappings, overlays, client, mapping: None, next: HashMap::new() }
    }
}

impl Follower for ThemeWatch {
    type Message = pb::WatchThemesResponse;

    async fn open(&mut self) -> Result<Streaming<pb::WatchThemesResponse>, Status> {
        // The first batch has everything.
        self.next.clear();
        self.mapping = None;
        Ok(self.client.watch_themes(pb::WatchThemesRequest {}).await?.into_inner())
    }

    async fn take(&mut self, message: pb::WatchThemesResponse) {
        let pb::WatchThemesResponse { mapping, changed, complete } = message;
        self.mapping = mapping.or_else(|| self.mapping.take());
        for Changed { tenant, revision } in changed {
            match revision {
                0 => drop(self.next.remove(&tenant)),
                revision => drop(self.next.insert(tenant, revision)),
            }
        }
        if !complete {
            return;
        }
        if let Some(mapping) = self.mapping.take() {
            let mappings = Arc::clone(&self.mappings);
            panics::spawn_blocking(move || mappings.update(convert::themes::mapping(mapping))).await;
        }
        let of_tenant = |(tenant, revision): (&String, &i64)| {
            (tenant.clone(), HashMap::from([(String::new(), *revision)]))
        };
        self.overlays.set_revisions(self.next.iter().map(of_tenant).collect::<Revisions>());
    }

    fn ended(&mut self, error: Option<&Status>) {
        self.overlays.set_attempted();
        if let Some(error) = error {
            tracing::info!(%error, "themes: config service unavailable, keeping the current mapping, retrying");
        }
    }
}
