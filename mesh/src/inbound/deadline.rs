//! Enforces deadlines: the caller's `grpc-timeout`, capped by `--request-timeout`.
//!
//! tonic's own server timeout returns CANCELLED, which means that the caller canceled the call; this layer returns
//! DEADLINE_EXCEEDED.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use dataflow_settings::Live;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Body as _;
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::args::LimitArgs;
use crate::deadline::{self, Error};
use crate::deadline_watchdog;
use crate::descriptors::Methods;
use crate::response::{ResponseGuards, TerminatedBody};
use crate::status;

/// Ends calls at their deadline.
#[derive(Debug, Clone)]
pub(super) struct DeadlineLayer {
    /// Contains the timeout of calls without a deadline, or with a later one.
    limits: Live<LimitArgs>,
    methods: Methods,
}

impl DeadlineLayer {
    /// The timeout in `limits` at the start of a call covers it to the last byte of its response, whether or not the
    /// caller reads. A streaming response must begin by then, and is ended only by the caller's own deadline: a watch
    /// has none.
    pub(super) fn new(limits: Live<LimitArgs>, methods: Methods) -> Self {
        Self { limits, methods }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService { inner, layer: Arc::new(self.clone()) }
    }
}

/// See [`DeadlineLayer`].
#[derive(Debug, Clone)]
pub(super) struct DeadlineService<S> {
    inner: S,
    /// Shared: each call clones its service.
    layer: Arc<DeadlineLayer>,
}

// === impl DeadlineService ===

impl<S, B> Service<Request<B>> for DeadlineService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let requested = match deadline::parse(request.headers()) {
            // Rejected here: timers are too coarse to end the call before its handler runs.
            Ok(Some(Duration::ZERO)) => Err(Error::Exceeded),
            requested => requested,
        };
        let requested = match requested {
            Ok(requested) => requested.map(|timeout| Instant::now() + timeout),
            Err(error) => return Box::pin(async move { Ok(status::to_status(&error).into_http()) }),
        };
        let limit = Instant::now() + self.layer.limits.load().request_timeout;
        let head = requested.map_or(limit, |requested| requested.min(limit));
        let end = if self.layer.methods.streams(request.uri().path()) { requested } else { Some(head) };
        let response = deadline::scope(head, end, self.inner.call(request));
        Box::pin(async move {
            let Ok(response) = tokio::time::timeout_at(head, response).await else {
                return Ok(status::to_status(&Error::Exceeded).into_http());
            };
            let mut response = response?;
            let Some(end) = end.filter(|_| !response.body().is_end_stream()) else { return Ok(response) };
            let armed = Arc::new(deadline_watchdog::arm(end));
            ResponseGuards::add(&mut response, Arc::clone(&armed) as _);
            let expired = async move {
                tokio::time::sleep_until(end).await;
                drop(armed);
            };
            Ok(response.map(|body| Body::new(TerminatedBody::new(body, expired, Error::Exceeded))))
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;
    use http_body::Frame;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::args::ServerArgs;

    fn layer(limit: Duration) -> DeadlineLayer {
        let limits = LimitArgs { request_timeout: limit, ..ServerArgs::parsed(&[]).limits };
        DeadlineLayer::new(Live::fixed(limits), methods())
    }

    async fn call(
        timeout: Option<&str>,
        limit: Duration,
        work: Duration,
    ) -> (Option<String>, Option<Instant>) {
        let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
        let handler = {
            let seen = seen.clone();
            tower::service_fn(move |_: Request<Body>| {
                let seen = seen.clone();
                async move {
                    *seen.lock().unwrap() = deadline::current();
                    tokio::time::sleep(work).await;
                    Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
                }
            })
        };
        let mut request = Request::new(Body::empty());
        if let Some(timeout) = timeout {
            request.headers_mut().insert(deadline::HEADER, HeaderValue::from_str(timeout).unwrap());
        }
        let response = layer(limit).layer(handler).oneshot(request).await.unwrap();
        let code = response.headers().get("grpc-status").map(|code| code.to_str().unwrap().to_owned());
        let deadline = *seen.lock().unwrap();
        (code, deadline)
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_of_the_callers_deadline_and_the_request_timeout_applies() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(call(Some("5S"), 10 * second, second).await, (None, Some(start + 5 * second)));
        let start = Instant::now();
        assert_eq!(call(Some("50S"), 10 * second, second).await, (None, Some(start + 10 * second)));
        assert_eq!(call(Some("1S"), 10 * second, 2 * second).await.0.as_deref(), Some("4"));
        assert_eq!(call(None, second, 2 * second).await.0.as_deref(), Some("4"));
        assert_eq!(call(Some("soon"), second, second).await.0.as_deref(), Some("3"));
        assert_eq!(
            call(Some("0n"), second, Duration::ZERO).await,
            (Some("4".to_owned()), None),
            "not started"
        );
    }

    fn methods() -> Methods {
        Methods::of(&["grpc.health.v1.Health"], tonic_health::pb::FILE_DESCRIPTOR_SET)
    }

    /// The code in the trailers of a response that never ends by itself; `None` when it lasts an hour.
    async fn endless(path: &str, timeout: Option<&str>) -> Option<String> {
        let handler = tower::service_fn(async |_: Request<Body>| {
            let frames = futures_util::stream::pending::<Result<Frame<Bytes>, axum::Error>>();
            Ok::<_, std::convert::Infallible>(Response::new(Body::new(http_body_util::StreamBody::new(
                frames,
            ))))
        });
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        if let Some(timeout) = timeout {
            request.headers_mut().insert(deadline::HEADER, HeaderValue::from_str(timeout).unwrap());
        }
        let layer = layer(Duration::from_secs(10));
        let response = layer.layer(handler).oneshot(request).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(3600), response.into_body().collect()).await;
        let trailers = ended.ok()?.unwrap().trailers().cloned().unwrap();
        Some(trailers["grpc-status"].to_str().unwrap().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn the_request_timeout_ends_unary_responses_and_only_the_callers_deadline_ends_streams() {
        let (check, watch) = ("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch");
        assert_eq!(endless(check, None).await.as_deref(), Some("4"));
        assert_eq!(endless(check, Some("1H")).await.as_deref(), Some("4"));
        assert_eq!(endless(watch, None).await, None);
        assert_eq!(endless(watch, Some("20S")).await.as_deref(), Some("4"));
    }
}
