//! The metrics of the calls that a service makes to peers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use tonic::Code;

use crate::descriptors::{Method, Methods};

use super::{CallFamilies, HandledLabels, ServiceLabels, labels};

/// The metrics of the calls that a service makes to peers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ClientMetrics(Arc<Client>);

#[derive(Debug)]
struct Client {
    role: &'static str,
    calls: CallFamilies,
    by_path: HashMap<String, Arc<CalledMethod>>,
}

/// A method of a peer, with what each call of it needs, so that it formats and hashes no labels.
#[derive(Debug)]
struct CalledMethod {
    method: Method,
    in_flight: Gauge,
    served: Counter,
    seconds: Histogram,
}

/// A call to a peer, which counts as canceled when it is dropped before it has ended.
#[derive(Debug)]
pub(crate) struct ClientCall {
    metrics: ClientMetrics,
    called: Arc<CalledMethod>,
    start: Instant,
    ended: bool,
}

// === impl ClientMetrics ===

impl ClientMetrics {
    /// Creates the series of all methods at 0, as those of a server.
    pub(in crate::metrics) fn new(role: &'static str, methods: &Methods, calls: CallFamilies) -> Self {
        let called = |(path, method): (&str, &Method)| {
            (path.to_owned(), Arc::new(CalledMethod::new(role, &calls, method.clone())))
        };
        let by_path = methods.by_path().map(called).collect();
        Self(Arc::new(Client { role, calls, by_path }))
    }

    /// Counts a call that begins. A method that is not described is `unknown`: a client may have chosen its name.
    pub(crate) fn started(&self, path: &str) -> ClientCall {
        let Client { role, calls, by_path } = &*self.0;
        let called = by_path
            .get(path)
            .cloned()
            .unwrap_or_else(|| Arc::new(CalledMethod::new(role, calls, Method::unary("unknown", "unknown"))));
        called.in_flight.inc();
        ClientCall { metrics: self.clone(), called, start: Instant::now(), ended: false }
    }
}

// === impl CalledMethod ===

impl CalledMethod {
    /// The metrics of one method, which exist from now on.
    fn new(role: &'static str, calls: &CallFamilies, method: Method) -> Self {
        let service = ServiceLabels { role, grpc_service: method.service.clone() };
        let seconds = calls.made_seconds.get_or_create_owned(&service);
        let labels = labels(role, &method);
        let in_flight = calls.made_in_flight.get_or_create_owned(&labels);
        let served = calls.made.get_or_create_owned(&HandledLabels::new(labels, Code::Ok));
        Self { method, in_flight, served, seconds }
    }
}

// === impl ClientCall ===

impl ClientCall {
    /// Counts the end of the call.
    pub(crate) fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.called.in_flight.dec();
        self.called.seconds.observe(self.start.elapsed().as_secs_f64());
        if code == Code::Ok {
            self.called.served.inc();
            return;
        }
        let Client { role, calls, .. } = &*self.metrics.0;
        calls.made.get_or_create(&HandledLabels::new(labels(role, &self.called.method), code)).inc();
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
        let client = metrics.client("analysis", &health());
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
