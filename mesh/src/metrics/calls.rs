//! The metrics of calls: those that a service receives, and those that it makes to peers.

mod client;
mod totals;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::trace::TraceId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tonic::Code;

use crate::descriptors::{Method, Methods};
use crate::status::Refusal;

use super::LATENCY_BOUNDS;
use super::refusals::RefusedCalls;
use super::tenants::ByTenant;
pub(crate) use client::{ClientCall, ClientMetrics};
use totals::CallTotals;
pub use totals::Calls;

/// The metric families of calls, shared by all services of a process.
#[derive(Debug, Clone)]
pub(super) struct CallFamilies {
    in_flight: Family<CallLabels, Gauge>,
    handled: Family<HandledLabels, Counter>,
    seconds: Family<CallLabels, HistogramWithExemplars<TraceLabels>>,
    waiting: Family<RoleLabels, Gauge>,
    left_out: Family<RoleLabels, Counter>,
    made_in_flight: Family<CallLabels, Gauge>,
    made: Family<HandledLabels, Counter>,
    /// By service and not by method: a histogram has many series, and what a peer takes is known by method at its side.
    made_seconds: Family<ServiceLabels, Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoleLabels {
    role: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    role: &'static str,
    grpc_service: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    role: &'static str,
    grpc_service: Arc<str>,
    grpc_method: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandledLabels {
    role: &'static str,
    grpc_service: Arc<str>,
    grpc_method: Arc<str>,
    grpc_code: &'static str,
}

/// The labels of an exemplar: the trace of one call that the bucket has counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TraceLabels {
    trace_id: String,
}

// === impl CallFamilies ===

impl CallFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let this = Self {
            in_flight: Family::default(),
            handled: Family::default(),
            seconds: Family::new_with_constructor(|| HistogramWithExemplars::new(LATENCY_BOUNDS.into_iter())),
            waiting: Family::default(),
            left_out: Family::default(),
            made_in_flight: Family::default(),
            made: Family::default(),
            made_seconds: Family::new_with_constructor(|| Histogram::new(LATENCY_BOUNDS)),
        };
        registry.register("grpc_server_in_flight", "Calls in progress", this.in_flight.clone());
        registry.register("grpc_server_handled", "Calls that ended, by code", this.handled.clone());
        registry.register(
            "grpc_server_handling_seconds",
            "Time from the arrival of a call to the end of its response",
            this.seconds.clone(),
        );
        let help = "Calls whose request bodies have not arrived";
        registry.register("grpc_server_waiting_bodies", help, this.waiting.clone());
        let help = "Records that the access log left out, above its rate";
        registry.register("access_log_left_out", help, this.left_out.clone());
        let help = "Calls to peers in progress";
        registry.register("grpc_client_in_flight", help, this.made_in_flight.clone());
        registry.register("grpc_client_handled", "Calls to peers that ended, by code", this.made.clone());
        let help = "Time from a call to a peer to the end of its response";
        registry.register("grpc_client_handling_seconds", help, this.made_seconds.clone());
        this
    }

    /// The counter of records that the access log of a role left out.
    pub(super) fn left_out(&self, role: &'static str) -> Counter {
        self.left_out.get_or_create(&RoleLabels { role }).clone()
    }
}

// === impl HandledLabels ===

impl HandledLabels {
    fn new(labels: CallLabels, code: Code) -> Self {
        let CallLabels { role, grpc_service, grpc_method } = labels;
        Self { role, grpc_service, grpc_method, grpc_code: code_label(code) }
    }
}

/// The metrics of all calls that a service receives, including rejected ones. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ServerMetrics {
    role: &'static str,
    calls: CallFamilies,
    by_path: Arc<HashMap<String, Arc<ServedMethod>>>,
    by_tenant: Option<ByTenant>,
    /// Why calls were refused, which are counted as calls that ended as well.
    pub(crate) refused: RefusedCalls,
    totals: CallTotals,
}

/// A method of a service, with what each of its calls needs, so that it formats and hashes no labels.
#[derive(Debug)]
pub(crate) struct ServedMethod {
    /// The method.
    pub(crate) method: Method,
    in_flight: Gauge,
    served: Counter,
    /// Made by the end of the first call: it has many series.
    seconds: OnceLock<HistogramWithExemplars<TraceLabels>>,
}

// === impl ServerMetrics ===

impl ServerMetrics {
    /// Creates the series of calls in progress and of calls without an error at 0, because a rate needs a first sample.
    /// Other codes appear with their first call: few of them ever do.
    pub(super) fn new(
        role: &'static str,
        methods: &Methods,
        calls: CallFamilies,
        refused: RefusedCalls,
        by_tenant: Option<ByTenant>,
    ) -> Self {
        let served = |(path, method): (&str, &Method)| {
            (path.to_owned(), Arc::new(ServedMethod::new(role, &calls, method.clone())))
        };
        let by_path = Arc::new(methods.by_path().map(served).collect());
        Self { role, calls, by_path, by_tenant, refused, totals: CallTotals::default() }
    }

