//! Logs and traces of a process. Logs go to standard error, so that standard output stays a command's result.

use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::args::{LogFormat, TelemetryArgs};

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not a list of tracing directives.
    #[error("--log: {0}")]
    Filter(#[from] ParseError),
    /// The collector's address is unusable.
    #[error("--otlp-endpoint: {0}")]
    Endpoint(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The process has telemetry already.
    #[error("telemetry is set up twice: {0}")]
    AlreadySet(#[from] tracing_subscriber::util::TryInitError),
}

/// Flushes what is still buffered when told to.
#[derive(Debug)]
#[must_use = "spans that are still buffered are lost without a flush"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
    filter: LogFilter,
}

/// What the log lets through. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogFilter(Handle<EnvFilter, Registry>);

/// Checks what to log, as a flag gives it.
///
/// # Errors
///
/// What is wrong with it.
pub fn filter(text: &str) -> Result<String, ParseError> {
    directives(text).map(|_| text.to_owned())
}

fn directives(text: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(text)
}

/// Sets up logs, and traces when there is a collector, for the whole process. `service` is its OpenTelemetry
/// `service.name`. Must run inside a tokio runtime, which the exporter uses.
///
/// # Errors
///
/// When a flag is unusable, or when called twice.
pub fn init(args: &TelemetryArgs, service: &'static str) -> Result<Telemetry, Error> {
    let (filter, handle) = reload::Layer::new(directives(&args.log)?);
    let logs = fmt::layer().with_writer(std::io::stderr);
    let logs = match args.log_format {
        LogFormat::Json => logs.json().flatten_event(true).with_span_list(false).boxed(),
        LogFormat::Text => logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
    };

    let provider = match &args.otlp_endpoint {
        Some(endpoint) => {
            let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
            let resource = Resource::builder().with_service_name(service).build();
            let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(args.trace_ratio)));
            let provider = SdkTracerProvider::builder().with_sampler(sampler).with_resource(resource);
            Some(provider.with_batch_exporter(exporter).build())
        }
        None => None,
    };
    let traces = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer(service)).with_filter(own_spans())
    });

    // Logs stand innermost: the handle of a filter that can be replaced names what it stands on.
    tracing_subscriber::registry().with(logs.with_filter(filter)).with(traces).try_init()?;
    Ok(Telemetry { provider, filter: LogFilter(handle) })
}

/// Reads the share of calls that are traced.
pub(crate) fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "must be from 0 to 1".to_owned())
}

/// The span of a call that leaves the process, to a peer or a store. There is one only where the call being served is
/// recorded: else it would be formatted for the log, with every line.
///
/// `describe` gives its name, and what else there is to say of it.
pub fn outgoing<const N: usize>(describe: impl FnOnce() -> (String, [(&'static str, String); N])) -> Span {
    outgoing_in(&Span::current().context(), describe)
}

/// The same, where the trace of the call being served is known.
pub(crate) fn outgoing_in<const N: usize>(
    trace: &Context,
    describe: impl FnOnce() -> (String, [(&'static str, String); N]),
) -> Span {
    if !trace.span().span_context().is_sampled() {
        return Span::none();
    }
    let (name, attributes) = describe();
    let span = tracing::info_span!("outgoing", otel.name = name, otel.kind = "client");
    for (key, value) in attributes {
        span.set_attribute(key, value);
    }
    span
}

/// Spans of our own crates. Those of the libraries below would double every call, and an export, which is a call too,
/// would give rise to the next.
fn own_spans() -> Targets {
    Targets::new().with_target("dataflow", LevelFilter::INFO)
}

// === impl LogFilter ===

impl LogFilter {
    /// Replaces the filter.
    pub fn set(&self, text: &str) {
        let reloaded = directives(text).map(|filter| self.0.reload(filter));
        match reloaded {
            Ok(Ok(())) => tracing::info!(filter = text, "log: filter changed"),
            Ok(Err(error)) => tracing::warn!(%error, "log: filter not changed"),
            Err(error) => tracing::warn!(%error, "log: filter not changed"),
        }
    }
}

// === impl Telemetry ===

impl Telemetry {
    /// The filter of the log, which may change at any time.
    pub fn filter(&self) -> LogFilter {
        self.filter.clone()
    }

    /// Sends what is still buffered. Off the runtime's threads, because the exporter blocks.
    pub async fn flush(self) {
        if let Some(provider) = self.provider {
            let ended = tokio::task::spawn_blocking(move || provider.shutdown()).await;
            if let Ok(Err(error)) = ended {
                tracing::warn!(%error, "the last spans could not be sent");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_from_0_to_1() {
        for right in ["0", "0.25", "1", "1e-3"] {
            assert!(ratio(right).is_ok(), "{right}");
        }
        for wrong in ["-0.1", "1.01", "NaN", "inf", "", "half"] {
            assert!(ratio(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans_of_libraries_are_not_recorded() {
        let check = |target: &str, expected: bool| {
            let recorded = own_spans().would_enable(target, &tracing::Level::INFO);
            assert_eq!(recorded, expected, "{target}");
        };
        check("dataflow_mesh::inbound::observe", true);
        check("dataflow::analyze", true);
        for library in [
            "h2::proto::connection",
            "hyper::client",
            "tonic::transport",
            "tower::buffer",
            "opentelemetry_sdk",
        ] {
            check(library, false);
        }
    }
}
