//! The span of a request that is no gRPC call yet, by the semantic conventions of OpenTelemetry for HTTP servers. The
//! call that is made of it has no span of its own: it adds its attributes to this one.

use std::net::SocketAddr;

use http::{Request, StatusCode, Version};
use opentelemetry::trace::{Status, TraceContextExt, TraceId};
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::tail::{self, Reason};
use crate::propagation::{self, REQUEST_ID};

/// Longest path that a span has, in bytes.
const PATH_MAX: usize = 256;

/// See the module. Cheap to clone; as an extension of a request it tells the stack that its caller logs the call.
#[derive(Debug, Clone)]
pub struct HttpSpan {
    span: Span,
    method: &'static str,
    /// Whether there is a collector.
    is_recorded: bool,
    trace_id: Option<TraceId>,
}

// === impl HttpSpan ===

impl HttpSpan {
    /// Begins the span of a request, in the trace of its caller. `method` is that of the request, from a closed set.
    pub fn begin<B>(request: &mut Request<B>, method: &'static str, peer: Option<SocketAddr>) -> Self {
        let request_id = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok());
        let span =
            tracing::info_span!("http", otel.name = field::Empty, otel.kind = field::Empty, request_id);
        // Without a collector the span has no OpenTelemetry context, and the rest would be without use.
        let is_recorded = span.set_parent(opentelemetry::Context::new()).is_ok();
        propagation::sanitize_trace(request.headers_mut());
        let trace = propagation::extract(request.headers());
        let trace_id = trace_id_in(&trace);
        if is_recorded {
            // It has just been found to be possible.
            let _ = span.set_parent(tail::entering(trace));
            span.record("otel.name", method);
            span.record("otel.kind", "server");
            span.set_attribute("http.request.method", method);
            let path = request.uri().path();
            let end = path.floor_char_boundary(PATH_MAX);
            // Without the query, in which callers put what they look for.
            span.set_attribute("url.path", path[..end].to_owned());
            span.set_attribute("network.protocol.version", version(request.version()));
            if let Some(peer) = peer {
                span.set_attribute("client.address", peer.ip().to_string());
            }
        }
        Self { span, method, is_recorded, trace_id }
    }

    /// The trace that the caller began, if it has.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.trace_id
    }

    /// The trace of the request, if it is exported.
    pub fn sampled_trace(&self) -> Option<String> {
        if !self.is_recorded {
            return None;
        }
        let context = self.span.context();
        let span = context.span();
        let span = span.span_context();
        (span.is_valid() && span.is_sampled()).then(|| span.trace_id().to_string())
    }

    /// The span, for what happens within it.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Whether there is a collector.
    pub(crate) fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    /// The route of the request is known.
    pub fn found(&self, route: &str) {
        if self.is_recorded {
            // The span has begun, so that its field `otel.name` counts no more.
            self.span.context().span().update_name(format!("{} {route}", self.method));
            self.span.set_attribute("http.route", route.to_owned());
        }
    }

    /// The request has ended. Its trace is exported for this reason, if there is one.
    pub fn end(&self, status: StatusCode, reason: Option<Reason>) {
        if self.is_recorded {
            self.span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
            if status.is_server_error() {
                self.span.set_attribute("error.type", status.as_str().to_owned());
                self.span.set_status(Status::error(""));
            }
            if let Some(reason) = reason {
                tail::keep(&self.span, reason);
            }
        }
    }
}

/// The trace of a context, if it has one.
pub(crate) fn trace_id_in(context: &opentelemetry::Context) -> Option<TraceId> {
    Some(context.span().span_context().trace_id()).filter(|id| *id != TraceId::INVALID)
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}
