//! Calls to peers, with the headers and the deadline of the current call. A mesh does load balancing, retries and
//! outlier ejection between services. This client does what works without a mesh and is invisible with one: round robin
//! over several addresses, and transparent retries of calls that provably reached no handler.

mod channel;
mod connection;
mod follow;
mod observed;
mod peers;
mod replay;
mod reply;
mod send;
mod unsent;
mod upload;
mod upstream;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use tokio::time::Instant;
use tonic::body::Body;
use tower::{BoxError, Service};

use crate::deadline;
use crate::identity;
use crate::metrics::code_label;
use crate::propagation;
use crate::response::TerminatedBody;
use crate::status::{failure_in, to_status};
use crate::telemetry::{Attribute, OutgoingSpan};
use crate::tls::ClientTls;

pub use follow::{Follower, follow};
pub use observed::CallObserver;
pub use upstream::{NotAnUpstream, Upstream};

use channel::Channel;
use peers::Peers;
use send::{Outcome, send};

/// By how much the deadline that a peer gets is later than that of the call, which ends here first. A proxy on the way
/// enforces the deadline that it sees, too, and ejects a healthy peer after some calls that ended by it; so does one that
/// sees the peer's DEADLINE_EXCEEDED. A call that is canceled counts for nothing.
const DEADLINE_MARGIN: Duration = Duration::from_millis(100);

/// The client channel to one upstream, for generated clients. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbound {
    peers: Peers,
    timeout: TimeoutPolicy,
    /// What each call presents to a mesh that authenticates its callers.
    credentials: Option<HeaderValue>,
    /// Observes the calls of a service of the mesh.
    observer: Option<CallObserver>,
    /// The address, if there is one, for spans.
    server: Option<Uri>,
}

/// How the deadline of a call is determined.
#[derive(Debug, Clone, Copy)]
enum TimeoutPolicy {
    /// This timeout at most, also if the current call has a later deadline or there is no current call.
    AtMost(Duration),
    /// The deadline of the current call.
    Inherited,
    /// No deadline.
    Unlimited,
}

// === impl Outbound ===

impl Outbound {
    /// A channel that connects on first use and reconnects when needed.
    ///
    /// Calls without a deadline, or with a later one, time out after `limit`.
    pub fn new(upstream: &Upstream, limit: Duration) -> Self {
        Self::of(upstream, TimeoutPolicy::AtMost(limit))
    }

    /// A channel for forwarded calls: each has the remaining time of the current call, and a watch has no deadline.
    pub fn forwarding(upstream: &Upstream) -> Self {
        Self::of(upstream, TimeoutPolicy::Inherited)
    }

    /// A channel for the process's own watches, which have no deadline: they end when either side ends.
    pub fn watching(upstream: &Upstream) -> Self {
        Self::of(upstream, TimeoutPolicy::Unlimited)
    }

    fn of(upstream: &Upstream, timeout: TimeoutPolicy) -> Self {
        Self::with(Peers::new(upstream), timeout, upstream.single().cloned())
    }

    /// A channel over TLS to the host of a URI, for clients outside of the mesh.
    pub fn secure(uri: &Uri, trusted: ClientTls, limit: Duration) -> Self {
        Self::with(
            Peers::Single(Channel::secure(uri, trusted)),
            TimeoutPolicy::AtMost(limit),
            Some(uri.clone()),
        )
    }

    fn with(peers: Peers, timeout: TimeoutPolicy, server: Option<Uri>) -> Self {
        Self { peers, timeout, credentials: None, server, observer: None }
    }

    /// The channel, whose calls are observed.
    #[must_use]
    pub fn observed(self, observer: &CallObserver) -> Self {
        Self { observer: Some(observer.clone()), ..self }
    }

    /// The channel, whose calls have this value of `Authorization`: for clients outside of the mesh.
    #[must_use]
    pub fn presenting(self, credentials: Option<HeaderValue>) -> Self {
        Self { credentials, ..self }
    }

    /// A channel to each replica, with its address; waits for the first resolution of a name. None if there is a single
    /// address, behind which a mesh balances.
    pub async fn replicas(&self) -> Option<Vec<(String, Self)>> {
        let Peers::RoundRobin(peers) = &self.peers else { return None };
        let replica = |peer: &Arc<peers::Peer>| {
            let channel = Self { peers: Peers::Single(peer.channel.clone()), ..self.clone() };
            (peer.address.clone(), channel)
        };
        Some(peers.all().await.iter().map(replica).collect())
    }

