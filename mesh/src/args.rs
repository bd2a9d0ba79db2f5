//! The flags that every process and every service share, flattened into each service's own `Args`.

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};

use crate::telemetry;
use dataflow_settings::{DYNAMIC, SourceArgs};

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for log collectors.
    Json,
    /// For people at a terminal.
    Text,
}

/// What a process needs to know about itself, once however many services it runs.
#[derive(Debug, Clone, Args)]
pub struct ProcessArgs {
    /// Address of the admin port: `/livez`, `/readyz`, `/startupz`, `/metrics`.
    #[arg(long, env = "DATAFLOW_ADMIN", default_value = "127.0.0.1:9090", value_name = "ADDR")]
    pub admin: SocketAddr,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub telemetry: TelemetryArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub sources: SourceArgs,
}

/// What a process says about itself.
#[derive(Debug, Clone, Args)]
pub struct TelemetryArgs {
    /// What to log: a level, or tracing directives such as `info,dataflow_analysis=debug`.
    #[arg(long, env = "DATAFLOW_LOG", default_value = "info", value_parser = telemetry::filter, value_name = "FILTER",
          help_heading = DYNAMIC)]
    pub log: String,

    /// How to write log lines.
    #[arg(long, env = "DATAFLOW_LOG_FORMAT", default_value = "json", value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// Collector that receives traces over OTLP/gRPC, for instance `http://localhost:4317`. Without it no spans are
    /// recorded; trace headers are passed on all the same.
    #[arg(long, env = "DATAFLOW_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Share of the calls that are traced, from 0 to 1, where the caller does not say: whether a caller traces its call is
    /// up to the caller.
    #[arg(long, env = "DATAFLOW_TRACE_RATIO", default_value_t = 1.0, value_parser = telemetry::ratio, value_name = "RATIO")]
    pub trace_ratio: f64,
}

/// How one service listens, limits and stops.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// How long to keep serving after a stop signal, so that load balancers notice first. Default: 0s when listening on
    /// loopback, else 5s.
    #[arg(long, env = "DATAFLOW_DRAIN_DELAY", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub drain_delay: Option<Duration>,

    /// How long calls in flight may take to finish once the service stops accepting; what is left is cut off.
    #[arg(long, env = "DATAFLOW_DRAIN_TIMEOUT", default_value = "20s", value_parser = humantime::parse_duration,
          value_name = "DURATION")]
    pub drain_timeout: Duration,

    /// Largest gRPC message accepted or sent, for instance `64MiB`.
    #[arg(long, env = "DATAFLOW_MAX_MESSAGE_BYTES", default_value = "64MiB", value_name = "SIZE")]
    pub max_message_bytes: ByteSize,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub limits: LimitArgs,

    /// Age at which a connection is asked to go (GOAWAY), give or take a tenth, so that load spreads again after
    /// replicas came or went. Calls in flight finish; streams that watch are cut after the longer of `--request-timeout`
    /// and `--drain-timeout`. 0s: never.
    #[arg(long, env = "DATAFLOW_CONNECTION_AGE", default_value = "30m", value_parser = humantime::parse_duration,
          value_name = "DURATION")]
    pub connection_age: Duration,

    /// Keys of the header `baggage` that are passed on to other services, for instance `session,experiment`. Others are
    /// dropped, since any caller can write them.
    #[arg(long, env = "DATAFLOW_BAGGAGE", value_name = "KEYS", value_delimiter = ',')]
    pub baggage: Vec<String>,
}

/// How much one service does at once, and how long.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// Calls served at once, counted until their answers have left; more are refused with RESOURCE_EXHAUSTED. As many
    /// answers that are streams may last besides. A connection keeps the number of HTTP/2 streams that it began with.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_CONCURRENT_REQUESTS", default_value_t = 1024, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_concurrent_requests: u32,

    /// Connections held at once; more are closed as they come. Keep it below the process' limit of open files.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_CONNECTIONS", default_value_t = 10_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,

    /// Longest a call may take to the last byte of its answer; a shorter `grpc-timeout` of the caller's holds. Streams
    /// that watch are not cut.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_REQUEST_TIMEOUT", default_value = "300s", value_parser = nonzero_duration,
          value_name = "DURATION")]
    pub request_timeout: Duration,
}

/// A duration that is not none at all.
fn nonzero_duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time.is_zero() { Err("must be more than nothing".to_owned()) } else { Ok(time) }
}

impl ServerArgs {
    /// The drain delay that holds for a service listening on `address`.
    pub fn drain_delay_on(&self, address: SocketAddr) -> Duration {
        let default = if address.ip().is_loopback() { Duration::ZERO } else { Duration::from_secs(5) };
        self.drain_delay.unwrap_or(default)
    }

    /// The message limit as tonic wants it.
    pub fn max_message(&self) -> usize {
        usize::try_from(self.max_message_bytes.as_u64()).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
impl ServerArgs {
    /// These flags, for tests of this crate.
    pub(crate) fn parsed(flags: &[&str]) -> Self {
        let command = Self::augment_args(clap::Command::new("test").no_binary_name(true));
        let matches = command.mut_args(|arg| arg.env(None)).get_matches_from(flags);
        clap::FromArgMatches::from_arg_matches(&matches).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drain_delay_depends_on_the_address_unless_the_flag_is_set() {
        let check = |flags: &[&str], address: &str, expected: u64| {
            let delay = ServerArgs::parsed(flags).drain_delay_on(address.parse().unwrap());
            assert_eq!(delay, Duration::from_secs(expected), "{flags:?} on {address}");
        };
        check(&[], "127.0.0.1:80", 0);
        check(&[], "[::1]:80", 0);
        check(&[], "0.0.0.0:80", 5);
        check(&["--drain-delay", "2s"], "127.0.0.1:80", 2);
        check(&["--drain-delay", "0s"], "10.0.0.1:80", 0);
    }
}
