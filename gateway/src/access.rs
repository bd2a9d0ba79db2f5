//! Metrics and access log of every request in a dialect, until the end of its response. The gRPC stack observes gRPC
//! calls.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use clap::ValueEnum;
use dataflow_mesh::context::Context;
use dataflow_mesh::metrics::LATENCY_BOUNDS;
use dataflow_mesh::panics::{self, Panic};
use dataflow_mesh::status::Kind;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body::{Frame, SizeHint};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

/// The access log: which requests are logged at which level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AccessLog {
    /// Requests with status 500 or above, and slow ones, at info; all others at debug.
    Failures,
    /// All requests at info.
    All,
}

/// Label values come only from closed sets, never from a caller's input, so that their cardinality is bounded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    role: &'static str,
    http_route: Arc<str>,
    http_request_method: &'static str,
    http_response_status_code: u16,
}

/// The metrics and the access log of requests. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    role: &'static str,
    seconds: Family<Labels, Histogram>,
    log: AccessLog,
    slow: Duration,
}

// === impl Access ===

impl Access {
    pub(crate) fn new(context: &Context, log: AccessLog, slow: Duration) -> Self {
        let seconds: Family<Labels, Histogram> =
            Family::new_with_constructor(|| Histogram::new(LATENCY_BOUNDS));
        context.metrics.register(
            "http_server_request_duration_seconds",
            "Time from the arrival of a REST request to the end of its response",
            seconds.clone(),
        );
        Self { role: context.role, seconds, log, slow }
    }

    /// A request that has just arrived. Its route is not known yet.
    pub(crate) fn begin(&self, method: &Method, request_id: HeaderValue) -> Entry {
        Entry {
            access: self.clone(),
            began: Instant::now(),
            method: method_label(method),
            request_id,
            route: Arc::from(""),
            // Until there is a response: an entry dropped without one means that the caller disconnected.
            status: Kind::Cancelled.http(),
        }
    }
}

/// One request, counted and logged when it is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    access: Access,
    began: Instant,
    method: &'static str,
    request_id: HeaderValue,
    /// The template; empty when none was found.
    route: Arc<str>,
    status: StatusCode,
}

// === impl Entry ===

impl Entry {
    pub(crate) fn found(&mut self, route: &str) {
        self.route = route.into();
    }

    /// Logs a panic in the course of the request.
    pub(crate) fn panicked(&self, panic: &Panic) {
        let Self { route, method, .. } = self;
        let request_id = self.request_id.to_str().unwrap_or_default();
        let Panic { message, location, backtrace } = panic;
        tracing::error!(%route, method, request_id, panic = message, location, backtrace, "request: panicked");
    }

    /// The response, which is observed to its end.
    pub(crate) fn answered(mut self, response: Response<Body>) -> Response<Body> {
        self.status = response.status();
        // A body that has ended is not wrapped: its length stays known.
        if http_body::Body::is_end_stream(response.body()) {
            return response;
        }
        response.map(|inner| Body::new(ObservedBody { inner, entry: self }))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        let labels = Labels {
            role: self.access.role,
            http_route: Arc::clone(&self.route),
            http_request_method: self.method,
            http_response_status_code: self.status.as_u16(),
        };
        self.access.seconds.get_or_create(&labels).observe(took.as_secs_f64());
        let (took_ms, status) = (took.as_millis(), self.status.as_u16());
        let request_id = self.request_id.to_str().unwrap_or_default();
        let Self { route, method, .. } = self;
        if self.access.log == AccessLog::All || status >= 500 || took >= self.access.slow {
            tracing::info!(%route, method, status, took_ms, request_id, "request");
        } else {
            tracing::debug!(%route, method, status, took_ms, request_id, "request");
        }
    }
}

/// The body of a response; its end completes the metrics and the log line of the request.
struct ObservedBody {
    inner: Body,
    entry: Entry,
}

impl http_body::Body for ObservedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = panics::caught(|| Pin::new(&mut self.inner).poll_frame(cx)).unwrap_or_else(|panic| {
            self.entry.panicked(&panic);
            self.inner = Body::empty();
            Poll::Ready(Some(Err(axum::Error::new(panics::Error::Panicked))))
        });
        if let Poll::Ready(Some(Err(error))) = &frame {
            // The status is out already; the connection breaks off.
            tracing::warn!(route = %self.entry.route, %error, "response: body aborted");
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The method, from a closed set.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}
