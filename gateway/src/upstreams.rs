//! The upstreams of the gateway, each with a separate channel.

mod proxy;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use dataflow_mesh::outbound::{CallObserver, Outbound, Upstream};
use dataflow_mesh::status::{Describe, Kind, kind_of_http, to_status};
use futures_util::future::join_all;
use http::StatusCode;
use tonic::Status;

pub(crate) use proxy::error_of_proxy;

/// The upstream of each service. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Upstreams {
    /// Sorted, since reflection lists them.
    by_service: Arc<BTreeMap<String, Outbound>>,
    /// Those by which every replica is reached, each once, by their addresses.
    replicas: Arc<BTreeMap<String, Outbound>>,
}

/// A replica of an upstream.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    /// The upstream, by its address.
    pub(crate) upstream: String,
    /// Its own address.
    pub(crate) address: String,
    pub(crate) channel: Outbound,
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
    /// A proxy before the service wants other credentials of us.
    #[error("a proxy before {service} answered with HTTP status 401")]
    Unauthenticated {
        /// Its full name.
        service: String,
    },
    /// A proxy before the service does not let us pass.
    #[error("a proxy before {service} answered with HTTP status 403")]
    Denied {
        /// Its full name.
        service: String,
    },
    /// A proxy before the service does not know it.
    #[error("a proxy before {service} answered with HTTP status 404")]
    Unrouted {
        /// Its full name.
        service: String,
    },
    /// A proxy before the service has ended the call by a timeout of its own.
    #[error("a proxy before {service} did not wait for its response")]
    TimedOut {
        /// Its full name.
        service: String,
    },
    /// A proxy before the service answered with something else that is not gRPC.
    #[error("a proxy before {service} answered with HTTP status {status}")]
    Malfunction {
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

    /// The same upstreams, whose calls are observed. `observer` makes an observer of a peer from its name and services.
    pub(crate) fn observed(&self, observer: impl Fn(&str, &[&str]) -> CallObserver) -> Self {
        let mut services_of = BTreeMap::<&str, Vec<&str>>::new();
        for service in self.by_service.keys() {
            services_of.entry(peer_of(service)).or_default().push(service);
        }
        let observers: BTreeMap<_, _> =
            services_of.into_iter().map(|(peer, services)| (peer, observer(peer, &services))).collect();
        let observed = self.by_service.iter().map(|(service, channel)| {
            let channel = channel.clone();
            let observed = match observers.get(peer_of(service)) {
                Some(observer) => channel.observed(observer),
                None => channel,
            };
            (service.clone(), observed)
        });
        Self { by_service: Arc::new(observed.collect()), replicas: Arc::clone(&self.replicas) }
    }

    /// Each replica of each upstream. A name without an address, and one address behind which a mesh balances, count as
    /// one replica.
    pub(crate) async fn replicas(&self) -> Vec<Replica> {
        let each = self.replicas.iter().map(|(upstream, channel)| async move {
            let found = channel.replicas().await.filter(|found| !found.is_empty());
            let found = found.unwrap_or_else(|| vec![(upstream.clone(), channel.clone())]);
            found.into_iter().map(|(address, channel)| Replica {
                upstream: upstream.clone(),
                address,
                channel,
            })
        });
        join_all(each).await.into_iter().flatten().collect()
    }

    /// The channel to a service.
    pub(crate) fn get(&self, service: &str) -> Option<Outbound> {
        self.by_service.get(service).cloned()
    }
}

/// The name of the peer that serves a service: of ours, its role; of others, the service.
fn peer_of(service: &str) -> &str {
    let role = service.strip_prefix("dataflow.").and_then(|rest| rest.split('.').next());
    role.unwrap_or(service)
}

// === impl UpstreamError ===

impl UpstreamError {
    /// The error of an HTTP response that is not gRPC.
    pub(crate) fn of_http(status: StatusCode, service: String) -> Self {
        match kind_of_http(status) {
            Kind::Unauthenticated => UpstreamError::Unauthenticated { service },
            Kind::Denied => UpstreamError::Denied { service },
            Kind::Unimplemented => UpstreamError::Unrouted { service },
            Kind::Unavailable => UpstreamError::Unavailable { service },
            Kind::Timeout => UpstreamError::TimedOut { service },
            _ => UpstreamError::Malfunction { service, status },
        }
    }
}

impl Describe for UpstreamError {
    fn domain(&self) -> &'static str {
        "dataflow.gateway.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            UpstreamError::Unavailable { .. } => Kind::Unavailable,
            UpstreamError::Unauthenticated { .. } => Kind::Unauthenticated,
            UpstreamError::Denied { .. } => Kind::Denied,
            UpstreamError::Unrouted { .. } => Kind::Unimplemented,
            UpstreamError::TimedOut { .. } => Kind::Timeout,
            UpstreamError::Malfunction { .. } => Kind::PeerFault,
            UpstreamError::ServiceUnknown => Kind::Unimplemented,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            UpstreamError::Unavailable { .. } => "UPSTREAM_UNAVAILABLE",
            UpstreamError::Unauthenticated { .. } => "UPSTREAM_UNAUTHENTICATED",
            UpstreamError::Denied { .. } => "UPSTREAM_DENIED",
            UpstreamError::Unrouted { .. } => "UPSTREAM_UNROUTED",
            UpstreamError::TimedOut { .. } => "UPSTREAM_TIMED_OUT",
            UpstreamError::Malfunction { .. } => "UPSTREAM_MALFUNCTION",
            UpstreamError::ServiceUnknown => "METHOD_UNKNOWN",
        }
    }

    fn metadata(&self) -> HashMap<String, String> {
        match self {
            UpstreamError::Unavailable { service }
            | UpstreamError::Unauthenticated { service }
            | UpstreamError::Denied { service }
            | UpstreamError::Unrouted { service }
            | UpstreamError::TimedOut { service }
            | UpstreamError::Malfunction { service, .. } => {
                HashMap::from([("service".to_owned(), service.clone())])
            }
            UpstreamError::ServiceUnknown => HashMap::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, UpstreamError::Unavailable { .. }).then_some(Duration::from_secs(1))
    }
}

impl From<UpstreamError> for Status {
    fn from(error: UpstreamError) -> Self {
        to_status(&error)
    }
}
