//! Calls to peers in the mesh, with the current call's headers and deadline put on. Balancing, retries and outlier
//! detection between services are the mesh's. What is done here is what works without one, and is invisible with one: peers
//! in turn where several are named, and a call made again, once, that provably reached no handler.

mod peers;
mod replay;
mod send;
mod unsent;
mod upstream;

use std::error::Error;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response};
use opentelemetry::trace::TraceContextExt;
use tokio::time::Instant;
use tonic::TimeoutExpired;
use tonic::body::Body;
use tower::{BoxError, Service};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::deadline;
use crate::propagation;
use crate::response::TerminatedBody;
use crate::status::to_status;
use crate::telemetry;

pub use upstream::{NotAnUpstream, Upstream};

use peers::Peers;
use send::send;

/// The way to one upstream. Generated clients take it; cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbound {
    peers: Peers,
    timeout: TimeoutPolicy,
}

/// How long a call may take.
#[derive(Debug, Clone, Copy)]
enum TimeoutPolicy {
    /// So long at most, also where the call that is being served has more time or none is served.
    AtMost(Duration),
    /// As long as the call that is being served.
    Inherited,
    /// For ever.
    Unlimited,
}

// === impl Outbound ===

impl Outbound {
    /// A way that connects when first used, and again whenever it has to.
    ///
    /// Calls outside of any deadline, or with a later one, end after `limit`.
    pub fn new(upstream: &Upstream, limit: Duration) -> Self {
        Self { peers: Peers::new(upstream), timeout: TimeoutPolicy::AtMost(limit) }
    }

    /// A way for calls that are passed on: each has what time the call being served has left, and a stream that
    /// watches has no end.
    pub fn forwarding(upstream: &Upstream) -> Self {
        Self { peers: Peers::new(upstream), timeout: TimeoutPolicy::Inherited }
    }

    /// A way for the process' own watches, which have no end: they end with either side.
    pub fn watching(upstream: &Upstream) -> Self {
        Self { peers: Peers::new(upstream), timeout: TimeoutPolicy::Unlimited }
    }

    /// When a call with these headers must be over.
    fn deadline(&self, headers: &HeaderMap) -> Option<Instant> {
        match self.timeout {
            TimeoutPolicy::Unlimited => None,
            TimeoutPolicy::Inherited => deadline::end(),
            // The earliest of what the caller asked for, what the call being served has left, and our own limit. A
            // header that is malformed was not written by a generated client; it is replaced.
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

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.peers {
            Peers::Single(channel) => channel.poll_ready(cx).map_err(Into::into),
            Peers::RoundRobin(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let deadline = self.deadline(request.headers());
        let headers = request.headers_mut();
        // A call that is passed on has its caller's headers already.
        if !matches!(self.timeout, TimeoutPolicy::Inherited) {
            propagation::apply(headers);
            headers.insert(propagation::PEER, HeaderValue::from_static("service"));
        }
        let mut trace = Span::current().context();
        let span = telemetry::outgoing_in(&trace, || {
            let method = request.uri().path().trim_start_matches('/').to_owned();
            (method, [("rpc.system", "grpc".to_owned())])
        });
        if !span.is_none() {
            trace = span.context();
        }
        let headers = request.headers_mut();
        if trace.span().span_context().is_valid() {
            propagation::inject(&trace, headers);
        }
        headers.remove(deadline::HEADER);
        if let Some(deadline) = deadline {
            let remaining = deadline.saturating_duration_since(Instant::now());
            headers.insert(deadline::HEADER, deadline::format(remaining));
        }

        // What is passed on ends with the call that is being served, which has a deadline of its own.
        let own_deadline = deadline.filter(|_| matches!(self.timeout, TimeoutPolicy::AtMost(_)));
        let response = send(&mut self.peers, request).instrument(span);
        Box::pin(async move {
            let exceeded = deadline::Error::Exceeded;
            let response = async {
                response.await.map_err(|error| -> BoxError {
                    if is_timeout(&*error) { to_status(&exceeded).into() } else { error }
                })
            };
            let Some(deadline) = own_deadline else { return response.await };
            let Ok(response) = tokio::time::timeout_at(deadline, response).await else {
                return Err(to_status(&exceeded).into());
            };
            // A peer that stops in the middle of its answer has no more time than one that never begins.
            let expired = tokio::time::sleep_until(deadline);
            Ok(response?.map(|body| Body::new(TerminatedBody::new(body, expired, exceeded))))
        })
    }
}

/// Whether tonic's channel, which watches the same header as we, gave up before we did. It would say CANCELLED.
fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    error.is::<TimeoutExpired>() || error.source().is_some_and(is_timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_of_tonic_is_found_among_the_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("a call failed")]
        struct Failed(#[source] BoxError);

        assert!(is_timeout(&Failed(Failed(TimeoutExpired(()).into()).into())));
        assert!(!is_timeout(&Failed("connection refused".into())));
    }
}
