//! Limits concurrent calls, each counted until its response has been sent.
//!
//! tower's concurrency limit counts until the head of a response. The responses of clients that do not read would then
//! be outside of every limit, and memory would be unbounded.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use dataflow_settings::Live;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use tower::{Layer, Service};

use crate::args::LimitArgs;
use crate::descriptors::Methods;
use crate::inbound::error::Error;
use crate::limiter::Limiter;
use crate::response::ResponseGuards;
use crate::status;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct LimitLayer {
    limits: Live<LimitArgs>,
    calls: Limiter,
    streams: Limiter,
    methods: Methods,
}

impl LimitLayer {
    /// Allows the present `max_concurrent_requests` of `limits`, over all connections, and the same number of streaming
    /// responses in addition: those may last forever, and would use up the permits of the calls.
    pub(super) fn new(limits: Live<LimitArgs>, methods: Methods) -> Self {
        Self { limits, calls: Limiter::default(), streams: Limiter::default(), methods }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = LimitService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LimitService { inner, layer: self.clone() }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct LimitService<S> {
    inner: S,
    layer: LimitLayer,
}

// === impl LimitService ===

impl<S, B> Service<Request<B>> for LimitService<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let LimitLayer { limits, calls, streams, methods } = &self.layer;
        let limiter = if methods.streams(request.uri().path()) { streams } else { calls };
        // Rejected at once instead of queued: a queued call would use memory, and up its own deadline.
        let Some(permit) = limiter.try_acquire(limits.load().max_concurrent_requests) else {
            return Box::pin(async { Ok(status::to_status(&Error::Overloaded).into_http()) });
        };
        let response = self.inner.call(request);
        Box::pin(async move {
            let mut response = response.await?;
            if http_body::Body::is_end_stream(response.body()) {
                return Ok(response);
            }
            ResponseGuards::add(&mut response, Arc::new(permit));
            let guards = response.extensions().get::<ResponseGuards>().cloned().unwrap_or_default();
            Ok(guards.attach(response))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    /// A DATA frame of default size.
    const PIECE: usize = 16 * 1024;
    const LONG: usize = 3 * PIECE + 5;

    /// A service with one permit and a long response.
    fn service() -> LimitService<
        impl Service<Request<()>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone,
    > {
        let methods = Methods::of(&["grpc.health.v1.Health"], tonic_health::pb::FILE_DESCRIPTOR_SET);
        let limits =
            LimitArgs { max_concurrent_requests: 1, max_connections: 1, request_timeout: Duration::MAX };
        LimitLayer::new(Live::fixed(limits), methods).layer(tower::service_fn(async |_: Request<()>| {
            Ok::<_, Infallible>(Response::new(Body::from(vec![7; LONG])))
        }))
    }

    async fn call<S>(service: &S, path: &str) -> Response<Body>
    where
        S: Service<Request<()>, Response = Response<Body>, Error = Infallible> + Clone,
    {
        service.clone().oneshot(Request::get(path).body(()).unwrap()).await.unwrap()
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
