//! The metrics of the calls that a service makes to peers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use tonic::Code;

use crate::descriptors::{Method, Methods};

use super::{CallFamilies, CallLabels, HandledLabels, ServiceLabels};

/// The metrics of the calls that a service makes to peers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ClientMetrics {
    role: &'static str,
    calls: CallFamilies,
    methods: Methods,
    /// What each call needs, so that it formats and hashes no labels.
    by_path: Arc<HashMap<String, MadeCalls>>,
}

/// The metrics of one method of a peer.
#[derive(Debug, Clone)]
struct MadeCalls {
    in_flight: Gauge,
    served: Counter,
    seconds: Histogram,
}

/// A call to a peer, which counts as canceled when it is dropped before it has ended.
#[derive(Debug)]
pub(crate) struct ClientCall {
    metrics: ClientMetrics,
    method: Method,
    made: MadeCalls,
    start: Instant,
    ended: bool,
}

// === impl ClientMetrics ===

impl ClientMetrics {
    /// Creates the series of all methods at 0, as those of a server.
    pub(in crate::metrics) fn new(role: &'static str, methods: Methods, calls: CallFamilies) -> Self {
        let by_path = methods.by_path().map(|(path, method)| (path.to_owned(), made(role, &calls, method)));
        let by_path = Arc::new(by_path.collect());
        Self { role, calls, methods, by_path }
    }

    /// Counts a call that begins. A method that is not described is `unknown`: a client may have chosen its name.
    pub(crate) fn started(&self, path: &str) -> ClientCall {
        let method = self.methods.get(path).cloned();
        let (method, made) = match (method, self.by_path.get(path)) {
            (Some(method), Some(made)) => (method, made.clone()),
            _ => {
                let unknown = Method::unary("unknown", "unknown");
                let made = made(self.role, &self.calls, &unknown);
                (unknown, made)
            }
        };
        made.in_flight.inc();
        ClientCall { metrics: self.clone(), method, made, start: Instant::now(), ended: false }
    }
}

/// The metrics of one method, which exist from now on.
fn made(role: &'static str, calls: &CallFamilies, method: &Method) -> MadeCalls {
    let (grpc_service, grpc_method) = (method.service.clone(), method.name.clone());
    let seconds =
        calls.made_seconds.get_or_create_owned(&ServiceLabels { role, grpc_service: grpc_service.clone() });
    let labels = CallLabels { role, grpc_service, grpc_method };
    let in_flight = calls.made_in_flight.get_or_create_owned(&labels);
    let served = calls.made.get_or_create_owned(&HandledLabels::new(labels, Code::Ok));
    MadeCalls { in_flight, served, seconds }
}

// === impl ClientCall ===

impl ClientCall {
    /// Counts the end of the call.
    pub(crate) fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.made.in_flight.dec();
        self.made.seconds.observe(self.start.elapsed().as_secs_f64());
        if code == Code::Ok {
            self.made.served.inc();
            return;
        }
        let ClientMetrics { role, calls, .. } = &self.metrics;
        let (grpc_service, grpc_method) = (self.method.service.clone(), self.method.name.clone());
        let labels = CallLabels { role, grpc_service, grpc_method };
        calls.made.get_or_create(&HandledLabels::new(labels, code)).inc();
    }
}

impl Drop for ClientCall {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{HEALTH, has, health};
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn calls_to_peers_count_once_by_their_code_and_unknown_methods_together() {
        let metrics = Metrics::default();
        let client = metrics.client("analysis", health());
        let path = format!("/{HEALTH}/Check");
        let mut call = client.started(&path);
        let labels = format!("role=\"analysis\",grpc_service=\"{HEALTH}\",grpc_method=\"Check\"");
        has(&metrics, &format!("grpc_client_in_flight{{{labels}}} 1"));
        call.end(Code::Ok);
        call.end(Code::Unavailable);
        drop(call);
        client.started(&path).end(Code::Unavailable);
        drop(client.started(&path));
        for (code, count) in [("OK", 1), ("Unavailable", 1), ("Canceled", 1)] {
            has(&metrics, &format!("grpc_client_handled_total{{{labels},grpc_code=\"{code}\"}} {count}"));
        }
        has(&metrics, &format!("grpc_client_in_flight{{{labels}}} 0"));
        let before = metrics.encode().lines().count();
        for number in 0..100_000 {
            client.started(&format!("/odd.{number}/\"{{}}")).end(Code::Ok);
        }
        // Three of the method `unknown`, and one histogram.
        assert!(metrics.encode().lines().count() <= before + 20);
    }
}
