//! Prometheus metrics of a process: one registry, a sub-registry with the constant label `role` for each service.

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

/// Upper bounds in seconds. 0.1 stands among them because the founding objective is a p95 below 100 ms, and an objective
/// can only be read off at a bound.
const LATENCY_BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// The metrics of one process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Behind a mutex because services register at their start, while the admin port may already be scraped.
    registry: Arc<Mutex<Registry>>,
}

impl Metrics {
    /// Registers a metric under the constant label `role`.
    pub fn register(&self, role: &'static str, name: &str, help: &str, metric: impl Metric) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.sub_registry_with_label(("role".into(), role.into())).register(name, help, metric);
    }

    /// Everything in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        encode(&mut text, &registry).expect("writing to a string does not fail");
        text
    }
}

/// What is counted of every call that a service receives, refused ones included.
#[derive(Debug, Clone)]
pub(crate) struct ServerMetrics {
    in_flight: Family<CallLabels, Gauge>,
    handled: Family<HandledLabels, Counter>,
    seconds: Family<CallLabels, Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    grpc_service: String,
    grpc_method: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandledLabels {
    grpc_service: String,
    grpc_method: String,
    grpc_code: &'static str,
}

// === impl ServerMetrics ===

impl ServerMetrics {
    pub(crate) fn register(metrics: &Metrics, role: &'static str) -> Self {
        let this = Self {
            in_flight: Family::default(),
            handled: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(LATENCY_BOUNDS)),
        };
        metrics.register(role, "grpc_server_in_flight", "Calls being served", this.in_flight.clone());
        metrics.register(role, "grpc_server_handled", "Calls that ended, by code", this.handled.clone());
        metrics.register(
            role,
            "grpc_server_handling_seconds",
            "Time from a call's arrival to the end of its answer",
            this.seconds.clone(),
        );
        this
    }

    pub(crate) fn started(&self, method: &Method) {
        self.in_flight.get_or_create(&CallLabels::of(method)).inc();
    }

    pub(crate) fn ended(&self, method: &Method, code: Code, took: Duration) {
        let labels = CallLabels::of(method);
        self.in_flight.get_or_create(&labels).dec();
        self.seconds.get_or_create(&labels).observe(took.as_secs_f64());
        let handled = HandledLabels {
            grpc_service: labels.grpc_service,
            grpc_method: labels.grpc_method,
            grpc_code: code_label(code),
        };
        self.handled.get_or_create(&handled).inc();
    }
}

impl CallLabels {
    fn of(method: &Method) -> Self {
        Self { grpc_service: method.service.clone(), grpc_method: method.method.clone() }
    }
}

/// The code's name as the gRPC ecosystem's dashboards spell it.
fn code_label(code: Code) -> &'static str {
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
