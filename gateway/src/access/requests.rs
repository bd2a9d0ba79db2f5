//! The metrics of requests by route: the time of all, and the number by status. The time is not by status, because a
//! histogram has many series, and every route several statuses.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use dataflow_mesh::metrics::{LATENCY_BOUNDS, Metrics};
use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;

/// Label values come only from closed sets, never from a caller's input, so that their cardinality is bounded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    role: &'static str,
    http_route: Arc<str>,
    http_request_method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    role: &'static str,
    http_route: Arc<str>,
    http_request_method: &'static str,
    http_response_status_code: u16,
}

/// The labels of an exemplar: the trace of one request that the bucket has counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TraceLabels {
    trace_id: String,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Requests {
    role: &'static str,
    seconds: Family<RouteLabels, HistogramWithExemplars<TraceLabels>>,
    handled: Family<StatusLabels, Counter>,
    /// By route and method, so that a request that is served finds both at once. Bounded by the routes.
    served: RwLock<HashMap<(Arc<str>, &'static str), Served>>,
}

/// What a request of one route and method needs that is served with 200.
#[derive(Debug, Clone)]
struct Served {
    seconds: HistogramWithExemplars<TraceLabels>,
    handled: Counter,
}

// === impl Requests ===

impl Requests {
    pub(super) fn new(role: &'static str, metrics: &Metrics) -> Self {
        let bounds = || HistogramWithExemplars::new(LATENCY_BOUNDS.into_iter());
        let seconds =
            Family::<RouteLabels, HistogramWithExemplars<TraceLabels>>::new_with_constructor(bounds);
        metrics.register(
            "http_server_request_duration_seconds",
            "Time from the arrival of a REST request to the end of its response",
            seconds.clone(),
        );
        let handled = Family::<StatusLabels, Counter>::default();
        metrics.register("http_server_requests", "REST requests that ended, by status", handled.clone());
        Self { role, seconds, handled, served: RwLock::default() }
    }

    /// Counts a request that has ended, of this trace if that is sampled.
    pub(super) fn ended(
        &self,
        route: &Arc<str>,
        method: &'static str,
        status: StatusCode,
        took: Duration,
        trace: Option<String>,
    ) {
        let key = (Arc::clone(route), method);
        let known = self.served.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let Served { seconds, handled } = known.unwrap_or_else(|| self.first(key));
        let exemplar = trace.map(|trace_id| TraceLabels { trace_id });
        seconds.observe(took.as_secs_f64(), exemplar, None);
        if status == StatusCode::OK {
            handled.inc();
        } else {
            self.handled.get_or_create(&self.by_status(route, method, status)).inc();
        }
    }

    /// The first request of a route and method makes its series.
    fn first(&self, (route, method): (Arc<str>, &'static str)) -> Served {
        let labels =
            RouteLabels { role: self.role, http_route: Arc::clone(&route), http_request_method: method };
        let served = Served {
            seconds: self.seconds.get_or_create_owned(&labels),
            handled: self.handled.get_or_create_owned(&self.by_status(&route, method, StatusCode::OK)),
        };
        let mut all = self.served.write().unwrap_or_else(PoisonError::into_inner);
        all.entry((route, method)).or_insert(served).clone()
    }

    fn by_status(&self, route: &Arc<str>, method: &'static str, status: StatusCode) -> StatusLabels {
        StatusLabels {
            role: self.role,
            http_route: Arc::clone(route),
            http_request_method: method,
            http_response_status_code: status.as_u16(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_has_one_histogram_and_a_counter_for_each_status() {
        let metrics = Metrics::default();
        let requests = Requests::new("gateway", &metrics);
        let route: Arc<str> = Arc::from("/v1/rules");
        let took = Duration::from_millis(2);
        let ended = |status, trace: Option<String>| requests.ended(&route, "GET", status, took, trace);
        ended(StatusCode::NOT_FOUND, None);
        ended(StatusCode::OK, Some("00000000000000000000000000000abc".to_owned()));
        ended(StatusCode::OK, None);
        let text = metrics.encode();
        let labels = "role=\"gateway\",http_route=\"/v1/rules\",http_request_method=\"GET\"";
        for sample in [
            format!("http_server_request_duration_seconds_count{{{labels}}} 3"),
            format!("http_server_requests_total{{{labels},http_response_status_code=\"200\"}} 2"),
            format!("http_server_requests_total{{{labels},http_response_status_code=\"404\"}} 1"),
        ] {
            assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
        }
        assert!(text.contains(" 3 # {trace_id=\"00000000000000000000000000000abc\"} 0.002"), "{text}");
    }
}
