//! Limits concurrent calls, each counted from the arrival of its body until its response has been sent.
//!
//! tower's concurrency limit counts until the head of a response. The responses of clients that do not read would then
//! be outside of every limit, and memory would be unbounded. It also counts from the head of a request: clients that
//! only announce bodies would take all permits.

mod admission;
mod arrival;
mod gzip;
mod request_memory;
mod shares;
mod waiting;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use dataflow_settings::Live;
use futures_util::future::BoxFuture;
use http::header::EXPECT;
use http::{Request, Response};
use prometheus_client::metrics::gauge::Gauge;
use tower::{Layer, Service, ServiceExt};

use crate::args::LimitArgs;
use crate::descriptors::Methods;
use crate::inbound::error::Error;
use crate::response::{ResponseGuards, TerminatedBody};
use crate::status;

use admission::Admission;
use arrival::{ArrivingBody, Pace};
use gzip::{Decompressor, decompressed};
pub(crate) use request_memory::RequestMemory;
pub use shares::{Claimant, SharePermit, Shares};
use waiting::WaitingBodies;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct LimitLayer {
    limits: Live<LimitArgs>,
    calls: Shares,
    streams: Shares,
    waiting: WaitingBodies,
    methods: Methods,
    messages: RequestMemory,
    /// Whether the messages are decoded here, and not forwarded.
    decodes: bool,
    /// Whether all calls but streams pass.
    only_streams: bool,
}

impl LimitLayer {
    /// Allows the present `max_concurrent_requests` of `limits`, over all connections, and the same number of streaming
    /// responses in addition: those may last forever, and would use up the permits of the calls. As many calls may wait
    /// for their bodies, which `waiting` counts. `calls` are the permits, which the gate of connections has too, and
    /// `streams` those of streaming responses; `messages` is the memory budget, used if this process decodes the messages (`decodes`).
    pub(super) fn new(
        limits: Live<LimitArgs>,
        calls: Shares,
        streams: Shares,
        methods: Methods,
        waiting: Gauge,
        messages: RequestMemory,
        decodes: bool,
    ) -> Self {
        let waiting = WaitingBodies::counted(waiting);
        Self { limits, calls, streams, waiting, methods, messages, decodes, only_streams: false }
    }

