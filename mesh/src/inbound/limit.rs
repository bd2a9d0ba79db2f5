//! How many calls a service serves at once, counted until their answers have left.
//!
//! tower's limit counts until the head of an answer is there. The answers of callers who do not read would then be held
//! outside of every limit, so that memory had none.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::{Buf, Bytes};
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tower::{Layer, Service};

use crate::args::LimitArgs;
use crate::descriptors::Methods;
use crate::inbound::error::Error;
use crate::inbound::hold::Hold;
use crate::serve::places::Places;
use crate::status;
use dataflow_settings::Live;

/// Longest piece in which an answer is handed to hyper, in bytes: a DATA frame of default size. hyper takes a piece of
/// any length as soon as the caller's window is open at all, and calls an answer ended that it only buffers.
const PIECE: usize = 16 * 1024;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct LimitLayer {
    limits: Live<LimitArgs>,
    calls: Places,
    streams: Places,
    methods: Methods,
}

impl LimitLayer {
    /// Serves as many calls at once as `limits` say at the moment, over all connections, and besides as many answers that
    /// are streams: those may last for ever, and would eat the calls' places up.
    pub(super) fn new(limits: Live<LimitArgs>, methods: Methods) -> Self {
        Self { limits, calls: Places::default(), streams: Places::default(), methods }
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
        let places = if methods.streams(request.uri().path()) { streams } else { calls };
        // At once instead of queueing: a caller that waits here wastes its time and our memory.
        let Some(place) = places.take(limits.load().max_concurrent_requests) else {
            return Box::pin(async { Ok(status::to_status(&Error::Overloaded).into_http()) });
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            if http_body::Body::is_end_stream(answer.body()) {
                return Ok(answer);
            }
            Hold::add(&mut answer, Arc::new(place));
            let hold = answer.extensions().get::<Hold>().cloned().unwrap_or_default();
            Ok(hold.on(answer))
        })
    }
}

/// An answer in pieces, with what its call holds until the last one is taken.
pub(super) struct LimitedBody {
    inner: Body,
    /// What of the last frame has not been handed on.
    rest: Bytes,
    hold: Hold,
}

// === impl LimitedBody ===

impl LimitedBody {
    pub(super) fn new(inner: Body, hold: Hold) -> Self {
        Self { inner, rest: Bytes::new(), hold }
    }
}

impl http_body::Body for LimitedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                end => {
                    self.hold = Hold::default();
                    return Poll::Ready(end);
                }
            };
            match frame.into_data() {
                Ok(data) if data.len() > PIECE => self.rest = data,
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(trailers) => {
                    self.hold = Hold::default();
                    return Poll::Ready(Some(Ok(trailers)));
                }
            }
        }
        // A copy: a slice of the last piece, waiting in hyper's buffer, would hold the whole answer in memory.
        let piece = Bytes::copy_from_slice(&self.rest[..PIECE.min(self.rest.len())]);
        self.rest.advance(piece.len());
        if self.rest.is_empty() {
            self.rest = Bytes::new();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    // Forwarded, or an answer without a body would no longer leave as one HEADERS frame.
    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    const LONG: usize = 3 * PIECE + 5;

    /// A service of one permit that answers at length.
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
    async fn an_unread_answer_counts_and_a_read_or_dropped_one_does_not() {
        let service = service();
        let unread = call(&service, "/grpc.health.v1.Health/Check").await;
        let refused = call(&service, "/grpc.health.v1.Health/Check").await;
        assert_eq!(refused.headers()["grpc-status"], "8");
        assert!(http_body::Body::is_end_stream(refused.body()), "trailers only");
        drop(unread);
        let read = call(&service, "/grpc.health.v1.Health/Check").await.into_body().collect().await;
        assert_eq!(read.unwrap().to_bytes().len(), LONG);
        assert!(!call(&service, "/").await.headers().contains_key("grpc-status"));
    }

    #[tokio::test]
    async fn streams_and_calls_have_places_of_their_own() {
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
    async fn who_makes_another_answer_of_it_holds_its_place_on() {
        let service = service();
        let mut answer = call(&service, "/").await;
        let hold = Hold::take(&mut answer);
        drop(answer);
        let other = hold.on(Response::new(Body::from("other")));
        assert_eq!(call(&service, "/").await.headers()["grpc-status"], "8");
        assert_eq!(other.into_body().collect().await.unwrap().to_bytes(), "other");
        assert!(!call(&service, "/").await.headers().contains_key("grpc-status"));
    }

    #[tokio::test]
    async fn an_answer_leaves_in_pieces() {
        let mut body = call(&service(), "/").await.into_body();
        let mut lengths = Vec::new();
        while let Some(frame) = body.frame().await {
            lengths.push(frame.unwrap().into_data().unwrap().len());
        }
        assert_eq!(lengths, [PIECE, PIECE, PIECE, 5]);
    }
}
