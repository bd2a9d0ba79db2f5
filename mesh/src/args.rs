//! The flags that all processes and all services share, flattened into each service's own `Args`.

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use dataflow_settings::{DYNAMIC, SourceArgs, duration, nonzero_duration};

pub use crate::access_log::AccessLogArgs;
use crate::flow_control::{MAX_HEADER_LIST, MAX_STREAMS};
pub use crate::telemetry::{LogFormat, TelemetryArgs};

/// The most memory of all request messages by default.
const MAX_HELD: u64 = 256 << 20;

/// The default of HTTP/2 streams of a connection to the public port.
const PUBLIC_STREAMS: u32 = 256;

/// Flags of a process, once for all services that it runs.
#[derive(Debug, Clone, Args)]
pub struct ProcessArgs {
    /// Address of the admin port: `/livez`, `/readyz`, `/startupz`, `/metrics`.
    #[arg(long, env = "DATAFLOW_ADMIN", default_value = "127.0.0.1:9090", value_name = "ADDR")]
    pub admin: SocketAddr,

    /// Memory that the process may take. Above 75 % of it caches are emptied and bulk calls are rejected, above 90 %
    /// all calls, while others are in progress. Default: the limit of the cgroup; without one there is no limit.
    #[arg(long, env = "DATAFLOW_MEMORY_LIMIT", value_name = "SIZE")]
    pub memory_limit: Option<ByteSize>,

    /// Share of its limit, in percent, from which on a resource is reported by a log record, by metrics and in the
    /// status: processors and their throttling (over a minute), file descriptors, threads, and the disk of `--data-dir`.
    #[arg(long, env = "DATAFLOW_RESOURCE_MARK", default_value_t = 90, value_name = "PERCENT",
          value_parser = clap::value_parser!(u8).range(1..=100))]
    pub resource_mark: u8,

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
    #[arg(long, env = "DATAFLOW_DRAIN_DELAY", value_parser = duration, value_name = "DURATION")]
    pub drain_delay: Option<Duration>,

    /// Time for calls in flight to finish after the service stops accepting connections; remaining connections are
    /// closed.
    #[arg(long, env = "DATAFLOW_DRAIN_TIMEOUT", default_value = "20s", value_parser = duration,
          value_name = "DURATION")]
    pub drain_timeout: Duration,

    /// Largest gRPC message that is received or sent, for instance `64MiB`.
    #[arg(long, env = "DATAFLOW_MAX_MESSAGE_BYTES", default_value = "64MiB", value_name = "SIZE")]
    pub max_message_bytes: ByteSize,

    /// Memory of all request messages of a service that are received or processed, streamed documents excepted; further
    /// ones are rejected with RESOURCE_EXHAUSTED. One tenant may use all of it; those that use less than a quarter get
    /// up to an eighth more. Default: an eighth of the memory limit, at most 256MiB.
    #[arg(long, env = "DATAFLOW_MAX_HELD_BYTES", value_name = "SIZE")]
    pub max_held_bytes: Option<ByteSize>,

    /// Largest headers of a call, counting 32 additional bytes for each header as HTTP/2 does, at most 128KiB; a call
    /// with more is rejected.
    #[arg(long, env = "DATAFLOW_MAX_HEADER_BYTES", default_value = "32KiB", value_name = "SIZE",
          value_parser = header_bytes)]
    pub max_header_bytes: ByteSize,

    /// Maximum number of HTTP/2 streams of one connection; a client waits with further ones. Default: 256 at the
    /// gateway, whose connections belong to single callers or to proxies that open several; else enough for all
    /// concurrent calls.
    #[arg(long, env = "DATAFLOW_MAX_CONNECTION_STREAMS", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_STREAMS)))]
    pub max_connection_streams: Option<u32>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub limits: LimitArgs,

    /// Age, +/- 10 %, at which a connection gets GOAWAY, so that load is rebalanced after replicas were added or
    /// removed. Calls in flight finish; streaming responses end after the longer of `--request-timeout` and
    /// `--drain-timeout`. 0s: never.
    #[arg(long, env = "DATAFLOW_CONNECTION_AGE", default_value = "30m", value_parser = duration,
          value_name = "DURATION")]
    pub connection_age: Duration,

    /// Keys of the header `baggage` that are propagated to other services, for instance `session,experiment`. Others
    /// are dropped, because any caller can set them.
    #[arg(long, env = "DATAFLOW_BAGGAGE", value_name = "KEYS", value_delimiter = ',')]
    pub baggage: Vec<String>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub access_log: AccessLogArgs,
}

