//! Prometheus metrics of a process: one registry with each family once; the label `role` distinguishes the services.

mod calls;
mod exposition;
mod refusals;
mod spans;
mod tenants;

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use crate::descriptors::Methods;

use calls::CallFamilies;
pub use calls::Calls;
pub(crate) use calls::{ClientCall, ClientMetrics, ServedMethod, ServerMetrics, code_label};
pub(crate) use exposition::Format;
use refusals::RefusalFamily;
pub use refusals::RefusedCalls;
pub(crate) use spans::SpanMetrics;
use tenants::TenantCalls;

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
    tenants: TenantCalls,
    refusals: RefusalFamily,
    panics: Counter,
    tasks: TaskMetrics,
    records_lost: Counter,
    spans: SpanMetrics,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let build = Info::new(BuildLabels { version: env!("CARGO_PKG_VERSION") });
        registry.register("dataflow_build", "The release of this process", build);
        let (calls, tenants) = (CallFamilies::register(&mut registry), TenantCalls::register(&mut registry));
        let refusals = RefusalFamily::register(&mut registry);
        let panics = Counter::default();
        registry.register("panics", "Panics in calls, background tasks and threads", panics.clone());
        let tasks = TaskMetrics::register(&mut registry);
        let records_lost = Counter::default();
        let help = "Log records that could not be written to standard error";
        registry.register("log_records_lost", help, records_lost.clone());
        let spans = SpanMetrics::register(&mut registry);
        let registry = Arc::new(Mutex::new(registry));
        Self { registry, calls, tenants, refusals, panics, tasks, records_lost, spans }
    }
}

impl Metrics {
    /// Registers a family, once per process. Several services of a process share one family, with the label `role`:
    /// OpenMetrics allows each family only once in an exposition.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register(name, help, metric);
    }

    /// Registers families whose values are read at each scrape.
    pub fn collect(&self, collector: impl Collector) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(collector));
    }

    /// All metrics in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        encode(&mut text, &registry).expect("writing to a string does not fail");
        text
    }

    /// All metrics in this format.
    pub(crate) fn encode_as(&self, format: Format) -> String {
        let text = self.encode();
        match format {
            Format::OpenMetrics => text,
            Format::Prometheus => exposition::prometheus(&text),
        }
    }

    /// The metrics of calls to one service, which has these methods. Calls are counted by tenant where they enter the mesh,
    /// that is where they are `forwarded`: the services behind get the same ones.
    pub(crate) fn server(&self, role: &'static str, methods: &Methods, forwards: bool) -> ServerMetrics {
        let by_tenant = forwards.then(|| self.tenants.of(role));
        ServerMetrics::new(role, methods, self.calls.clone(), self.refused_calls(role), by_tenant)
    }

    /// The counters of the calls that a role refuses, by why; at 0 from the start.
    pub fn refused_calls(&self, role: &'static str) -> RefusedCalls {
        self.refusals.of(role)
    }

    /// The counter of records that the access log of a role left out; at 0 from the start.
    pub(crate) fn left_out(&self, role: &'static str) -> Counter {
        self.calls.left_out(role)
    }

    /// The metrics of the calls that one service makes to peers with these methods.
    pub(crate) fn client(&self, role: &'static str, methods: &Methods) -> ClientMetrics {
        ClientMetrics::new(role, methods, self.calls.clone())
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
