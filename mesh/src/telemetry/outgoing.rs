//! The client spans of outgoing calls, to a peer or a store.

use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::description::Attribute;
use super::tail::{self, NotedCall};
use super::traces::Traces;

/// The client span of an outgoing call. It exists only if the current call is sampled, or may be exported at its end.
#[derive(Debug)]
pub struct OutgoingSpan(Kind);

#[derive(Debug)]
enum Kind {
    Without,
    Sampled(Span),
    Noted(NotedCall),
}

// === impl OutgoingSpan ===

impl OutgoingSpan {
    /// The span of an outgoing call of the current call. `describe` returns its name and its attributes.
    pub fn begin<const N: usize>(
        describe: impl FnOnce() -> (String, [(&'static str, Attribute); N]),
    ) -> Self {
        if let Some(call) = tail::current() {
            let (name, attributes) = describe();
            return Self(call.call_out(name, attributes.into_iter()).map_or(Kind::Without, Kind::Noted));
        }
        if !Span::current().context().span().span_context().is_sampled() {
            return Self(Kind::Without);
        }
        let (name, attributes) = describe();
        let span = tracing::info_span!("outgoing", otel.name = name, otel.kind = "client");
        Self::sampled(span, attributes)
    }

    /// The span of an outgoing call that no incoming one has caused: the first of its trace, if that is sampled.
    pub fn alone<const N: usize>(
        describe: impl FnOnce() -> (String, [(&'static str, Attribute); N]),
    ) -> Self {
        if !Traces::current().is_some_and(Traces::is_sampled) {
            return Self(Kind::Without);
        }
        let (name, attributes) = describe();
        let span = tracing::info_span!(parent: None, "outgoing", otel.name = name, otel.kind = "client");
        Self::sampled(span, attributes)
    }

    fn sampled<const N: usize>(span: Span, attributes: [(&'static str, Attribute); N]) -> Self {
        let span = Self(Kind::Sampled(span));
        for (key, value) in attributes {
            span.set(key, value);
        }
        span
    }

    /// Its trace context, if it is sampled.
    pub(crate) fn context(&self) -> Option<Context> {
        match &self.0 {
            Kind::Sampled(span) => Some(span.context()),
            Kind::Without | Kind::Noted(_) => None,
        }
    }

    /// Whether it exists.
    pub(crate) fn exists(&self) -> bool {
        !matches!(self.0, Kind::Without)
    }

    /// Sets an attribute, for what is known later than its beginning.
    pub fn set(&self, key: &'static str, value: Attribute) {
        match &self.0 {
            Kind::Without => {}
            Kind::Sampled(span) => {
                let KeyValue { key, value, .. } = value.named(key);
                span.set_attribute(key, value);
            }
            Kind::Noted(call) => call.set(key, value),
        }
    }

    /// Marks it as failed, with the kind of its failure, from a closed set.
    pub fn failed(&self, kind: &'static str) {
        match &self.0 {
            Kind::Without => {}
            Kind::Sampled(span) => {
                span.set_attribute("error.type", kind);
                span.set_status(Status::error(""));
            }
            Kind::Noted(call) => call.failed(kind),
        }
    }

    /// Runs a future within it.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        match &self.0 {
            Kind::Sampled(span) => future.instrument(span.clone()).await,
            Kind::Without | Kind::Noted(_) => future.await,
        }
    }
}
