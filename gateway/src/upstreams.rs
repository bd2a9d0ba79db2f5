//! The services behind the gateway, each by a channel of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use dataflow_mesh::outbound::{Outbound, Upstream};

/// Where each service is. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Upstreams {
    /// Sorted, since reflection lists them.
    by_service: Arc<BTreeMap<String, Outbound>>,
    /// Each once, by its address.
    by_address: Arc<BTreeMap<String, Outbound>>,
}

// === impl Upstreams ===

impl Upstreams {
    /// One channel for each address, whatever the number of services there.
    pub(crate) fn new(services: impl IntoIterator<Item = (String, Upstream)>) -> Self {
        let mut by_address: BTreeMap<String, Outbound> = BTreeMap::new();
        let mut by_service = BTreeMap::new();
        for (service, upstream) in services {
            let channel =
                by_address.entry(upstream.to_string()).or_insert_with(|| Outbound::forwarding(&upstream));
            by_service.insert(service, channel.clone());
        }
        Self { by_service: Arc::new(by_service), by_address: Arc::new(by_address) }
    }

    /// Full names of the services.
    pub(crate) fn services(&self) -> Vec<String> {
        self.by_service.keys().cloned().collect()
    }

    /// The address of each upstream, and the channel to it.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&String, &Outbound)> {
        self.by_address.iter()
    }

    /// The channel to a service.
    pub(crate) fn get(&self, service: &str) -> Option<Outbound> {
        self.by_service.get(service).cloned()
    }
}