    /// Limits only streaming responses, separate from those of [`LimitLayer::new`]: for health and reflection.
    pub(super) fn streams(limits: Live<LimitArgs>, methods: Methods, messages: RequestMemory) -> Self {
        let (calls, streams) = (Shares::default(), Shares::default());
        let this = Self::new(limits, calls, streams, methods, Gauge::default(), messages, true);
        Self { only_streams: true, ..this }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = LimitService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LimitService { inner, layer: Arc::new(self.clone()) }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct LimitService<S> {
    inner: S,
    /// Shared: each call clones its service.
    layer: Arc<LimitLayer>,
}

// === impl LimitService ===

impl<S> Service<Request<Body>> for LimitService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if self.layer.only_streams && !self.layer.methods.streams(request.uri().path()) {
            return Box::pin(self.inner.call(decompressed(request, &self.layer.messages)));
        }
        let (inner, layer) = (self.inner.clone(), Arc::clone(&self.layer));
        Box::pin(async move {
            let method = layer.methods.get(request.uri().path());
            let limits = layer.limits.load();
            let is_stream = method.is_some_and(|method| method.streams);
            let shares = if is_stream { &layer.streams } else { &layer.calls };
            let limit = limits.max_concurrent_requests;
            let pace = Pace { idle: limits.body_idle_timeout, rate: limits.min_body_rate.as_u64() };
            let (response_idle, max_age) = (limits.response_idle_timeout, limits.max_stream_age);
            drop(limits);
            let is_bidirectional = method.is_none_or(|method| method.is_bidirectional);
            let is_bulk = method.is_some_and(|method| method.is_bulk);
            let claimant = Claimant::of(request.extensions(), is_bulk);
            let messages = layer.messages.of(&claimant.tenant);
            if layer.decodes && is_bidirectional {
                request = decompressed(request, &messages);
            }
            let (mut head, body) = request.into_parts();
            let age = Some(max_age).filter(|age| is_stream && !claimant.is_peer && !age.is_zero());
            // With nothing in progress, the memory is what the allocator keeps, and can be used again.
            if !layer.only_streams && messages.is_lacking(is_bulk) && layer.calls.total() > 0 {
                return Ok(status::to_status(&Error::MemoryExhausted).into_http());
            }
            let admission = Admission::new(shares.clone(), limit, claimant);
            let mut response = if is_bidirectional {
                if let Err(error) = admission.decide() {
                    return Ok(status::to_status(&error).into_http());
                }
                inner.oneshot(Request::from_parts(head, body)).await?
            } else {
                let mut body = ArrivingBody::new(body, pace, admission.clone(), messages.clone());
                if layer.decodes {
                    body = body.decompressed_by(Decompressor::of(&mut head.headers, &messages));
                    if let Some(message) = method.and_then(|method| method.unary_request.as_deref()) {
                        let count = |limit| layer.methods.types().counter(message, limit);
                        body = body.counted_by(messages.message(count));
                    }
                }
                // The body is not looked at before the handler does where the client waits for that (RFC 9110, 10.1.1).
                if !head.headers.contains_key(EXPECT) && body.has_arrived() {
                    if let Err(error) = body.decide() {
                        return Ok(status::to_status(&error).into_http());
                    }
                } else {
                    admission.wait_among(&layer.waiting);
                }
                let request = Request::from_parts(head, Body::new(body));
                let response = tokio::select! {
                    biased;
                    response = inner.oneshot(request) => response?,
                    error = admission.gave_way() => return Ok(status::to_status(&error).into_http()),
                };
                // Whatever the handler makes of a body that failed.
                if let Some(error) = admission.failure() {
                    return Ok(status::to_status(&error).into_http());
                }
                response
            };
            if http_body::Body::is_end_stream(response.body()) {
                return Ok(response);
            }
            let permit = match admission.respond() {
                Ok(permit) => permit,
                Err(error) => return Ok(status::to_status(&error).into_http()),
            };
            ResponseGuards::add(&mut response, Arc::new((permit, admission.memory())));
            ResponseGuards::set_idle(&mut response, response_idle);
            if let Some(age) = age {
                let expired = tokio::time::sleep(age);
                response = response
                    .map(|body| Body::new(TerminatedBody::new(body, expired, Error::StreamAge { age })));
            }
            let guards = response.extensions().get::<ResponseGuards>().cloned().unwrap_or_default();
            Ok(guards.attach(response))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::ServerArgs;
    use crate::memory::Memory;
    use http_body_util::BodyExt;

    /// A DATA frame of default size.
    const PIECE: usize = 16 * 1024;
    const LONG: usize = 3 * PIECE + 5;

    /// A service with one permit and a long response.
    fn service() -> LimitService<
        impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    > {
        let methods = Methods::of(&["grpc.health.v1.Health"], tonic_health::pb::FILE_DESCRIPTOR_SET);
        let limits = LimitArgs { max_concurrent_requests: 1, ..ServerArgs::parsed(&[]).limits };
        let messages = RequestMemory::new(u64::MAX, u64::MAX, Memory::unlimited());
        let [calls, streams] = [Shares::default(), Shares::default()];
        let limits = Live::fixed(limits);
        LimitLayer::new(limits, calls, streams, methods, Gauge::default(), messages, true).layer(
            tower::service_fn(async |_: Request<Body>| {
                Ok::<_, Infallible>(Response::new(Body::from(vec![7; LONG])))
            }),
        )
    }

    async fn call<S>(service: &S, path: &str) -> Response<Body>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
    {
        service.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn an_unread_response_counts_and_a_read_or_dropped_one_does_not() {
        let service = service();
        let unread = call(&service, "/grpc.health.v1.Health/Check").await;
        let rejected = call(&service, "/grpc.health.v1.Health/Check").await;
        assert_eq!(rejected.headers()["grpc-status"], "8");
        assert!(http_body::Body::is_end_stream(rejected.body()), "trailers only");
        drop(unread);
        let read = call(&service, "/grpc.health.v1.Health/Check").await.into_body().collect().await;
        assert_eq!(read.unwrap().to_bytes().len(), LONG);
        assert!(!call(&service, "/").await.headers().contains_key("grpc-status"));
    }

    #[tokio::test]
    async fn streams_and_calls_have_separate_permits() {
        let service = service();
        let (watch, unread) =
            (call(&service, "/grpc.health.v1.Health/Watch").await, call(&service, "/").await);
        for path in ["/grpc.health.v1.Health/Watch", "/"] {
            assert_eq!(call(&service, path).await.headers()["grpc-status"], "8", "{path}");
        }
        drop((watch, unread));
        for path in ["/grpc.health.v1.Health/Watch", "/"] {
            assert!(!call(&service, path).await.headers().contains_key("grpc-status"), "{path}");
        }
    }

    #[tokio::test]
    async fn a_response_made_of_another_keeps_its_permit() {
        let service = service();
        let mut response = call(&service, "/").await;
        let guards = ResponseGuards::take(&mut response);
        drop(response);
        let other = guards.attach(Response::new(Body::from("other")));
        assert_eq!(call(&service, "/").await.headers()["grpc-status"], "8");
        assert_eq!(other.into_body().collect().await.unwrap().to_bytes(), "other");
        assert!(!call(&service, "/").await.headers().contains_key("grpc-status"));
    }

    #[tokio::test]
    async fn a_response_is_sent_in_pieces() {
        let mut body = call(&service(), "/").await.into_body();
        let mut lengths = Vec::new();
        while let Some(frame) = body.frame().await {
            lengths.push(frame.unwrap().into_data().unwrap().len());
        }
        assert_eq!(lengths, [PIECE, PIECE, PIECE, 5]);
    }
}
