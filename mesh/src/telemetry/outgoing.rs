//! The client spans of outgoing calls, to a peer or a store.

use opentelemetry::Context;
use opentelemetry::trace::{Status, TraceContextExt};
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
}

// === impl Attribute ===

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u16> for Attribute {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

/// The client span of an outgoing call. It exists only if the trace of the current call is sampled, or may be exported
/// at its end: otherwise its fields would be formatted for the log without use.
///
/// `describe` returns its name and its attributes.
pub fn outgoing<const N: usize>(describe: impl FnOnce() -> (String, [(&'static str, Attribute); N])) -> Span {
    outgoing_in(&Span::current().context(), describe)
}

/// The same, with the trace context of the current call.
pub(crate) fn outgoing_in<const N: usize>(
    trace: &Context,
    describe: impl FnOnce() -> (String, [(&'static str, Attribute); N]),
) -> Span {
    let current = trace.span();
    if !current.span_context().is_sampled() && !current.is_recording() {
        return Span::none();
    }
    let (name, attributes) = describe();
    let span = tracing::info_span!("outgoing", otel.name = name, otel.kind = "client");
    for (key, value) in attributes {
        set(&span, key, value);
    }
    span
}

/// The client span of an outgoing call that no incoming one has caused: the first of its trace, if there is a collector.
pub fn outgoing_alone<const N: usize>(
    describe: impl FnOnce() -> (String, [(&'static str, Attribute); N]),
) -> Span {
    let span = tracing::info_span!(parent: None, "outgoing", otel.name = field::Empty, otel.kind = "client");
    if span.set_parent(Context::new()).is_err() {
        return Span::none();
    }
    let (name, attributes) = describe();
    span.record("otel.name", name);
    for (key, value) in attributes {
        set(&span, key, value);
    }
    span
}

/// Sets an attribute of the span of a call, for what is known later than its beginning.
pub fn set(span: &Span, key: &'static str, value: Attribute) {
    match value {
        Attribute::Text(text) => span.set_attribute(key, text),
        Attribute::Number(number) => span.set_attribute(key, number),
    }
}

/// Marks the span of a call as failed, with the kind of its failure, from a closed set.
pub fn failed(span: &Span, kind: &'static str) {
    span.set_attribute("error.type", kind);
    span.set_status(Status::error(""));
}
