//! The log filter: its syntax, and the handle that changes it while the process runs.

use tracing::subscriber::Interest;
use tracing::{Event, Id, Metadata, Subscriber, span};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, ParseError};
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::reload::Handle;

/// The levels of a log filter.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The target of the exporter's records.
const EXPORTER: &str = "opentelemetry-otlp";

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

/// A handle to the log filter. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogFilter {
    handle: Handle<RecordFilter, Registry>,
    with_spans: bool,
}

/// What passes to the log: records by level and target, and spans only if something of the log needs them. A span that
/// passes to no layer costs a call nothing.
#[derive(Debug)]
pub(super) struct RecordFilter {
    directives: EnvFilter,
    with_spans: bool,
}

// === impl LogFilter ===

impl LogFilter {
    /// Changes the filter behind `handle`. `with_spans` as for [`in_force`].
    pub(super) fn new(handle: Handle<RecordFilter, Registry>, with_spans: bool) -> Self {
        Self { handle, with_spans }
    }

    /// Replaces the filter.
    pub fn set(&self, text: &str) {
        let reloaded = in_force(text, self.with_spans).map(|filter| self.handle.reload(filter));
        match reloaded {
            Ok(Ok(())) => tracing::info!(filter = text, "log: filter changed"),
            Ok(Err(error)) => tracing::warn!(%error, "log: filter not changed"),
            Err(error) => tracing::warn!(%error, "log: filter not changed"),
        }
    }
}

/// Validates a log filter, for flags.
///
/// # Errors
///
/// Where the filter is invalid.
pub fn filter(text: &str) -> Result<String, NotAFilter> {
    directives(text).map(|_| text.to_owned())
}

/// The filter of the log, whose format needs spans or not. It leaves out the records of the exporter of spans, which
/// logs each failure, unless a directive names it: [`super::export`] logs failures at a rate.
pub(super) fn in_force(text: &str, with_spans: bool) -> Result<RecordFilter, NotAFilter> {
    let mut directives = directives(text)?;
    if !text.contains(EXPORTER) {
        directives = directives.add_directive(format!("{EXPORTER}=off").parse()?);
    }
    // A directive may be about the records in a span.
    Ok(RecordFilter { directives, with_spans: with_spans || text.contains('[') })
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

// === impl RecordFilter ===

impl RecordFilter {
    fn passes(&self, metadata: &Metadata<'_>) -> bool {
        self.with_spans || metadata.is_event()
    }
}

impl<S: Subscriber> Filter<S> for RecordFilter {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        self.passes(metadata) && Filter::enabled(&self.directives, metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.passes(metadata) {
            Filter::<S>::callsite_enabled(&self.directives, metadata)
        } else {
            Interest::never()
        }
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        Filter::event_enabled(&self.directives, event, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.directives)
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &Id, context: Context<'_, S>) {
        Filter::on_new_span(&self.directives, attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &span::Record<'_>, context: Context<'_, S>) {
        Filter::on_record(&self.directives, id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        Filter::on_enter(&self.directives, id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        Filter::on_exit(&self.directives, id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        Filter::on_close(&self.directives, id, context);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{Layer, reload};

    use super::super::with_subscriber;
    use super::*;

    /// Keeps level and target of each event.
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let metadata = event.metadata();
            self.0.lock().unwrap().push(format!("{} {}", metadata.level(), metadata.target()));
        }
    }

    #[test]
    fn levels_change_by_target_while_the_process_runs() {
        let kept = Arc::<Mutex<Vec<String>>>::default();
        let (filter, handle) = reload::Layer::new(in_force("info", false).unwrap());
        let layer = Kept(Arc::clone(&kept)).with_filter(filter);
        let logged = || {
            tracing::debug!(target: "dataflow_one::part", "any");
            tracing::info!(target: "dataflow_other", "any");
            tracing::warn!(target: "opentelemetry-otlp", "any");
            std::mem::take(&mut *kept.lock().unwrap())
        };
        let check = |filter: &str, expected: &[&str]| {
            LogFilter::new(handle.clone(), false).set(filter);
            let own = module_path!().trim_end_matches("::tests");
            kept.lock().unwrap().retain(|record| !record.ends_with(own));
            assert_eq!(logged(), expected, "{filter}");
        };
        with_subscriber(tracing_subscriber::registry().with(layer), || {
            check("info", &["INFO dataflow_other"]);
            check("off,dataflow_one=debug", &["DEBUG dataflow_one::part"]);
            check("debug,dataflow_other=warn", &["DEBUG dataflow_one::part"]);
            check("no such level", &["DEBUG dataflow_one::part"]);
            check("off,opentelemetry-otlp=warn", &["WARN opentelemetry-otlp"]);
        });
    }

    #[test]
    fn spans_exist_where_the_log_or_a_directive_needs_them() {
        let exists = |text: &str, with_spans: bool| {
            let (filter, handle) = reload::Layer::new(in_force("info", with_spans).unwrap());
            let layer = Kept(Arc::default()).with_filter(filter);
            with_subscriber(tracing_subscriber::registry().with(layer), || {
                LogFilter::new(handle, with_spans).set(text);
                !tracing::info_span!("call").is_none()
            })
        };
        assert!(exists("info", true));
        assert!(!exists("info", false));
        assert!(!exists("debug", false));
        assert!(exists("info,[call]=debug", false));
    }

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
}