    /// The deadline of a call with these headers.
    fn deadline(&self, headers: &HeaderMap) -> Option<Instant> {
        match self.timeout {
            TimeoutPolicy::Unlimited => None,
            TimeoutPolicy::Inherited => deadline::end(),
            // The earliest of the requested deadline, that of the current call, and our own limit. A malformed header
            // was not written by a generated client; it is replaced.
            TimeoutPolicy::AtMost(limit) => {
                let requested =
                    deadline::parse(headers).ok().flatten().map(|timeout| Instant::now() + timeout);
                let own = Instant::now() + limit;
                Some([requested, deadline::current()].into_iter().flatten().fold(own, Instant::min))
            }
        }
    }
}

impl Service<Request<Body>> for Outbound {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let deadline = self.deadline(request.headers());
        let headers = request.headers_mut();
        // A forwarded call already has the headers of its caller.
        if !matches!(self.timeout, TimeoutPolicy::Inherited) {
            propagation::apply(headers);
            identity::mark_own(headers);
        }
        let span = OutgoingSpan::begin(|| {
            let name = request.uri().path().trim_start_matches('/');
            let (service, method) = name.split_once('/').unwrap_or_default();
            let attributes = [("rpc.system", "grpc"), ("rpc.service", service), ("rpc.method", method)];
            (name.to_owned(), attributes.map(|(key, value)| (key, value.into())))
        });
        if let Some(server) = self.server.as_ref().filter(|_| span.exists()) {
            span.set("server.address", server.host().unwrap_or_default().into());
            span.set("server.port", server.port_u16().unwrap_or(80).into());
        }
        let headers = request.headers_mut();
        // Of a call that is not sampled the headers say so already.
        if let Some(trace) = span.context() {
            propagation::inject(&trace, headers);
        }
        if let Some(credentials) = &self.credentials {
            headers.insert(AUTHORIZATION, credentials.clone());
        }
        headers.remove(deadline::HEADER);
        if let Some(deadline) = deadline {
            headers.insert(deadline::HEADER, timeout_until(deadline));
        }

        let observed = self.observer.as_ref().map(|observer| observer.start(request.uri().path()));
        let peers = self.peers.clone();
        // A forwarded call ends with the current call, which enforces its own deadline.
        let own_deadline = deadline.filter(|_| matches!(self.timeout, TimeoutPolicy::AtMost(_)));
        let Some(deadline) = own_deadline else {
            return Box::pin(async move {
                let response = send_in(span, peers, request).await;
                match observed {
                    Some(observed) => observed.responded(response),
                    None => response,
                }
            });
        };
        Box::pin(async move {
            let exceeded = deadline::Error::Exceeded;
            let response = match tokio::time::timeout_at(deadline, send_in(span, peers, request)).await {
                Ok(response) => response,
                Err(_) => Err(to_status(&exceeded).into()),
            };
            let response = match observed {
                Some(observed) => observed.responded(response),
                None => response,
            };
            // The deadline covers the response body too: a peer may stop in the middle of it.
            let expired = tokio::time::sleep_until(deadline);
            Ok(response?.map(|body| Body::new(TerminatedBody::new(body, expired, exceeded))))
        })
    }
}

/// Sends a call in its span, which says how it failed, as far as that is known from the head of its response.
async fn send_in(span: OutgoingSpan, peers: Peers, request: Request<Body>) -> Outcome {
    let outcome = span.scope(send(peers, request)).await;
    match &outcome {
        Ok(response) if span.exists() => {
            if let Some(status) = failure_in(response.headers()) {
                span.set("rpc.grpc.status_code", Attribute::Number(i32::from(status.code()).into()));
                span.failed(code_label(status.code()));
            }
        }
        Ok(_) => {}
        Err(_) => span.failed("transport"),
    }
    outcome
}

/// What a peer gets as the timeout of a call with this deadline.
fn timeout_until(deadline: Instant) -> HeaderValue {
    let remaining = deadline.saturating_duration_since(Instant::now());
    deadline::format(remaining + DEADLINE_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_gets_more_time_than_the_call_has() {
        let deadline = Instant::now() + Duration::from_millis(2);
        assert_eq!(timeout_until(deadline), "102000u");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(timeout_until(deadline), "100000u", "of a call that is over");
    }
}
