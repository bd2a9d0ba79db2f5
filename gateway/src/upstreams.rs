//! The upstreams of the gateway, each with a separate channel.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use dataflow_mesh::outbound::{Outbound, Upstream};
use dataflow_mesh::status::{Describe, Kind, kind_of_http, to_status};
use futures_util::future::join_all;
use http::StatusCode;
use tonic::Status;

/// The upstream of each service. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Upstreams {
    /// Sorted, since reflection lists them.
    by_service: Arc<BTreeMap<String, Outbound>>,
    /// Those by which every replica is reached, each once, by their addresses.
    replicas: Arc<BTreeMap<String, Outbound>>,
}

/// Why a call does not reach an upstream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// The service does not respond.
    #[error("{service} is unreachable")]
    Unavailable {
        /// Its full name.
        service: String,
    },
    /// A proxy before the service answered in HTTP.
    #[error("a proxy answered for {service} with HTTP status {status}")]
    Refused {
        /// Its full name.
        service: String,
        /// The status.
        status: StatusCode,
    },
    /// No upstream serves the service.
    #[error("there is no such method")]
    ServiceUnknown,
}

// === impl Upstreams ===

impl Upstreams {
    /// One channel for each address, whatever the number of services there. `replicas` returns the address by which
    /// every replica of an upstream is reached.
    pub(crate) fn new(
        services: impl IntoIterator<Item = (String, Upstream)>,
        replicas: impl Fn(&Upstream) -> Upstream,
    ) -> Self {
        let mut by_address: BTreeMap<String, Outbound> = BTreeMap::new();
        let mut channel = |upstream: &Upstream| {
            let known = by_address.entry(upstream.to_string());
            known.or_insert_with(|| Outbound::forwarding(upstream)).clone()
        };
        let (mut by_service, mut of_replicas) = (BTreeMap::new(), BTreeMap::new());
        for (service, upstream) in services {
            by_service.insert(service, channel(&upstream));
            let replicas = replicas(&upstream);
            of_replicas.insert(replicas.to_string(), channel(&replicas));
        }
        Self { by_service: Arc::new(by_service), replicas: Arc::new(of_replicas) }
    }

    /// Full names of the services.
    pub(crate) fn services(&self) -> Vec<String> {
        self.by_service.keys().cloned().collect()
    }

    /// The address of each replica of each upstream, and the channel to it. A name without an address, and one address
    /// behind which a mesh balances, count as one replica.
    pub(crate) async fn replicas(&self) -> Vec<(String, Outbound)> {
        let each = self.replicas.iter().map(|(address, upstream)| async move {
            let found = upstream.replicas().await.filter(|found| !found.is_empty());
            found.unwrap_or_else(|| vec![(address.clone(), upstream.clone())])
        });
        join_all(each).await.into_iter().flatten().collect()
    }

    /// The channel to a service.
    pub(crate) fn get(&self, service: &str) -> Option<Outbound> {
        self.by_service.get(service).cloned()
    }
}

// === impl UpstreamError ===

impl Describe for UpstreamError {
    fn domain(&self) -> &'static str {
        "dataflow.gateway.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            UpstreamError::Unavailable { .. } => Kind::Unavailable,
            UpstreamError::Refused { status, .. } => kind_of_http(*status),
            UpstreamError::ServiceUnknown => Kind::Unimplemented,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            UpstreamError::Unavailable { .. } => "UPSTREAM_UNAVAILABLE",
            UpstreamError::Refused { .. } => "UPSTREAM_REFUSED",
            UpstreamError::ServiceUnknown => "METHOD_UNKNOWN",
        }
    }

    fn metadata(&self) -> HashMap<String, String> {
        match self {
            UpstreamError::Unavailable { service } => {
                HashMap::from([("service".to_owned(), service.clone())])
            }
            UpstreamError::Refused { service, status } => HashMap::from([
                ("service".to_owned(), service.clone()),
                ("httpStatus".to_owned(), status.as_str().to_owned()),
            ]),
            UpstreamError::ServiceUnknown => HashMap::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        (self.kind() == Kind::Unavailable).then_some(Duration::from_secs(1))
    }
}

impl From<UpstreamError> for Status {
    fn from(error: UpstreamError) -> Self {
        to_status(&error)
    }
}
