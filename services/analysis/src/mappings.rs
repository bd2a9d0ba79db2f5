//! The mapping of themes of this replica: the one that the config service pushes, or the built-in one until it does. A new
//! revision is compiled beside the current one and replaces it atomically.

mod metrics;

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use dataflow_mesh::metrics::Metrics;
use dataflow_rules::Overlay;
use dataflow_rules::themes::{self, CompiledMapping, Theme};

use crate::fingerprint::fingerprint;

use metrics::Gauges;

/// One compiled mapping.
#[derive(Debug)]
pub struct Mapping {
    /// The mapping, at the revision of the shared one.
    pub source: themes::Mapping,
    /// The revision of the changes of the tenant that it is for; 0 for the shared mapping.
    pub overlay_revision: i64,
    /// Identifies its content. Revisions alone do not: two releases may have different built-in mappings, and share one
    /// cache.
    pub fingerprint: [u8; 32],
    /// Compiled on first use: the built-in mapping is never used while the config service responds.
    compiled: OnceLock<CompiledMapping>,
}

/// The mapping that this replica uses at present.
#[derive(Debug)]
pub struct Mappings {
    built_in: Arc<Mapping>,
    /// None until the config service has sent one. Its last one stays in use when it becomes unavailable.
    received: ArcSwapOption<Mapping>,
    gauges: Gauges,
}

// === impl Mapping ===

impl Mapping {
    /// A mapping that all tenants share.
    pub fn new(source: themes::Mapping) -> Self {
        let fingerprint = fingerprint(&source.themes);
        Self { source, overlay_revision: 0, fingerprint, compiled: OnceLock::new() }
    }

    /// This mapping with the changes of a tenant.
    #[must_use]
    pub fn with(&self, overlay: &Overlay<Theme>, overlay_revision: i64) -> Self {
        Self { overlay_revision, ..Self::new(overlay.apply(&self.source)) }
    }

    /// The mapping for look-ups. The first call compiles it.
    pub fn compiled(&self) -> &CompiledMapping {
        self.compiled.get_or_init(|| CompiledMapping::new(&self.source))
    }
}

// === impl Mappings ===

impl Mappings {
    /// Starts with the built-in mapping.
    pub fn new(built_in: themes::Mapping) -> Self {
        let built_in = Arc::new(Mapping::new(built_in));
        Self { built_in, received: ArcSwapOption::empty(), gauges: Gauges::default() }
    }

    /// Registers the metrics of the mapping.
    pub fn register(&self, metrics: &Metrics) {
        self.gauges.register(metrics);
    }

    /// The mapping in use.
    pub fn get(&self) -> Arc<Mapping> {
        self.received.load_full().unwrap_or_else(|| Arc::clone(&self.built_in))
    }

    /// Whether the built-in mapping is in use, because the config service has not sent any.
    pub fn is_built_in(&self) -> bool {
        self.received.load().is_none()
    }

    /// Compiles a mapping and swaps it in.
    pub fn update(&self, mapping: themes::Mapping) {
        let mapping = Arc::new(Mapping::new(mapping));
        mapping.compiled();
        let revision = mapping.source.revision;
        self.received.store(Some(mapping));
        self.gauges.received(revision);
        tracing::debug!(revision, "themes: mapping in use");
    }
}
