//! Logs and traces of a process. Logs are written to standard error, because standard output has the result of a
//! command.

mod args;
mod call_span;
mod description;
mod export;
mod filter;
mod http_span;
mod outgoing;
mod output;
mod record;
mod resource;
mod stage;
mod tail;
mod traces;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Metadata;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, reload};

pub use args::{LogFormat, TelemetryArgs};
pub use call_span::CallSpan;
pub use description::Attribute;
pub(crate) use description::{Description, of_method};
pub use filter::{LogFilter, NotAFilter, filter};
pub use http_span::HttpSpan;
pub use outgoing::OutgoingSpan;
pub use stage::Stage;
pub use tail::Reason;
pub(crate) use tail::current as unsampled;

use filter::in_force;
use output::Output;
use record::JsonLayer;
use resource::Names;

use crate::metrics::Metrics;

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not a list of levels and directives.
    #[error("--log: {0}")]
    Filter(#[from] NotAFilter),
    /// The address of the collector is invalid.
    #[error("--otlp-endpoint: {0}")]
    Endpoint(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Telemetry is already set up in this process.
    #[error("telemetry is already set up: {0}")]
    AlreadySet(#[from] tracing_subscriber::util::TryInitError),
}

/// The telemetry of a process: a handle to change the log filter and to flush spans.
#[derive(Debug)]
#[must_use = "buffered spans are lost without a flush"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
    filter: LogFilter,
}

/// Sets up logs, and traces if there is a collector, for the whole process. `service` is the OpenTelemetry
/// `service.name` unless a variable of OpenTelemetry names it: `dataflow-` and the role, or `dataflow` for several. Must
/// be called within a tokio runtime, which the exporter uses.
///
/// # Errors
///
/// When a flag is invalid, or when called twice.
pub fn init(args: &TelemetryArgs, service: &'static str, metrics: &Metrics) -> Result<Telemetry, Error> {
    // Records in JSON take the names of their call from the call itself, and not from a span.
    let with_spans = args.format() == LogFormat::Text;
    let (filter, handle) = reload::Layer::new(in_force(&args.log, with_spans)?);
    let output = Output::new(metrics.records_lost());
    let resource = resource::resource(args, service);
    let names = Names::of(&resource, service);
    let collector = args.collector();
    let provider = collector.map(|at| export::provider(&at, args, resource, service, metrics.spans()));
    let (provider, traces) = provider.transpose()?.unzip();

    let logs = match args.format() {
        LogFormat::Json => JsonLayer::new(output.clone(), &names, provider.is_some()).boxed(),
        LogFormat::Text => {
            let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            fmt::layer().with_writer(output.clone()).with_ansi(is_terminal).boxed()
        }
    };
    // The log layer is innermost: the type of a reload handle contains the subscriber below it.
    let subscriber = tracing_subscriber::registry().with(logs.with_filter(filter));
    match &provider {
        Some(provider) => subscriber.with(for_collector(provider, service)).try_init()?,
        // Not an absent layer, which has no filter: every span would be created for it.
        None => subscriber.try_init()?,
    }
    if let Some(traces) = traces {
        traces.set();
    }
    Ok(Telemetry { provider, filter: LogFilter::new(handle, with_spans) })
}

/// Parses a sampling ratio.
fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "must be from 0 to 1".to_owned())
}

/// The layer of the spans that are for the collector, without what would cost every span and says nothing of a call.
fn for_collector<S>(provider: &SdkTracerProvider, service: &'static str) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(service))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(FilterFn::new(is_for_collector))
}

/// Whether a span is for the collector: ours that say their kind. Those of libraries would duplicate every call, and the
/// export of spans, which is itself a call, would produce new spans; others of our own are for the log in text.
fn is_for_collector(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
        && metadata.target().starts_with("dataflow")
        && metadata.fields().field("otel.kind").is_some()
}

// === impl Telemetry ===

impl Telemetry {
    /// The handle to the log filter.
    pub fn filter(&self) -> LogFilter {
        self.filter.clone()
    }

    /// Exports the buffered spans, on a blocking thread, because the exporter blocks.
    pub async fn flush(self) {
        if let Some(provider) = self.provider {
            let ended = tokio::task::spawn_blocking(move || provider.shutdown()).await;
            if let Ok(Err(error)) = ended {
                tracing::warn!(%error, "traces: cannot export the last spans");
            }
        }
    }
}

/// Runs work of a test with a subscriber. One at a time: what a subscriber says of a span is cached for all that there
/// are, and a span that only another one wants would exist here too.
#[cfg(test)]
fn with_subscriber<S, T>(subscriber: S, work: impl FnOnce() -> T) -> T
where
    S: tracing::Subscriber + Send + Sync + 'static,
{
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    tracing::subscriber::with_default(subscriber, work)
}

#[cfg(test)]
mod tests {
    use super::traces::tests as traces;
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
    fn a_log_that_needs_no_spans_has_none_created() {
        for with_spans in [true, false] {
            let (filter, _handle) = reload::Layer::new(in_force("info", with_spans).unwrap());
            let logs = fmt::layer().with_writer(std::io::sink).with_filter(filter);
            with_subscriber(tracing_subscriber::registry().with(logs), || {
                assert_eq!(tracing::info_span!("call").is_none(), !with_spans);
            });
        }
    }

    /// The names of the spans that pass to the collector, of these that are created.
    fn passed(create: impl FnOnce()) -> Vec<String> {
        let (provider, exported) = traces::recorded();
        let subscriber = tracing_subscriber::registry().with(for_collector(&provider, "test"));
        with_subscriber(subscriber, create);
        exported.names()
    }

    #[test]
    fn only_our_own_spans_with_a_kind_are_for_the_collector() {
        let names = passed(|| {
            drop(tracing::info_span!(target: "h2::proto::connection", "library", otel.kind = "server"));
            drop(tracing::info_span!("for the log"));
            drop(tracing::info_span!("ours", otel.kind = "server"));
        });
        assert_eq!(names, ["ours"]);
    }
}
