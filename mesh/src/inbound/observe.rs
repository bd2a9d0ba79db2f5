//! Metrics, span and access record of every call, to the end of its response. A panic also ends the call: its caller
//! gets INTERNAL, and the log one record at ERROR.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use opentelemetry::KeyValue;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::access_log::{Access, AccessLog, Caller, Outcome, Traffic, millis, peer_in};
use crate::descriptors::Method;
use crate::identity::TENANT;
use crate::metrics::{ServedMethod, ServerMetrics, code_label};
use crate::panics::{self, Panic};
use crate::status::{self, Refusal, code_in};
use crate::telemetry::{self, CallSpan, Description};

/// The request, with the span of its call, unless it was made of a request over HTTP that has one. `is_entry`: calls
/// enter the mesh here.
pub(super) fn begun<B>(mut request: Request<B>, is_entry: bool) -> Request<B> {
    if request.extensions().get::<CallSpan>().is_none()
        && let Some(span) = CallSpan::of_call(request.headers_mut(), is_entry)
    {
        request.extensions_mut().insert(span);
    }
    request
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct ObserveLayer {
    metrics: ServerMetrics,
    log: AccessLog,
}

impl ObserveLayer {
    pub(super) fn new(metrics: ServerMetrics, log: AccessLog) -> Self {
        Self { metrics, log }
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
        Box::pin(span.scope(async move {
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
        }))
    }
}

/// The guard of one call from its arrival to its end. Dropped before that, it records a call canceled by its caller.
struct Call {
    layer: Arc<ObserveLayer>,
    served: Arc<ServedMethod>,
    start: Instant,
    span: CallSpan,
    /// The tenant as the caller's mesh states it; absent without one.
    tenant: Option<HeaderValue>,
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
        let extensions = request.extensions();
        let untraced = || CallSpan::untraced(request.headers());
        let span = extensions.get::<CallSpan>().cloned().unwrap_or_else(untraced);
        let tenant = request.headers().get(&TENANT).cloned();
        // Boxed from the start: it is large, and moves from the request to the body of the response.
        Box::new(Self {
            layer: Arc::clone(layer),
            served,
            start: Instant::now(),
            caller: Caller::stated(request.headers(), span.trace_id()),
            span,
            tenant,
            traffic: Traffic::of(extensions),
            peer: peer_in(extensions),
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
        self.layer.metrics.ended(&self.served, code, took, tenant, self.span.sampled_trace());
        // What made a call of a request over HTTP ends its span and logs it.
        let is_own = !self.span.is_http();
        let method = &self.served.method;
        if is_own {
            let reason = self.layer.log.reason(Outcome::Code(code), took, method.streams);
            self.span.end(reason, || describe(method, code));
        } else {
            self.span.served(&self.served, code);
        }
        self.span.in_scope(|| match panic {
            Some(panic) => self.log_panic(panic, took),
            None if is_own => self.layer.log.record(&Access {
                method,
                route: None,
                outcome: Outcome::Code(code),
                took,
                is_stream: method.streams,
                sent: self.sent,
                traffic: &self.traffic,
                peer: self.peer,
                caller: &self.caller,
            }),
            None => {}
        });
    }

    fn log_panic(&self, panic: &Panic, took: Duration) {
        let Panic { message, location, backtrace } = panic;
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
    }
}

/// What the span of a call says, by the semantic conventions of OpenTelemetry for gRPC servers.
fn describe(method: &Method, code: Code) -> Description {
    let mut attributes = telemetry::of_method(method, code).to_vec();
    let failure = is_server_fault(code);
    if failure {
        attributes.push(KeyValue::new("error.type", code_label(code)));
    }
    Description { name: method.to_string(), attributes, failure }
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
