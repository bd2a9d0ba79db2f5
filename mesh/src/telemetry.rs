//! Logs and traces of a process. Logs are written to standard error, because standard output has the result of a
//! command.

mod args;

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

pub use args::{LogFormat, TelemetryArgs};

/// The levels of a log filter.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Why a text is not a log filter.
#[derive(Debug, thiserror::Error)]
pub enum NotAFilter {
    /// A level is none.
    #[error("{given:?} is not a level; expected one of {}, or TARGET=LEVEL", LEVELS.join(", "))]
    Level {
        /// The word in its place.
        given: String,
    },
    /// A directive is malformed.
    #[error(transparent)]
    Directive(#[from] ParseError),
}

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

/// A handle to the log filter. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogFilter(Handle<EnvFilter, Registry>);

/// Validates a log filter, for flags.
///
/// # Errors
///
/// Where the filter is invalid.
pub fn filter(text: &str) -> Result<String, NotAFilter> {
    directives(text).map(|_| text.to_owned())
}

/// Parses a log filter. `warning` is accepted for `warn`. A word that is no level is an error: tracing takes it for the
/// name of a target, and logs nothing else.
fn directives(text: &str) -> Result<EnvFilter, NotAFilter> {
    let parts: Vec<_> = text.split(',').map(str::trim).collect();
    let normal = parts.into_iter().map(|part| {
        let (target, level) = match part.rsplit_once('=') {
            Some((target, level)) => (format!("{target}="), level),
            // The fields of a span may contain any character.
            None if part.contains(['[', '{']) => return Ok(part.to_owned()),
            None => (String::new(), part),
        };
        let level = if level.eq_ignore_ascii_case("warning") { "warn" } else { level };
        let is_level = LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level));
        if is_level { Ok(target + level) } else { Err(NotAFilter::Level { given: level.to_owned() }) }
    });
    let normal = normal.collect::<Result<Vec<_>, _>>()?.join(",");
    Ok(EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(normal)?)
}

/// Sets up logs, and traces if there is a collector, for the whole process. `service` is the OpenTelemetry
/// `service.name`. Must be called within a tokio runtime, which the exporter uses.
///
/// # Errors
///
/// When a flag is invalid, or when called twice.
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

    // The log layer is innermost: the type of a reload handle contains the subscriber below it.
    tracing_subscriber::registry().with(logs.with_filter(filter)).with(traces).try_init()?;
    Ok(Telemetry { provider, filter: LogFilter(handle) })
}

/// Parses a sampling ratio.
fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "must be from 0 to 1".to_owned())
}

/// The client span of an outgoing call, to a peer or a store. It exists only if the trace of the current call is
/// sampled: otherwise its fields would be formatted for the log without use.
///
/// `describe` returns its name and its attributes.
pub fn outgoing<const N: usize>(describe: impl FnOnce() -> (String, [(&'static str, String); N])) -> Span {
    outgoing_in(&Span::current().context(), describe)
}

/// The same, with the trace context of the current call.
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

/// Passes the spans of our own crates only. Those of libraries would duplicate every call, and the export of spans,
/// which is itself a call, would produce new spans.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_levels_and_nothing_that_silences_the_log() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let found = directives(text).map(|filter| filter.to_string()).map_err(|error| error.to_string());
            match expected {
                Ok(expected) => assert_eq!(found.as_deref(), Ok(expected), "{text}"),
                Err(expected) => assert!(found.unwrap_err().contains(expected), "{text}"),
            }
        };
        check("info", Ok("info"));
        check("WARN", Ok("warn"));
        check("warning", Ok("warn"));
        check("info, dataflow_mesh=warning", Ok("dataflow_mesh=warn,info"));
        check("info,[call{id=7}]=debug", Ok("info,[call{id=7}]=debug"));
        check("inf", Err("\"inf\" is not a level; expected one of off, error, warn"));
        check("info,dataflow_mesh", Err("\"dataflow_mesh\" is not a level"));
        check("dataflow_mesh=loud", Err("\"loud\" is not a level"));
        check("", Err("\"\" is not a level"));
    }

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