/// Limits of one service on concurrency and time.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// Maximum number of concurrent calls; further ones are rejected with RESOURCE_EXHAUSTED. A call counts from the
    /// arrival of its body, or of 64 KiB of it, until its response is sent. One connection may use all permits; those
    /// that use less than a quarter get up to a quarter more, tenants on a shared connection an eighth, services of the
    /// mesh three eighths; connections of a tenant that uses a quarter or more in all get a sixteenth. Bulk calls leave a
    /// quarter to the others. While the runtime is late, fewer calls are allowed. Streaming responses have as many
    /// permits of their own. As many calls, at least 64, may wait for their bodies; when there are more, the
    /// longest-waiting one of the tenant with most of them, or the connection, is rejected.
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

    /// Longest wait for the next bytes of a request body. Does not apply to bidirectional streams.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_BODY_IDLE_TIMEOUT", default_value = "10s",
          value_parser = nonzero_duration, value_name = "DURATION")]
    pub body_idle_timeout: Duration,

    /// Fewest bytes of a request body in a second, on average after the time of `--body-idle-timeout`; only the time in
    /// which the server waits for the client counts. 0B: any.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MIN_BODY_RATE", default_value = "1KiB", value_name = "SIZE")]
    pub min_body_rate: ByteSize,

    /// Longest wait for a client to take the next 16 KiB of a response; then the stream, or over HTTP/1.1 the
    /// connection, is reset. Only bytes that are ready to be sent count, so that a watch without changes is never
    /// reset.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_RESPONSE_IDLE_TIMEOUT", default_value = "30s",
          value_parser = nonzero_duration, value_name = "DURATION")]
    pub response_idle_timeout: Duration,

    /// Age at which a streaming response to a caller outside the mesh ends with RESOURCE_EXHAUSTED, so that the caller
    /// begins it again. 0s: never.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_STREAM_AGE", default_value = "1h",
          value_parser = duration, value_name = "DURATION")]
    pub max_stream_age: Duration,
}

/// Parses a size of headers. Well below what a connection accepts, so that the limit rejects a call and never ends a
/// connection.
fn header_bytes(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    let most = ByteSize::b((MAX_HEADER_LIST / 2).into());
    if size <= most { Ok(size) } else { Err(format!("must be at most {most}")) }
}

impl ServerArgs {
    /// The drain delay of a service that listens on `address`.
    pub fn drain_delay_on(&self, address: SocketAddr) -> Duration {
        let default = if address.ip().is_loopback() { Duration::ZERO } else { Duration::from_secs(5) };
        self.drain_delay.unwrap_or(default)
    }

    /// The memory of all request messages in bytes, in a process with this limit of memory.
    pub fn max_held(&self, memory: Option<u64>) -> u64 {
        let default = memory.map_or(MAX_HELD, |limit| (limit / 8).min(MAX_HELD));
        self.max_held_bytes.map_or(default, |size| size.as_u64())
    }

    /// The limit of headers in bytes.
    pub(crate) fn max_headers(&self) -> usize {
        usize::try_from(self.max_header_bytes.as_u64()).unwrap_or(usize::MAX)
    }

    /// The HTTP/2 streams of a connection to the public port, or to another one.
    pub(crate) fn max_streams(&self, is_public: bool) -> u32 {
        let enough = self.limits.max_concurrent_requests.saturating_mul(4).saturating_add(64);
        let default = if is_public { PUBLIC_STREAMS } else { enough.min(MAX_STREAMS) };
        self.max_connection_streams.unwrap_or(default)
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
    fn a_mark_is_a_percentage() {
        let command = ProcessArgs::augment_args(clap::Command::new("test").no_binary_name(true));
        let command = command.mut_args(|arg| arg.env(None));
        for (mark, is_valid) in [("0", false), ("1", true), ("100", true), ("101", false), ("x", false)] {
            let matches = command.clone().try_get_matches_from(["--resource-mark", mark]);
            assert_eq!(matches.is_ok(), is_valid, "{mark}");
        }
    }

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
