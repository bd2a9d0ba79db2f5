//! The export of spans to the collector, on a thread of its own: no call waits for it. A collector that is out of
//! reach, never answers or is overloaded costs the spans, their count in a metric, and a few log records at WARN.

use std::time::Duration;

use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler as Decision, SdkTracerProvider, SpanData, SpanExporter as Export};

use super::Error;
use crate::metrics::SpanMetrics;
use crate::sampling::Sampler;

/// Time between two log records of failed exports.
const LOG_PERIOD: Duration = Duration::from_secs(60);

/// Exports through the inner exporter, and never fails: the SDK would log every failure at ERROR.
#[derive(Debug)]
struct Reporting<E> {
    inner: E,
    spans: SpanMetrics,
    failures: Sampler,
}

// === impl Reporting ===

impl<E: Export> Export for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        match self.inner.export(batch).await {
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

/// The provider of spans for the collector at this address. Headers, timeout and compression are those of the variables
/// of OpenTelemetry (`OTEL_EXPORTER_OTLP_HEADERS`, `_TIMEOUT`, `_COMPRESSION`).
pub(super) fn provider(
    collector: &str,
    ratio: f64,
    resource: Resource,
    spans: SpanMetrics,
) -> Result<SdkTracerProvider, Error> {
    let inner = SpanExporter::builder().with_tonic().with_endpoint(collector).build()?;
    let failures = Sampler::new(1, LOG_PERIOD);
    let exporter = Reporting { inner, spans, failures };
    let sampler = Decision::ParentBased(Box::new(Decision::TraceIdRatioBased(ratio)));
    let provider = SdkTracerProvider::builder().with_sampler(sampler).with_resource(resource);
    Ok(provider.with_batch_exporter(exporter).build())
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Tracer, TracerProvider};
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
        let exporter = Reporting { inner: Refusing, spans: spans.clone(), failures: failures.clone() };
        let tracer = SdkTracerProvider::builder().with_simple_exporter(exporter).build();
        for _ in 0..3 {
            drop(tracer.tracer("test").start("a span"));
        }
        assert_eq!((spans.exported.get(), spans.lost.get()), (0, 3));
        assert!(failures.take().is_none(), "the record of this period has been logged");
    }
}
