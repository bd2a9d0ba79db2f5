//! The access log: one record a call, over every protocol and in every role. Failures and slow calls are logged at
//! info, and on request all calls. Separate from the layers that observe calls, because the gateway answers some
//! requests before any call begins.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use dataflow_settings::duration;
use http::{Extensions, HeaderMap, HeaderValue};
use opentelemetry::trace::TraceId;
use prometheus_client::metrics::counter::Counter;
use tonic::Code;

use crate::context::Context;
use crate::identity::{Names, PeerAddress};
use crate::metrics::{Metrics, code_label};
use crate::propagation::REQUEST_ID;
use crate::sampling::Sampler;
use crate::telemetry::Reason;

/// Which calls are logged at info.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Logged {
    /// Failures of the service or its dependencies, calls over a limit, and slow calls; all others at debug.
    Failures,
    /// All calls.
    All,
}

/// The flags of the access log.
#[derive(Debug, Clone, Args)]
pub struct AccessLogArgs {
    /// The access log: which calls are logged at info instead of debug, over REST and gRPC.
    #[arg(long, env = "DATAFLOW_ACCESS_LOG", default_value = "failures", value_name = "WHICH")]
    pub access_log: Logged,

    /// Calls that take at least this long are logged as slow, streams excepted.
    #[arg(long, env = "DATAFLOW_SLOW_REQUEST", default_value = "1s", value_parser = duration,
          value_name = "DURATION")]
    pub slow_request: Duration,

    /// Most records of the access log at info in a second. Further ones are left out; the field `left_out` of the next
    /// one is their number. Of calls over a limit, 10 are logged in a second.
    #[arg(long, env = "DATAFLOW_ACCESS_LOG_RATE", default_value_t = 1000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub access_log_rate: u32,
}

/// The access log of one role. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessLog {
    role: &'static str,
    logged: Logged,
    slow: Duration,
    records: Sampler,
    /// Samples the records of calls over a limit: under overload they are most of all.
    refusals: Sampler,
    left_out: Counter,
}

/// What passed of a call so far: every request has it as an extension.
#[derive(Debug, Default)]
pub struct Traffic {
    received: AtomicU64,
    /// Microseconds; 0 while no upstream was called.
    upstream: AtomicU64,
}

/// A call that has ended.
#[derive(Clone, Copy)]
pub struct Access<'a> {
    /// `package.Service/Method`, or the method of HTTP.
    pub method: &'a (dyn fmt::Display + Sync),
    /// The template of the path; none over gRPC.
    pub route: Option<&'a str>,
    /// How it ended.
    pub outcome: Outcome,
    /// From its arrival to the end of its response.
    pub took: Duration,
    /// Whether it lasts as long as its caller wants, so that it is not slow.
    pub is_stream: bool,
    /// The bytes of the response's body.
    pub sent: u64,
    /// What passed of the request.
    pub traffic: &'a Traffic,
    /// Where its connection came from.
    pub peer: Option<SocketAddr>,
    /// Who made it.
    pub caller: &'a Caller,
}

/// Who made a call. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The id of its request.
    pub request_id: Option<HeaderValue>,
    /// Its tenant and its subject.
    pub names: Names,
    /// The trace that it belongs to, if there is one.
    pub trace: Option<TraceId>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Over gRPC.
    Code(Code),
    /// Over REST.
    Status(u16),
}

// === impl Outcome ===

impl Outcome {
    /// Whether the service or one of its dependencies failed, or a limit was reached, and not only the caller.
    fn is_failure(self) -> bool {
        match self {
            Outcome::Code(code) => matches!(
                code,
                Code::Unknown
                    | Code::DeadlineExceeded
                    | Code::ResourceExhausted
                    | Code::Internal
                    | Code::Unavailable
                    | Code::DataLoss
            ),
            Outcome::Status(status) => status >= 500 || self.is_over_limit(),
        }
    }

    fn is_over_limit(self) -> bool {
        matches!(self, Outcome::Code(Code::ResourceExhausted) | Outcome::Status(429))
    }
}

// === impl Caller ===

impl Caller {
    /// The caller that the head of a request states, which the gateway or a peer wrote, in this trace.
    pub(crate) fn stated(headers: &HeaderMap, trace: Option<TraceId>) -> Self {
        Self { request_id: headers.get(REQUEST_ID).cloned(), names: Names::stated(headers), trace }
    }
}

// === impl Traffic ===

