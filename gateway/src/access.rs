//! Metrics, span and access record of every request in a dialect, until the end of its response, and the records of
//! gRPC calls that are refused. The stack observes all other gRPC calls.

mod requests;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use dataflow_mesh::access_log::{self, AccessLog, Caller, Outcome, Traffic, peer_in};
use dataflow_mesh::context::Context;
use dataflow_mesh::identity::Names;
use dataflow_mesh::panics::{self, Panic};
use dataflow_mesh::propagation;
use dataflow_mesh::status::Kind;
use dataflow_mesh::telemetry::{CallSpan, HttpSpan};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use tonic::Code;

use requests::Requests;

/// Longest path in a record, in characters: a caller chooses it.
const PATH_MAX: usize = 256;

/// The metrics, spans and access records of requests. Cheap to clone, as each request does.
#[derive(Debug, Clone)]
pub(crate) struct Access(Arc<Recorder>);

#[derive(Debug)]
struct Recorder {
    requests: Requests,
    log: AccessLog,
}

// === impl Access ===

impl Access {
    pub(crate) fn new(context: &Context, log: AccessLog) -> Self {
        Self(Arc::new(Recorder { requests: Requests::new(context.role, &context.metrics), log }))
    }

    /// A request that has just arrived. Its route is not known yet.
    pub(crate) fn begin(&self, request: &mut Request<Body>, request_id: HeaderValue) -> Box<Entry> {
        let (method, peer) = (method_label(request.method()), peer_in(request.extensions()));
        let span = HttpSpan::begin(request, method, peer);
        // Boxed from the start: it is large, and moves from the request to the body of the response.
        Box::new(Entry {
            access: self.clone(),
            began: Instant::now(),
            method,
            caller: Caller { request_id: Some(request_id), names: Names::default(), trace: span.trace_id() },
            traffic: Traffic::of(request.extensions()),
            peer,
            span,
            route: Arc::from(""),
            is_stream: false,
            sent: 0,
            // Until there is a response: an entry dropped without one means that the caller disconnected.
            status: Kind::Cancelled.http(),
        })
    }

    /// Logs a gRPC call that was refused before the stack, which logs all others. It came at `began`; `names` are those of
    /// its caller, as far as it is known.
    pub(crate) fn refused(&self, request: &mut Request<Body>, began: Instant, names: Names, code: Code) {
        let request_id = Some(propagation::request_id(request.headers_mut()));
        let path: String = request.uri().path().trim_start_matches('/').chars().take(PATH_MAX).collect();
        let extensions = request.extensions();
        self.0.log.record(&access_log::Access {
            method: &path,
            route: None,
            outcome: Outcome::Code(code),
            took: began.elapsed(),
            is_stream: false,
            sent: 0,
            traffic: &Traffic::of(extensions),
            peer: peer_in(extensions),
            caller: &Caller { request_id, names, ..Caller::default() },
        });
    }
}

/// One request, counted and logged when it is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    access: Access,
    began: Instant,
    method: &'static str,
    caller: Caller,
    traffic: Arc<Traffic>,
    peer: Option<SocketAddr>,
    span: HttpSpan,
    /// The template; empty when none was found.
    route: Arc<str>,
    is_stream: bool,
    /// The bytes of the response so far.
    sent: u64,
    status: StatusCode,
}

// === impl Entry ===

impl Entry {
    /// The route is known, and whether its response is a stream.
    pub(crate) fn found(&mut self, route: &str, is_stream: bool) {
        self.route = route.into();
        self.is_stream = is_stream;
    }

    /// The caller is known.
    pub(crate) fn by(&mut self, names: &Names) {
        self.caller.names = names.clone();
    }

    /// The span of the request.
    pub(crate) fn span(&self) -> CallSpan {
        self.span.call().clone()
    }

    /// Logs a panic in the course of the request.
    pub(crate) fn panicked(&self, panic: &Panic) {
        let Self { route, method, .. } = self;
        let request_id = self.caller.request_id.as_ref().and_then(|id| id.to_str().ok());
        let Panic { message, location, backtrace } = panic;
        tracing::error!(%route, method, request_id, panic = message, location, backtrace, "request: panicked");
    }

    /// The response, which is observed to its end.
    pub(crate) fn answered(mut self: Box<Self>, response: Response<Body>) -> Response<Body> {
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
        let (access, took) = (&*self.access.0, self.began.elapsed());
        access.requests.ended(&self.route, self.method, self.status, took, self.span.sampled_trace());
        let outcome = Outcome::Status(self.status.as_u16());
        self.span.end(&self.route, self.status, access.log.reason(outcome, took, self.is_stream));
        let record = access_log::Access {
            method: &self.method,
            route: Some(&self.route).map(|route| &**route).filter(|route| !route.is_empty()),
            outcome,
            took,
            is_stream: self.is_stream,
            sent: self.sent,
            traffic: &self.traffic,
            peer: self.peer,
            caller: &self.caller,
        };
        self.span.call().in_scope(|| access.log.record(&record));
    }
}

/// The body of a response; its end completes the metrics and the log line of the request.
struct ObservedBody {
    inner: Body,
    entry: Box<Entry>,
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
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.entry.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
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
