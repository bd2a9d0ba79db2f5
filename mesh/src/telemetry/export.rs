//! The export of spans to the collector, on a thread of its own: no call waits for it. A collector that is out of
//! reach, never answers or is overloaded costs the spans, their count in a metric, and a few log records at WARN.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, OTEL_BSP_MAX_QUEUE_SIZE_DEFAULT};
use opentelemetry_sdk::trace::{Sampler as Decision, SdkTracerProvider, SpanData, SpanExporter as Export};
use opentelemetry_sdk::trace::{Span, SpanProcessor};

use super::tail::Tail;
use super::traces::Traces;
use super::{Error, TelemetryArgs};
use crate::metrics::SpanMetrics;
use crate::sampling::Sampler;

/// Time between two log records of failed exports.
const LOG_PERIOD: Duration = Duration::from_secs(60);

/// The most spans that wait for their export. The SDK drops further ones without a count.
const QUEUE: usize = OTEL_BSP_MAX_QUEUE_SIZE_DEFAULT;

/// Exports through the inner exporter, and never fails: the SDK would log every failure at ERROR.
#[derive(Debug)]
struct Reporting<E> {
    inner: E,
    spans: SpanMetrics,
    failures: Sampler,
    waiting: Arc<AtomicUsize>,
}

// === impl Reporting ===

impl<E: Export> Export for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let outcome = self.inner.export(batch).await;
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        match outcome {
            Ok(()) => {
                self.spans.exported.inc_by(spans as u64);
            }
            Err(error) => {
                self.spans.lost.inc_by(spans as u64);
                if let Some(left_out) = self.failures.take() {
                    tracing::warn!(%error, spans, left_out, "traces: collector did not take spans, spans lost");
                }
            }
        }
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Passes spans to the next processor while fewer than [`QUEUE`] wait there, and counts the others.
#[derive(Debug)]
struct Queue<P> {
    next: P,
    spans: SpanMetrics,
    waiting: Arc<AtomicUsize>,
}

// === impl Queue ===

impl<P: SpanProcessor> SpanProcessor for Queue<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < QUEUE {
            self.next.on_end(span);
        } else {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.spans.no_room.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }
}

/// A queue that has its resource already.
#[derive(Debug)]
struct Shared<P>(Arc<P>);

impl<P: SpanProcessor> SpanProcessor for Shared<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.0.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.0.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }
}

/// The provider of spans for the collector at this address, and how the process decides on traces. Headers and timeout
/// are those of the variables of OpenTelemetry (`OTEL_EXPORTER_OTLP_HEADERS`, `_TIMEOUT`).
pub(super) fn provider(
    collector: &str,
    args: &TelemetryArgs,
    resource: Resource,
    service: &'static str,
    spans: SpanMetrics,
) -> Result<(SdkTracerProvider, Traces), Error> {
    let inner = SpanExporter::builder().with_tonic().with_endpoint(collector).build()?;
    let (failures, waiting) = (Sampler::new(1, LOG_PERIOD), Arc::default());
    let exporter = Reporting { inner, spans: spans.clone(), failures, waiting: Arc::clone(&waiting) };
    let batches = BatchConfigBuilder::default().with_max_queue_size(QUEUE).build();
    let mut next = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    next.set_resource(&resource);
    let queue = Arc::new(Queue { next, spans: spans.clone(), waiting });
    let rate = args.trace_tail_rate;
    let tail = (rate > 0).then(|| Arc::new(Tail::new(Arc::clone(&queue) as _, service, rate, spans)));
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_span_processor(Shared(queue))
        // A span exists only where the trace is sampled: see `Traces`.
        .with_sampler(Decision::ParentBased(Box::new(Decision::AlwaysOn)))
        .build();
    Ok((provider, Traces { ratio: args.trace_ratio, tail }))
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Span as _, Tracer, TracerProvider};
    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;
    use crate::metrics::Metrics;

    #[derive(Debug)]
    struct Refusing;

    impl Export for Refusing {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            Err(OTelSdkError::InternalFailure("429".to_owned()))
        }
    }

    #[tokio::test]
    async fn failed_exports_are_counted_and_logged_once_in_a_period() {
        let spans = Metrics::default().spans();
        let failures = Sampler::new(1, LOG_PERIOD);
        let waiting = Arc::new(AtomicUsize::new(3));
        let exporter = Reporting {
            inner: Refusing,
            spans: spans.clone(),
            failures: failures.clone(),
            waiting: Arc::clone(&waiting),
        };
        let tracer = SdkTracerProvider::builder().with_simple_exporter(exporter).build();
        for _ in 0..3 {
            drop(tracer.tracer("test").start("a span"));
        }
        assert_eq!((spans.exported.get(), spans.lost.get()), (0, 3));
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
        assert!(failures.take().is_none(), "the record of this period has been logged");
    }

    /// A processor that never gets rid of what it has.
    #[derive(Debug, Default)]
    struct Stuck(Arc<AtomicUsize>);

    impl SpanProcessor for Stuck {
        fn on_start(&self, _: &mut Span, _: &Context) {}

        fn on_end(&self, _: SpanData) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    #[test]
    fn spans_beyond_the_queue_are_counted() {
        let (spans, kept) = (Metrics::default().spans(), Arc::default());
        let next = Stuck(Arc::clone(&kept));
        let queue = Queue { next, spans: spans.clone(), waiting: Arc::default() };
        let provider = SdkTracerProvider::builder().with_span_processor(queue).build();
        let tracer = provider.tracer("test");
        for _ in 0..QUEUE + 3 {
            tracer.start("a span").end();
        }
        assert_eq!((kept.load(Ordering::Relaxed), spans.no_room.get()), (QUEUE, 3));
    }
}