impl Traffic {
    /// That of a request, which has it since it arrived.
    pub fn of(extensions: &Extensions) -> Arc<Self> {
        extensions.get().cloned().unwrap_or_default()
    }

    /// Counts bytes of the request's body.
    pub(crate) fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds the time from the start of a call to an upstream to the head of its response.
    pub fn add_upstream(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.upstream.fetch_add(micros.max(1), Ordering::Relaxed);
    }

    fn upstream(&self) -> Option<Duration> {
        Some(self.upstream.load(Ordering::Relaxed)).filter(|took| *took > 0).map(Duration::from_micros)
    }
}

// === impl AccessLog ===

impl AccessLog {
    /// The access log of the role of this context.
    pub fn new(args: &AccessLogArgs, context: &Context) -> Self {
        Self::counting(args, context.role, &context.metrics)
    }

    /// That of a role with these metrics.
    pub(crate) fn counting(args: &AccessLogArgs, role: &'static str, metrics: &Metrics) -> Self {
        let AccessLogArgs { access_log: logged, slow_request: slow, access_log_rate } = *args;
        let records = Sampler::new(access_log_rate.into(), Duration::from_secs(1));
        Self { logged, slow, records, refusals: Sampler::default(), role, left_out: metrics.left_out(role) }
    }

    /// Logs a call.
    pub fn record(&self, access: &Access<'_>) {
        let Access { method, route, outcome, took, sent, traffic, peer, caller, .. } = *access;
        let Some(at_info) = self.level(access) else { return };
        // The usual case, in which nothing of the record is formatted.
        if at_info.is_none() && !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let (status, code) = match outcome {
            Outcome::Code(code) => (None, Some(code_label(code))),
            Outcome::Status(status) => (Some(status), None),
        };
        let method = tracing::field::display(method);
        let (took_ms, upstream_ms) = (millis(took), traffic.upstream().map(millis));
        let (bytes_in, bytes_out) = (traffic.received.load(Ordering::Relaxed), sent);
        let peer = peer.map(tracing::field::display);
        let role = self.role;
        let request_id = caller.request_id.as_ref().and_then(|id| id.to_str().ok());
        let trace_id = caller.trace.map(tracing::field::display);
        let (tenant, subject) = (caller.names.tenant(), caller.names.subject());
        let (tenant, subject) = (tenant.as_deref(), subject.as_deref());
        match at_info {
            Some(left_out) => {
                let left_out = Some(left_out).filter(|left_out| *left_out > 0);
                tracing::info!(
                    role,
                    method,
                    route,
                    status,
                    code,
                    took_ms,
                    upstream_ms,
                    bytes_in,
                    bytes_out,
                    peer,
                    request_id,
                    tenant,
                    subject,
                    trace_id,
                    left_out,
                    "call: ended"
                );
            }
            None => tracing::debug!(
                role,
                method,
                route,
                status,
                code,
                took_ms,
                upstream_ms,
                bytes_in,
                bytes_out,
                peer,
                request_id,
                tenant,
                subject,
                trace_id,
                "call: ended"
            ),
        }
    }

    /// Why the trace of a call is exported, if it was not sampled at its start.
    pub fn reason(&self, outcome: Outcome, took: Duration, is_stream: bool) -> Option<Reason> {
        if outcome.is_failure() && !outcome.is_over_limit() {
            Some(Reason::Error)
        } else {
            self.is_slow(took, is_stream).then_some(Reason::Slow)
        }
    }

    fn is_slow(&self, took: Duration, is_stream: bool) -> bool {
        took >= self.slow && !is_stream
    }

    /// The level of a record: at info with the number of those that were left out before it, else at debug. None if it
    /// is left out.
    fn level(&self, Access { outcome, took, is_stream, .. }: &Access<'_>) -> Option<Option<u64>> {
        let is_slow = self.is_slow(*took, *is_stream);
        if self.logged != Logged::All && !is_slow && !outcome.is_failure() {
            return Some(None);
        }
        let sampler = if outcome.is_over_limit() { &self.refusals } else { &self.records };
        let taken = sampler.take();
        if taken.is_none() {
            self.left_out.inc();
        }
        taken.map(Some)
    }
}

/// The address from which the connection of a request came.
pub fn peer_in(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get().map(|PeerAddress(address)| *address)
}

/// Milliseconds, to a microsecond.
pub(crate) fn millis(time: Duration) -> f64 {
    // Exact: far below 2^53 microseconds.
    time.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests;
