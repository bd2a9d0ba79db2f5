//! Metrics, span and access record of every call, to the end of its response. A panic also ends the call: its caller
//! gets INTERNAL, and the log one record at ERROR.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use opentelemetry::trace::{TraceContextExt, TraceId};
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::access_log::{Access, AccessLog, Caller, Outcome, Traffic, millis, peer_in};
use crate::identity::TENANT;
use crate::metrics::{ServedMethod, ServerMetrics, code_label};
use crate::panics::{self, Panic};
use crate::propagation::{self, REQUEST_ID};
use crate::status::{self, Refusal, code_in};
use crate::telemetry::{self, HttpSpan};

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct ObserveLayer {
    metrics: ServerMetrics,
    log: AccessLog,
    /// Whether calls enter the mesh here.
    is_entry: bool,
}

impl ObserveLayer {
    /// The traces of calls that enter the mesh here are also decided at their end.
    pub(super) fn new(metrics: ServerMetrics, log: AccessLog, is_entry: bool) -> Self {
        Self { metrics, log, is_entry }
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = ObserveService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ObserveService { inner, layer: Arc::new(self.clone()) }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct ObserveService<S> {
    inner: S,
    /// Shared: each call clones its service.
    layer: Arc<ObserveLayer>,
}

// === impl ObserveService ===

impl<S, B> Service<Request<B>> for ObserveService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = Call::start(&self.layer, &request);
        let span = call.span.clone();
        let response = span.in_scope(|| panics::caught(|| self.inner.call(request)));
        Box::pin(
            async move {
                let response = match response {
                    Ok(response) => panics::catch(response).await,
                    Err(panic) => Err(panic),
                };
                let response = match response {
                    Ok(response) => response?,
                    Err(panic) => return Ok(call.panicked(&panic).into_http()),
                };
                Ok(match code_in(response.headers()) {
                    // Trailers-only: the response ends here, and its body is not wrapped.
                    Some(code) => {
                        call.end(code, Some(response.headers()));
                        response
                    }
                    None => response.map(|body| Body::new(ObservedBody { inner: body, call: Some(call) })),
                })
            }
            .instrument(span),
        )
    }
}

/// The guard of one call from its arrival to its end. Dropped before that, it records a call canceled by its caller.
struct Call {
    layer: Arc<ObserveLayer>,
    served: Arc<ServedMethod>,
    start: Instant,
    span: Span,
    /// The tenant as the caller's mesh states it; absent without one.
    tenant: Option<HeaderValue>,
    /// Whether its record is written here, and not by what made a call of a request over HTTP.
    is_logged: bool,
    traffic: Arc<Traffic>,
    peer: Option<SocketAddr>,
    caller: Caller,
    /// The bytes of the response so far.
    sent: u64,
    ended: bool,
}

// === impl Call ===

impl Call {
    fn start<B>(layer: &Arc<ObserveLayer>, request: &Request<B>) -> Box<Self> {
        let served = layer.metrics.started(request.uri().path());
        let method = &served.method;
        let request_id =
            request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
        let extensions = request.extensions();
        let begun = extensions.get::<HttpSpan>();
        // Each field of a span costs formatting, also without a log record. One field is enough to find all records of
        // a call.
        let new =
            || tracing::info_span!("rpc", otel.name = field::Empty, otel.kind = field::Empty, request_id);
        let span = begun.map_or_else(new, |begun| begun.span().clone());
        let trace = begun.is_none().then(|| propagation::extract(request.headers()));
        let trace_id = trace.as_ref().and_then(telemetry::trace_id_in);
        // Without a collector the span has no OpenTelemetry context; that is the normal case, not an error.
        let trace = trace.map(|trace| if layer.is_entry { telemetry::entering(trace) } else { trace });
        let is_new = trace.is_some_and(|trace| span.set_parent(trace).is_ok());
        if is_new {
            span.record("otel.name", format_args!("{method}"));
            span.record("otel.kind", "server");
        }
        if is_new || begun.is_some_and(HttpSpan::is_recorded) {
            span.set_attribute("rpc.system", "grpc");
            span.set_attribute("rpc.service", method.service.to_string());
            span.set_attribute("rpc.method", method.name.to_string());
        }
        let tenant = request.headers().get(&TENANT).cloned();
        // Boxed from the start: it is large, and moves from the request to the body of the response.
        Box::new(Self {
            layer: Arc::clone(layer),
            served,
            start: Instant::now(),
            span,
            tenant,
            is_logged: begun.is_none(),
            traffic: Traffic::of(extensions),
            peer: peer_in(extensions),
            caller: Caller::stated(request.headers(), trace_id),
            sent: 0,
            ended: false,
        })
    }

