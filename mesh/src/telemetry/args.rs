//! The flags of logs and traces.

use clap::{Args, ValueEnum};
use dataflow_settings::DYNAMIC;

/// The format of log lines.
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

    /// Format of log lines.
    #[arg(long, env = "DATAFLOW_LOG_FORMAT", default_value = "json", value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// OpenTelemetry collector that receives traces over OTLP/gRPC, for instance `http://localhost:4317`. Without it no
    /// spans are recorded; trace headers are still propagated.
    #[arg(long, env = "DATAFLOW_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Sampling ratio, from 0 to 1, for calls without a sampling decision; the caller's decision is kept.
    #[arg(long, env = "DATAFLOW_TRACE_RATIO", default_value_t = 1.0, value_parser = super::ratio, value_name = "RATIO")]
    pub trace_ratio: f64,
}
