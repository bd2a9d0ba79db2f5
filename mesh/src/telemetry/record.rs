//! The log in JSON: one object a line. A record has the fields of its event, the names of the process, and the call in
//! which it arose. Separate from tracing's own format, which writes numbers of 128 bits as text and knows no call.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use opentelemetry::trace::{SpanContext, TraceContextExt, TraceId};
use tracing::field::{Field, Visit};
use tracing::{Event, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::Context;

use super::output::Output;
use super::resource::Names;
use crate::propagation;

/// The names that a record gets unless its event has a field with the same name.
const OVERRIDABLE: [&str; 5] = ["role", "request_id", "tenant", "subject", "trace_id"];

/// Room that a buffer keeps between two records.
const KEPT: usize = 16 << 10;

thread_local! {
    static BUFFER: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The layer that writes records.
#[derive(Debug)]
pub(super) struct JsonLayer {
    output: Output,
    /// The members that all records have.
    names: String,
    role: Option<&'static str>,
    /// Whether spans are recorded.
    has_traces: bool,
}

// === impl JsonLayer ===

impl JsonLayer {
    pub(super) fn new(output: Output, names: &Names, has_traces: bool) -> Self {
        let mut text = String::new();
        member(&mut text, "service", &names.service);
        member(&mut text, "version", env!("CARGO_PKG_VERSION"));
        for (key, name) in [("pod", &names.pod), ("namespace", &names.namespace), ("node", &names.node)] {
            if let Some(name) = name {
                member(&mut text, key, name);
            }
        }
        Self { output, names: text, role: names.role, has_traces }
    }

    /// Appends the record of an event and the end of its line.
    fn write(&self, record: &mut String, event: &Event<'_>) {
        record.push_str("{\"time\":\"");
        // Fails only if its destination does.
        let _ = SystemTime.format_time(&mut Writer::new(record));
        let _ = write!(record, "\",\"level\":\"{}\"", event.metadata().level());
        let mut fields = Fields { record, target: None, has: [false; OVERRIDABLE.len()] };
        event.record(&mut fields);
        let Fields { target, has, .. } = fields;
        member(record, "target", target.as_deref().unwrap_or(event.metadata().target()));
        record.push_str(&self.names);
        let mut add = |key: &'static str, text: Option<&str>| {
            let has_own = OVERRIDABLE.iter().zip(has).any(|(name, has)| *name == key && has);
            if let Some(text) = text.filter(|text| !text.is_empty() && !has_own) {
                member(record, key, text);
            }
        };
        add("role", propagation::with_current(|call| call.role).or(self.role));
        let incoming = propagation::with_current(|call| {
            add("request_id", call.request_id());
            let caller = call.caller();
            add("tenant", caller.tenant().as_deref());
            add("subject", caller.subject().as_deref());
            call.trace().span().span_context().trace_id()
        });
        let own = if self.has_traces { own_span() } else { None };
        let trace = own.as_ref().map(SpanContext::trace_id).or(incoming).filter(|id| *id != TraceId::INVALID);
        if let Some(trace) = trace {
            add("trace_id", Some(&trace.to_string()));
        }
        if let Some(own) = own {
            let _ = write!(record, ",\"span_id\":\"{}\"", own.span_id());
        }
        record.push_str("}\n");
    }
}

impl<S: Subscriber> Layer<S> for JsonLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        BUFFER.with(|buffer| match buffer.try_borrow_mut() {
            Ok(mut record) => {
                record.clear();
                record.shrink_to(KEPT);
                self.write(&mut record, event);
                self.output.write_record(record.as_bytes());
            }
            // The value of a field logs while it is formatted.
            Err(_) => {
                let mut record = String::new();
                self.write(&mut record, event);
                self.output.write_record(record.as_bytes());
            }
        });
    }
}

/// The span in which this thread is: one that is sampled, or that a call has if it is exported at its end.
fn own_span() -> Option<SpanContext> {
    let sampled = Span::current().context().span().span_context().clone();
    if sampled.is_valid() {
        return Some(sampled);
    }
    super::unsampled().map(|call| call.context().clone())
}

/// The fields of an event, which become members of its record.
struct Fields<'a> {
    record: &'a mut String,
    /// The target of a record of the crate `log`, which is one of its fields.
    target: Option<String>,
    /// Which of the overridable names the event has.
    has: [bool; OVERRIDABLE.len()],
}

// === impl Fields ===

impl Fields<'_> {
    /// Begins a member; false if the field is none.
    fn begin(&mut self, field: &Field) -> bool {
        let name = field.name();
        if name.starts_with("log.") {
            return false;
        }
        if let Some(index) = OVERRIDABLE.iter().position(|known| *known == name) {
            self.has[index] = true;
        }
        self.record.push_str(",\"");
        escape(self.record, name);
        self.record.push_str("\":");
        true
    }

    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        if self.begin(field) {
            let _ = write!(self.record, "{value}");
        }
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no other numbers.
        if value.is_finite() {
            self.plain(field, value);
        } else {
            self.record_str(field, &value.to_string());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.plain(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.plain(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            self.target = Some(value.to_owned());
        }
        if self.begin(field) {
            self.record.push('"');
            escape(self.record, value);
            self.record.push('"');
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.begin(field) {
            self.record.push('"');
            let _ = write!(Escaped(self.record), "{value:?}");
            self.record.push('"');
        }
    }
}

/// Text within quotes.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

/// Appends a member that is text.
fn member(record: &mut String, key: &str, text: &str) {
    let _ = write!(record, ",\"{key}\":\"");
    escape(record, text);
    record.push('"');
}

/// Appends text as it stands within the quotes of a JSON string (RFC 8259, 7).
fn escape(record: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '"' => record.push_str("\\\""),
            '\\' => record.push_str("\\\\"),
            '\n' => record.push_str("\\n"),
            '\r' => record.push_str("\\r"),
            '\t' => record.push_str("\\t"),
            // Also DEL and the controls that terminals obey.
            character if character.is_control() => {
                let _ = write!(record, "\\u{:04x}", u32::from(character));
            }
            character => record.push(character),
        }
    }
}

#[cfg(test)]
mod tests;
