//! The span of a call that this process serves, from its beginning to its end. It exists for the collector if the call
//! is sampled at its start; of others it is decided at their end ([`super::tail`]).

use std::sync::Arc;

use http::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Status, TraceContextExt, TraceId};
use tonic::Code;
use tracing::{Instrument, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::description::{Description, of_method};
use super::tail::{self, Reason, Unsampled};
use super::traces::{Start, Traces};
use crate::metrics::ServedMethod;
use crate::propagation::{self, REQUEST_ID};

/// See the module. Cheap to clone. As an extension of a request it is the span of what the stack serves.
#[derive(Debug, Clone)]
pub struct CallSpan {
    /// For the log in text, and for the collector if the call is sampled.
    span: Span,
    trace: Trace,
    /// The trace, where it is known: that of the caller, or a new one.
    trace_id: Option<TraceId>,
    /// Whether this is the span of a request over HTTP, of which the call is made.
    is_http: bool,
}

#[derive(Debug, Clone)]
enum Trace {
    /// The call has no span.
    Without,
    /// The span of the collector is `span`.
    Sampled,
    /// Whether it has one is decided at its end.
    Unsampled(Arc<Unsampled>),
}

// === impl CallSpan ===

impl CallSpan {
    /// The span of a call to this process, or none where no calls are traced: then the log in text has one.
    pub(crate) fn of_call(headers: &mut HeaderMap, is_entry: bool) -> Option<Self> {
        let traces = Traces::current()?;
        propagation::request_id(headers);
        propagation::sanitize_trace(headers);
        Some(Self::begin(traces, headers, is_entry))
    }

    /// The span of a request over HTTP, which enters the mesh.
    pub(super) fn of_request(headers: &mut HeaderMap) -> Self {
        let span = match Traces::current() {
            Some(traces) => Self::begin(traces, headers, true),
            None => Self::untraced(headers),
        };
        Self { is_http: true, ..span }
    }

    /// Where no calls are traced.
    pub(crate) fn untraced(headers: &HeaderMap) -> Self {
        let trace_id = trace_id_in(&propagation::extract(headers));
        Self { span: log_span(headers), trace: Trace::Without, trace_id, is_http: false }
    }

    /// Begins the span of a call in the trace of its caller. A new trace that is not sampled is written to the headers,
    /// so that the services behind keep to the decision.
    pub(super) fn begin(traces: &Traces, headers: &mut HeaderMap, is_entry: bool) -> Self {
        let (span, trace, trace_id) = match traces.start(headers, is_entry) {
            Start::Sampled(parent) => {
                let request_id = request_id(headers);
                // Each field of a span costs formatting, also without a log record. One field is enough to find all
                // records of a call.
                let span = tracing::info_span!(
                    parent: None,
                    "call",
                    otel.name = field::Empty,
                    otel.kind = "server",
                    request_id
                );
                // A subscriber without a layer for the collector, as in tests.
                let trace = if span.set_parent(parent).is_ok() { Trace::Sampled } else { Trace::Without };
                let trace_id = trace_id_in(&span.context());
                (span, trace, trace_id)
            }
            Start::Unsampled(call) => {
                let trace_id = call.context().trace_id();
                (log_span(headers), Trace::Unsampled(Arc::new(call)), Some(trace_id))
            }
            Start::Without(trace_id) => (log_span(headers), Trace::Without, Some(trace_id)),
        };
        Self { span, trace, trace_id, is_http: false }
    }

    /// The trace, where it is known.
    pub(crate) fn trace_id(&self) -> Option<TraceId> {
        self.trace_id
    }

    /// The trace, if it is sampled.
    pub(crate) fn sampled_trace(&self) -> Option<TraceId> {
        self.trace_id.filter(|_| matches!(self.trace, Trace::Sampled))
    }

    /// Whether this is the span of a request over HTTP, of which the call is made.
    pub(crate) fn is_http(&self) -> bool {
        self.is_http
    }

    /// Whether the span may be exported.
    pub(super) fn may_be_exported(&self) -> bool {
        !matches!(self.trace, Trace::Without)
    }

    /// Runs a future of the call.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        tail::scope(self.unsampled(), future.instrument(self.span.clone()))
    }

    /// Runs work of the call on this thread.
    pub fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        tail::sync_scope(self.unsampled(), || self.span.in_scope(work))
    }

    /// The call to a service, which was made of a request over HTTP, has ended.
    pub(crate) fn served(&self, method: &Arc<ServedMethod>, code: Code) {
        match &self.trace {
            Trace::Without => {}
            Trace::Sampled => set_all(&self.span, of_method(&method.method, code)),
            Trace::Unsampled(call) => call.served(method, code),
        }
    }

    /// The call has ended. Its trace is exported for this reason, if there is one.
    pub(crate) fn end(&self, reason: Option<Reason>, describe: impl FnOnce() -> Description) {
        match (&self.trace, reason) {
            (Trace::Sampled, _) => {
                let Description { name, attributes, failure } = describe();
                // The span has begun, so that its field `otel.name` counts no more.
                self.span.context().span().update_name(name);
                set_all(&self.span, attributes);
                if failure {
                    self.span.set_status(Status::error(""));
                }
            }
            (Trace::Unsampled(call), Some(reason)) => call.export(reason, describe),
            (Trace::Without | Trace::Unsampled(_), _) => {}
        }
    }

    fn unsampled(&self) -> Option<Arc<Unsampled>> {
        match &self.trace {
            Trace::Unsampled(call) => Some(Arc::clone(call)),
            Trace::Without | Trace::Sampled => None,
        }
    }
}

/// The trace of a context, if it has one.
pub(super) fn trace_id_in(context: &opentelemetry::Context) -> Option<TraceId> {
    Some(context.span().span_context().trace_id()).filter(|id| *id != TraceId::INVALID)
}

/// The span of a call that the collector does not get: for the log in text only.
fn log_span(headers: &HeaderMap) -> Span {
    tracing::info_span!(parent: None, "call", request_id = request_id(headers))
}

fn request_id(headers: &HeaderMap) -> Option<&str> {
    headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok())
}

fn set_all(span: &Span, attributes: impl IntoIterator<Item = KeyValue>) {
    for attribute in attributes {
        span.set_attribute(attribute.key, attribute.value);
    }
}

#[cfg(test)]
mod tests;