    /// Ends the call, with the headers or trailers that have this code if there are any.
    fn end(mut self, code: Code, headers: Option<&HeaderMap>) {
        if let Some(refusal) = headers.and_then(|headers| Refusal::in_headers(code, headers)) {
            self.layer.metrics.refused.count(refusal);
        }
        self.finish(code, None);
    }

    /// Ends the call after a panic; returns the status for its caller.
    fn panicked(mut self, panic: &Panic) -> Status {
        let status = status::logged(&panics::Error::Panicked);
        self.finish(status.code(), Some(panic));
        status
    }

    fn finish(&mut self, code: Code, panic: Option<&Panic>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let took = self.start.elapsed();
        let tenant = self.tenant.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
        self.layer.metrics.ended(&self.served, code, took, tenant, self.sampled_trace());
        self.span.set_attribute("rpc.grpc.status_code", i64::from(i32::from(code)));
        if self.is_logged && is_server_fault(code) {
            telemetry::failed(&self.span, code_label(code));
        }
        let reason = self.layer.log.reason(Outcome::Code(code), took, self.served.method.streams);
        if let Some(reason) = reason.filter(|_| self.is_logged && self.layer.is_entry) {
            telemetry::keep(&self.span, reason);
        }
        let _entered = self.span.enter();
        if let Some(Panic { message, location, backtrace }) = panic {
            let (role, method, took_ms) = (self.layer.metrics.role(), &self.served.method, millis(took));
            // Stated, since a body is polled outside of its call.
            let request_id = self.caller.request_id.as_ref().and_then(|id| id.to_str().ok());
            tracing::error!(
                role,
                %method,
                request_id,
                took_ms,
                panic = message,
                location,
                backtrace,
                "call: panicked"
            );
        } else if self.is_logged {
            self.layer.log.record(&Access {
                method: &self.served.method,
                route: None,
                outcome: Outcome::Code(code),
                took,
                is_stream: self.served.method.streams,
                sent: self.sent,
                traffic: &self.traffic,
                peer: self.peer,
                caller: &self.caller,
            });
        }
    }
}

impl Call {
    /// The trace of the call, if it is exported.
    fn sampled_trace(&self) -> Option<TraceId> {
        let context = self.span.context();
        let span = context.span();
        let span = span.span_context();
        (span.is_valid() && span.is_sampled()).then(|| span.trace_id())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.finish(Code::Cancelled, None);
    }
}

/// Observes a response body for the trailers with the status code.
struct ObservedBody {
    inner: Body,
    call: Option<Box<Call>>,
}

// === impl ObservedBody ===

impl http_body::Body for ObservedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = match panics::caught(|| Pin::new(&mut self.inner).poll_frame(cx)) {
            Ok(frame) => ready!(frame),
            Err(panic) => {
                self.inner = Body::empty();
                let Some(call) = self.call.take() else { return Poll::Ready(None) };
                let trailers = call.panicked(&panic).into_http::<()>().into_parts().0.headers;
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
        };
        let end = match &frame {
            Some(Ok(frame)) => frame.trailers_ref().map(Some),
            Some(Err(_)) | None => Some(None),
        };
        if let (Some(Ok(frame)), Some(call)) = (&frame, &mut self.call) {
            call.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        if let Some(trailers) = end
            && let Some(call) = self.call.take()
        {
            call.end(trailers.and_then(code_in).unwrap_or(Code::Unknown), trailers);
        }
        Poll::Ready(frame)
    }

    // Forwarded, or a response without a body would no longer be sent as one HEADERS frame.
    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Whether the service failed, for its span (semantic conventions of OpenTelemetry for gRPC servers).
fn is_server_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}
