//! What tenants have changed in the mapping of themes.

use dataflow_mesh::outbound::Outbound;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::theme_service_client::ThemeServiceClient;
use dataflow_rules::themes::Theme;
use dataflow_rules::{Item, Overlay};
use tonic::Status;

use super::Shared;
use crate::mappings::Mapping;
use crate::{Error, convert};

/// The memory of a compiled mapping for each byte of the mapping: both are kept, and each part of a path as id and name.
const BYTES_PER_BYTE: usize = 4;

// === impl Mapping ===

impl Shared for Mapping {
    type Changes = Overlay<Theme>;

    const LOADS: (&'static str, &'static str) = (
        "analysis_tenant_themes",
        "Loads of the themes that a tenant has changed, by outcome: loaded, or failed and the shared themes used",
    );

    const MEMORY_FLAG: &'static str = "--tenant-themes-memory";

    fn name(&self) -> &str {
        ""
    }

    fn revision(&self) -> i64 {
        self.source.revision
    }

    fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    async fn load(
        config: Outbound,
        tenant: String,
        _: String,
        revision: i64,
    ) -> Result<(Result<Overlay<Theme>, Error>, i64), Status> {
        // Every mapping that the config service accepts must arrive.
        let mut config = ThemeServiceClient::new(config).max_decoding_message_size(usize::MAX);
        let request = pb::GetThemeOverlayRequest { tenant, revision };
        let answer = config.get_theme_overlay(request).await?.into_inner();
        let pb::GetThemeOverlayResponse { overlay, revision } = answer;
        Ok((Ok(convert::themes::overlay(overlay.unwrap_or_default())), revision))
    }

    fn with(&self, changes: &Overlay<Theme>, revision: i64) -> Result<Self, Error> {
        Ok(Mapping::with(self, changes, revision))
    }

    fn compile(&self) -> Result<(), Error> {
        self.compiled();
        Ok(())
    }

    fn weight(&self) -> usize {
        self.source.themes.iter().map(Item::bytes).sum::<usize>() * BYTES_PER_BYTE
    }
}
