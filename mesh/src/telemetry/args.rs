//! The flags of logs and traces.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use dataflow_settings::DYNAMIC;

/// The variables of OpenTelemetry that name the collector, the more specific one first.
const COLLECTOR_VARIABLES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// The format of log records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for log collectors.
    Json,
    /// For people at a terminal.
    Text,
}

/// Flags of logs and traces.
#[derive(Debug, Clone, Args)]
pub struct TelemetryArgs {
    /// Log filter: a level, or tracing directives such as `info,dataflow_analysis=debug`.
    #[arg(long, env = "DATAFLOW_LOG", default_value = "info", value_parser = super::filter, value_name = "FILTER",
          help_heading = DYNAMIC)]
    pub log: String,

    /// Format of log records. Default: `text` if standard error is a terminal, else `json`.
    #[arg(long, env = "DATAFLOW_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// OpenTelemetry collector that receives traces over OTLP/gRPC, for instance `http://localhost:4317`. Default:
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT`. Without any of them no spans are
    /// recorded; trace headers are still propagated.
    #[arg(long, env = "DATAFLOW_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Sampling ratio, from 0 to 1, for calls without a sampling decision; the caller's decision is kept.
    #[arg(long, env = "DATAFLOW_TRACE_RATIO", default_value_t = 1.0, value_parser = super::ratio, value_name = "RATIO")]
    pub trace_ratio: f64,

    /// Most traces in a second of calls that failed or were slow (`--slow-request`), and that were not sampled at their
    /// start; 0: none. It is decided when the call has ended, where it entered the mesh: such a trace has the spans of
    /// the gateway only.
    #[arg(long, env = "DATAFLOW_TRACE_TAIL_RATE", default_value_t = 10, value_name = "N")]
    pub trace_tail_rate: u32,

    /// Name of the pod, for logs and traces; Kubernetes knows it (`metadata.name`).
    #[arg(long, env = "DATAFLOW_POD", value_name = "NAME")]
    pub pod: Option<String>,

    /// Namespace of the pod, for logs and traces (`metadata.namespace`).
    #[arg(long, env = "DATAFLOW_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,

    /// Node of the pod, for logs and traces (`spec.nodeName`).
    #[arg(long, env = "DATAFLOW_NODE", value_name = "NAME")]
    pub node: Option<String>,
}

// === impl TelemetryArgs ===

impl TelemetryArgs {
    /// The flags of a command for people: its log in text, and no traces, whatever the environment says.
    pub fn of_command(log: String) -> Self {
        Self {
            log,
            log_format: Some(LogFormat::Text),
            otlp_endpoint: Some(String::new()),
            trace_ratio: 0.0,
            trace_tail_rate: 0,
            pod: None,
            namespace: None,
            node: None,
        }
    }

    /// The format of log records.
    pub(super) fn format(&self) -> LogFormat {
        let is_terminal = std::io::stderr().is_terminal();
        self.log_format.unwrap_or(if is_terminal { LogFormat::Text } else { LogFormat::Json })
    }

    /// The address of the collector, if there is one.
    pub(super) fn collector(&self) -> Option<String> {
        self.collector_in(|variable| std::env::var(variable).ok())
    }

    /// The same in this environment. An empty variable is one that is not set; an empty flag means no collector.
    fn collector_in(&self, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
        let is_set = |address: &String| !address.is_empty();
        match &self.otlp_endpoint {
            Some(address) => Some(address.clone()).filter(is_set),
            None => COLLECTOR_VARIABLES.into_iter().find_map(|name| variable(name).filter(is_set)),
        }
    }
}

#[cfg(test)]
impl TelemetryArgs {
    /// Parses these flags, for tests of this module.
    pub(super) fn parsed(flags: &[&str]) -> Self {
        let command = Self::augment_args(clap::Command::new("test").no_binary_name(true));
        let matches = command.mut_args(|arg| arg.env(None)).get_matches_from(flags);
        clap::FromArgMatches::from_arg_matches(&matches).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_names_the_collector_or_else_a_variable_of_opentelemetry() {
        let check = |flags: &[&str], variables: &[(&str, &str)], expected: Option<&str>| {
            let variable = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            let found = TelemetryArgs::parsed(flags).collector_in(variable);
            assert_eq!(found.as_deref(), expected, "{flags:?} {variables:?}");
        };
        let [traces, all] = COLLECTOR_VARIABLES;
        check(&[], &[], None);
        check(&[], &[(all, "http://a:1")], Some("http://a:1"));
        check(&[], &[(traces, "http://b:1"), (all, "http://a:1")], Some("http://b:1"));
        check(&[], &[(traces, ""), (all, "http://a:1")], Some("http://a:1"));
        check(&["--otlp-endpoint", "http://c:1"], &[(all, "http://a:1")], Some("http://c:1"));
        check(&["--otlp-endpoint", ""], &[(all, "http://a:1")], None);
    }
}
