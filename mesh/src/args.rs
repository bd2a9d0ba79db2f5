//! The flags that all processes and all services share, flattened into each service's own `Args`.

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use dataflow_settings::{DYNAMIC, SourceArgs};

pub use crate::telemetry::{LogFormat, TelemetryArgs};

/// Flags of a process, once for all services that it runs.
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

/// Flags of the server of one service: messages, limits, connections and drain.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// Time to keep serving after SIGTERM or SIGINT, while load balancers remove the endpoint. Default: 0s when
    /// listening on loopback, else 5s.
    #[arg(long, env = "DATAFLOW_DRAIN_DELAY", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub drain_delay: Option<Duration>,

    /// Time for calls in flight to finish after the service stops accepting connections; remaining connections are
    /// closed.
    #[arg(long, env = "DATAFLOW_DRAIN_TIMEOUT", default_value = "20s", value_parser = humantime::parse_duration,
          value_name = "DURATION")]
    pub drain_timeout: Duration,

    /// Largest gRPC message that is received or sent, for instance `64MiB`.
    #[arg(long, env = "DATAFLOW_MAX_MESSAGE_BYTES", default_value = "64MiB", value_name = "SIZE")]
    pub max_message_bytes: ByteSize,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub limits: LimitArgs,

    /// Age, +/- 10 %, at which a connection gets GOAWAY, so that load is rebalanced after replicas were added or
    /// removed. Calls in flight finish; streaming responses end after the longer of `--request-timeout` and
    /// `--drain-timeout`. 0s: never.
    #[arg(long, env = "DATAFLOW_CONNECTION_AGE", default_value = "30m", value_parser = humantime::parse_duration,
          value_name = "DURATION")]
    pub connection_age: Duration,

    /// Keys of the header `baggage` that are propagated to other services, for instance `session,experiment`. Others
    /// are dropped, because any caller can set them.
    #[arg(long, env = "DATAFLOW_BAGGAGE", value_name = "KEYS", value_delimiter = ',')]
    pub baggage: Vec<String>,
}

/// Limits of one service on concurrency and time.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// Maximum number of concurrent calls; further ones are rejected with RESOURCE_EXHAUSTED. A call counts until its
    /// response is sent. The same number of streaming responses is allowed in addition. A change does not apply to the
    /// HTTP/2 stream limit of connections that are already open.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_CONCURRENT_REQUESTS", default_value_t = 1024,
          value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_concurrent_requests: u32,

    /// Maximum number of open connections; further ones are closed at once. Keep it below the process's limit of open
    /// files.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_CONNECTIONS", default_value_t = 10_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,

    /// Timeout of a call, to the last byte of its response; a shorter `grpc-timeout` of the caller takes precedence. A
    /// streaming response must only begin within it.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_REQUEST_TIMEOUT", default_value = "300s",
          value_parser = nonzero_duration, value_name = "DURATION")]
    pub request_timeout: Duration,
}

/// Parses a duration that is not zero.
fn nonzero_duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time.is_zero() { Err("must be longer than 0s".to_owned()) } else { Ok(time) }
}

impl ServerArgs {
    /// The drain delay of a service that listens on `address`.
    pub fn drain_delay_on(&self, address: SocketAddr) -> Duration {
        let default = if address.ip().is_loopback() { Duration::ZERO } else { Duration::from_secs(5) };
        self.drain_delay.unwrap_or(default)
    }

    /// The message limit in the type that tonic takes.
    pub fn max_message(&self) -> usize {
        usize::try_from(self.max_message_bytes.as_u64()).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
impl ServerArgs {
    /// Parses these flags, for tests of this crate.
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
