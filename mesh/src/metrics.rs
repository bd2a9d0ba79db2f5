//! Prometheus metrics of a process: one registry with each family once; the label `role` distinguishes the services.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use tonic::Code;

use crate::descriptors::Method;

/// Upper bounds of the histograms, in seconds. 0.1 is one of them because the original objective is a p95 below 100 ms,
/// and a histogram shows compliance only at a bound.
pub const LATENCY_BOUNDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// The metrics of one process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Behind a mutex, because services register families at their start while the admin port may already be scraped.
    registry: Arc<Mutex<Registry>>,
    calls: CallFamilies,
    panics: Counter,
    tasks: TaskMetrics,
    records_lost: Counter,
    spans: SpanMetrics,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let calls = CallFamilies::register(&mut registry);
        let panics = Counter::default();
        registry.register("panics", "Panics in calls, background tasks and threads", panics.clone());
        let tasks = TaskMetrics::register(&mut registry);
        let records_lost = Counter::default();
        let help = "Log records that could not be written to standard error";
        registry.register("log_records_lost", help, records_lost.clone());
        let spans = SpanMetrics::register(&mut registry);
        Self { registry: Arc::new(Mutex::new(registry)), calls, panics, tasks, records_lost, spans }
    }
}

impl Metrics {
    /// Registers a family, once per process. Several services of a process share one family, with the label `role`:
    /// OpenMetrics allows each family only once in an exposition.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register(name, help, metric);
    }

    /// All metrics in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        encode(&mut text, &registry).expect("writing to a string does not fail");
        text
    }

    /// The metrics of calls to one service.
    pub(crate) fn server(&self, role: &'static str) -> ServerMetrics {
        ServerMetrics { role, calls: self.calls.clone() }
    }

    /// The counter of panics.
    pub(crate) fn panics(&self) -> Counter {
        self.panics.clone()
    }

    /// The counter of log records that could not be written.
    pub(crate) fn records_lost(&self) -> Counter {
        self.records_lost.clone()
    }

    /// The metrics of spans.
    pub(crate) fn spans(&self) -> SpanMetrics {
        self.spans.clone()
    }

    /// The metrics of background tasks.
    pub(crate) fn tasks(&self) -> TaskMetrics {
        self.tasks.clone()
    }
}

/// The spans that the collector took, and those that it did not take.
#[derive(Debug, Clone)]
pub(crate) struct SpanMetrics {
    pub(crate) exported: Counter,
    pub(crate) lost: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

// === impl SpanMetrics ===

impl SpanMetrics {
    /// Both series at 0, because a rate needs a first sample.
    fn register(registry: &mut Registry) -> Self {
        let spans: Family<OutcomeLabels, Counter> = Family::default();
        registry.register("trace_spans", "Sampled spans, by whether the collector took them", spans.clone());
        let counter = |outcome| spans.get_or_create(&OutcomeLabels { outcome }).clone();
        Self { exported: counter("exported"), lost: counter("lost") }
    }
}

/// The metrics of background tasks.
#[derive(Debug, Clone)]
pub(crate) struct TaskMetrics {
    restarts: Family<TaskLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskLabels {
    task: &'static str,
}

// === impl TaskMetrics ===

impl TaskMetrics {
    fn register(registry: &mut Registry) -> Self {
        let restarts = Family::default();
        registry.register(
            "task_restarts",
            "Background tasks that started again after a panic",
            restarts.clone(),
        );
        Self { restarts }
    }

    /// Creates the series at 0, because a rate needs a first sample.
    pub(crate) fn started(&self, task: &'static str) {
        drop(self.restarts.get_or_create(&TaskLabels { task }));
    }

    pub(crate) fn restarted(&self, task: &'static str) {
        self.restarts.get_or_create(&TaskLabels { task }).inc();
    }
}

/// The metric families of calls, shared by all services of a process.
#[derive(Debug, Clone)]
struct CallFamilies {
    in_flight: Family<CallLabels, Gauge>,
    handled: Family<HandledLabels, Counter>,
    seconds: Family<CallLabels, Histogram>,
    waiting: Family<RoleLabels, Gauge>,
    left_out: Family<RoleLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoleLabels {
    role: &'static str,
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

// === impl CallFamilies ===

impl CallFamilies {
    fn register(registry: &mut Registry) -> Self {
        let this = Self {
            in_flight: Family::default(),
            handled: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(LATENCY_BOUNDS)),
            waiting: Family::default(),
            left_out: Family::default(),
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
        this
    }
}

/// The metrics of all calls that a service receives, including rejected ones.
#[derive(Debug, Clone)]
pub(crate) struct ServerMetrics {
    role: &'static str,
    calls: CallFamilies,
}

// === impl ServerMetrics ===

impl ServerMetrics {
    /// The role of the service.
    pub(crate) fn role(&self) -> &'static str {
        self.role
    }

    /// The counter of records that the access log left out; at 0 from the start.
    pub(crate) fn left_out(&self) -> Counter {
        self.calls.left_out.get_or_create(&RoleLabels { role: self.role }).clone()
    }

    /// The gauge of calls whose request bodies have not arrived.
    pub(crate) fn waiting_bodies(&self) -> Gauge {
        self.calls.waiting.get_or_create(&RoleLabels { role: self.role }).clone()
    }

    pub(crate) fn started(&self, method: &Method) {
        self.calls.in_flight.get_or_create(&self.labels(method)).inc();
    }

    pub(crate) fn ended(&self, method: &Method, code: Code, took: Duration) {
        let labels = self.labels(method);
        self.calls.in_flight.get_or_create(&labels).dec();
        self.calls.seconds.get_or_create(&labels).observe(took.as_secs_f64());
        let CallLabels { role, grpc_service, grpc_method } = labels;
        let handled = HandledLabels { role, grpc_service, grpc_method, grpc_code: code_label(code) };
        self.calls.handled.get_or_create(&handled).inc();
    }

    /// Counts a call that was rejected before it began, because there was no permit.
    pub(crate) fn rejected(&self, method: &Method) {
        let code = Code::ResourceExhausted;
        let CallLabels { role, grpc_service, grpc_method } = self.labels(method);
        let handled = HandledLabels { role, grpc_service, grpc_method, grpc_code: code_label(code) };
        self.calls.handled.get_or_create(&handled).inc();
    }

    fn labels(&self, method: &Method) -> CallLabels {
        CallLabels { role: self.role, grpc_service: method.service.clone(), grpc_method: method.name.clone() }
    }
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
    use super::*;

    #[test]
    fn services_of_one_process_share_each_family() {
        let metrics = Metrics::default();
        let method = Method::unary("x.v1.Service", "Get");
        for role in ["cache", "config"] {
            let server = metrics.server(role);
            server.started(&method);
            server.ended(&method, Code::Ok, Duration::from_millis(1));
        }
        let text = metrics.encode();
        for family in ["grpc_server_in_flight", "grpc_server_handled", "grpc_server_handling_seconds"] {
            assert_eq!(text.matches(&format!("# TYPE {family} ")).count(), 1, "{text}");
        }
        for role in ["cache", "config"] {
            let sample = format!(
                "grpc_server_handled_total{{role=\"{role}\",grpc_service=\"x.v1.Service\",grpc_method=\"Get\",\
                 grpc_code=\"OK\"}} 1\n"
            );
            assert!(text.contains(&sample), "{text}");
        }
    }
}
