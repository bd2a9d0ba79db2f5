//! Readiness of the process: ready when every service has dropped its latch, and not ready again once it drains. It
//! covers this process only, and what is declared critical to it: an upstream that is down must not make callers unready
//! that can work without it.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::watch;

use crate::dependencies::Dependencies;
use crate::metrics::Metrics;

/// The readiness of one process, shared by its services and its admin port.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    /// A watch channel, because some callers wait for readiness while others read it.
    state: Arc<watch::Sender<ReadinessState>>,
    dependencies: Dependencies,
}

#[derive(Debug, Clone, Copy, Default)]
struct ReadinessState {
    /// Number of latches, that is, of services that have not finished warming up. A count, because services are
    /// independent of each other.
    pending: usize,
    /// Set with the first latch: a process without a service is not ready either.
    has_service: bool,
    /// Set once, when the first service starts to drain: the process leaves as a whole.
    draining: bool,
}

/// A guard that keeps the process not ready until it is dropped.
#[derive(Debug)]
pub struct Latch {
    state: Arc<watch::Sender<ReadinessState>>,
}

// === impl ReadinessState ===

impl ReadinessState {
    fn started(self) -> bool {
        self.has_service && self.pending == 0
    }

    fn ready(self) -> bool {
        self.started() && !self.draining
    }
}

// === impl Readiness ===

impl Readiness {
    /// Keeps the process not ready until the latch is dropped.
    pub fn latch(&self) -> Latch {
        self.state.send_modify(|state| {
            state.pending += 1;
            state.has_service = true;
        });
        Latch { state: Arc::clone(&self.state) }
    }

    /// Shows it in the metrics.
    pub(crate) fn show(&self, metrics: &Metrics) {
        metrics.collect(Shown(self.clone()));
    }

    /// Whether there were latches and all have been dropped: the result of the startup probe.
    pub fn started(&self) -> bool {
        self.state.borrow().started()
    }

    /// Whether the process accepts traffic: the result of the readiness probe.
    pub fn ready(&self) -> bool {
        self.state.borrow().ready() && !self.dependencies.is_critical_failing()
    }

    /// What the process depends on.
    pub fn dependencies(&self) -> &Dependencies {
        &self.dependencies
    }

    /// Resolves when the process is ready.
    pub async fn until_ready(&self) {
        let mut state = self.state.subscribe();
        state.wait_for(|state| state.ready()).await.expect("`self` owns the sender");
    }

    /// Makes the process not ready, for good: it shuts down.
    pub fn drain(&self) {
        self.state.send_modify(|state| state.draining = true);
    }
}

/// The result of the readiness probe, read at each scrape: it also depends on what is critical.
#[derive(Debug)]
struct Shown(Readiness);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Whether the process accepts traffic, as /readyz says";
        let metric = encoder.encode_descriptor("process_ready", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(self.0.ready())).encode(metric)
    }
}

impl Drop for Latch {
    fn drop(&mut self) {
        self.state.send_modify(|state| state.pending -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dependencies::Criticality;

    #[test]
    fn only_a_critical_dependency_that_fails_makes_the_process_not_ready() {
        let (readiness, metrics) = (Readiness::default(), Metrics::default());
        readiness.show(&metrics);
        let shown = |ready: u8| metrics.encode().contains(&format!("\nprocess_ready {ready}\n"));
        assert!(shown(0));
        drop(readiness.latch());
        let declare = |name, criticality| readiness.dependencies().declare(name, criticality);
        let (optional, critical) =
            (declare("a/b", Criticality::Optional), declare("a/c", Criticality::Critical));
        optional.failed(&"refused");
        assert!(readiness.ready());
        assert!(shown(1));
        critical.failed(&"refused");
        assert!(!readiness.ready() && readiness.started());
        assert!(shown(0));
        critical.succeeded();
        assert!(readiness.ready() && shown(1));
    }

    #[tokio::test]
    async fn ready_when_the_last_latch_is_dropped_and_until_drain() {
        let readiness = Readiness::default();
        assert!(!readiness.ready(), "no service yet");
        let (one, two) = (readiness.latch(), readiness.latch());
        assert!(!readiness.ready());
        drop(one);
        assert!(!readiness.ready());
        let waiting = tokio::spawn({
            let readiness = readiness.clone();
            async move { readiness.until_ready().await }
        });
        drop(two);
        waiting.await.unwrap();
        assert!(readiness.ready() && readiness.started());
        readiness.drain();
        assert!(!readiness.ready() && readiness.started());
    }
}