    /// The role of the service.
    pub(crate) fn role(&self) -> &'static str {
        self.role
    }

    /// The calls that have ended, for the status.
    pub(crate) fn totals(&self) -> CallTotals {
        self.totals.clone()
    }

    /// The gauge of calls whose request bodies have not arrived.
    pub(crate) fn waiting_bodies(&self) -> Gauge {
        self.calls.waiting.get_or_create(&RoleLabels { role: self.role }).clone()
    }

    /// Counts a call that begins, of the method at this path: of `unknown` if there is none, since a client may have chosen
    /// its name.
    pub(crate) fn started(&self, path: &str) -> Arc<ServedMethod> {
        let served = self.by_path.get(path).cloned().unwrap_or_else(|| {
            Arc::new(ServedMethod::new(self.role, &self.calls, Method::unary("unknown", "unknown")))
        });
        served.in_flight.inc();
        served
    }

    /// Counts a call that has ended, of this tenant, and of this trace if that is sampled.
    pub(crate) fn ended(
        &self,
        served: &ServedMethod,
        code: Code,
        took: Duration,
        tenant: &[u8],
        trace: Option<TraceId>,
    ) {
        served.in_flight.dec();
        let exemplar = trace.map(|trace| TraceLabels { trace_id: trace.to_string() });
        let seconds = served
            .seconds
            .get_or_init(|| self.calls.seconds.get_or_create_owned(&labels(self.role, &served.method)));
        seconds.observe(took.as_secs_f64(), exemplar, None);
        if code == Code::Ok {
            served.served.inc();
        } else {
            self.failed(&served.method, code);
        }
        self.totals.count(code, Some(took).filter(|_| !served.method.streams));
        if let Some(by_tenant) = &self.by_tenant {
            by_tenant.count(tenant, code);
        }
    }

    /// Counts a call that was rejected before it began, because there was no permit.
    pub(crate) fn rejected(&self, method: &Method, tenant: &[u8]) {
        let code = Code::ResourceExhausted;
        self.failed(method, code);
        self.refused.count(Refusal::Overload);
        self.totals.count(code, None);
        if let Some(by_tenant) = &self.by_tenant {
            by_tenant.count(tenant, code);
        }
    }

    fn failed(&self, method: &Method, code: Code) {
        self.calls.handled.get_or_create(&HandledLabels::new(labels(self.role, method), code)).inc();
    }
}

// === impl ServedMethod ===

impl ServedMethod {
    fn new(role: &'static str, calls: &CallFamilies, method: Method) -> Self {
        let labels = labels(role, &method);
        let in_flight = calls.in_flight.get_or_create_owned(&labels);
        let served = calls.handled.get_or_create_owned(&HandledLabels::new(labels, Code::Ok));
        Self { method, in_flight, served, seconds: OnceLock::new() }
    }
}

fn labels(role: &'static str, method: &Method) -> CallLabels {
    CallLabels { role, grpc_service: method.service.clone(), grpc_method: method.name.clone() }
}

/// The name of the code, spelled as in the dashboards of gRPC libraries.
pub(crate) fn code_label(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::Metrics;

    use super::*;

    pub(super) const HEALTH: &str = "grpc.health.v1.Health";

    pub(super) fn health() -> Methods {
        Methods::of(&[HEALTH], tonic_health::pb::FILE_DESCRIPTOR_SET)
    }

    pub(super) fn has(metrics: &Metrics, sample: &str) {
        let text = metrics.encode();
        assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
    }

    #[test]
    fn services_of_one_process_share_each_family() {
        let metrics = Metrics::default();
        for role in ["cache", "config"] {
            let server = metrics.server(role, &health(), false);
            let served = server.started(&format!("/{HEALTH}/Check"));
            server.ended(&served, Code::Ok, Duration::from_millis(1), b"", None);
        }
        let text = metrics.encode();
        for family in ["grpc_server_in_flight", "grpc_server_handled", "grpc_server_handling_seconds"] {
            assert_eq!(text.matches(&format!("# TYPE {family} ")).count(), 1, "{text}");
        }
        for role in ["cache", "config"] {
            let labels = format!("role=\"{role}\",grpc_service=\"{HEALTH}\",grpc_method=\"Check\"");
            has(&metrics, &format!("grpc_server_handled_total{{{labels},grpc_code=\"OK\"}} 1"));
        }
    }

    #[test]
    fn methods_are_present_before_their_first_call() {
        let metrics = Metrics::default();
        metrics.server("cache", &health(), true);
        metrics.client("analysis", &health());
        for (side, role) in [("server", "cache"), ("client", "analysis")] {
            for method in ["Check", "Watch"] {
                let labels = format!("role=\"{role}\",grpc_service=\"{HEALTH}\",grpc_method=\"{method}\"");
                has(&metrics, &format!("grpc_{side}_in_flight{{{labels}}} 0"));
                has(&metrics, &format!("grpc_{side}_handled_total{{{labels},grpc_code=\"OK\"}} 0"));
            }
        }
    }

    #[test]
    fn methods_that_do_not_exist_count_as_one() {
        let metrics = Metrics::default();
        let server = metrics.server("cache", &health(), true);
        for number in 0..100_000 {
            let served = server.started(&format!("/odd.{number}/\"{{}}"));
            server.ended(&served, Code::Unimplemented, Duration::from_millis(1), b"", None);
        }
        let labels = "role=\"cache\",grpc_service=\"unknown\",grpc_method=\"unknown\"";
        has(&metrics, &format!("grpc_server_in_flight{{{labels}}} 0"));
        let ended = format!("grpc_server_handled_total{{{labels},grpc_code=\"Unimplemented\"}} 100000");
        has(&metrics, &ended);
        assert_eq!(
            metrics.encode().matches("grpc_method=\"unknown\"").count(),
            3 + 2 + LATENCY_BOUNDS.len() + 1
        );
    }

    #[test]
    fn a_bucket_names_a_trace_that_it_has_counted() {
        let metrics = Metrics::default();
        let server = metrics.server("cache", &health(), true);
        let served = server.started(&format!("/{HEALTH}/Check"));
        let trace = TraceId::from(0xabc);
        server.ended(&served, Code::Ok, Duration::from_millis(2), b"", Some(trace));
        let text = metrics.encode();
        assert!(text.contains(" 1 # {trace_id=\"00000000000000000000000000000abc\"} 0.002"), "{text}");
    }
}
