//! The spans of the stages of a call within this process.

use opentelemetry::trace::TraceContextExt;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::Attribute;

/// The span of a stage of the current call. It exists only if the call is sampled, and ends when this is dropped.
#[derive(Debug)]
pub struct Stage(Option<Span>);

// === impl Stage ===

impl Stage {
    /// Begins a stage; its name is from a closed set.
    pub fn begin(name: &'static str) -> Self {
        let is_sampled = Span::current().context().span().span_context().is_sampled();
        Self(is_sampled.then(|| tracing::info_span!("stage", otel.name = name, otel.kind = "internal")))
    }

    /// Sets an attribute, for what is known at its end.
    pub fn set(&self, key: &'static str, value: Attribute) {
        if let Some(span) = &self.0 {
            let attribute = value.named(key);
            span.set_attribute(attribute.key, attribute.value);
        }
    }

    /// Runs a future within it.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        match &self.0 {
            Some(span) => future.instrument(span.clone()).await,
            None => future.await,
        }
    }
}
