//! The observer of one breaker: metrics, log lines, and a watch channel of its state. It is separate from the state
//! machine, which reports events without knowing their receivers.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;

use super::CircuitState;
use super::outcome::Outcome;
use crate::metrics::Metrics;

/// The metric families of all breakers of a process.
#[derive(Debug, Clone, Default)]
pub(super) struct Families {
    state: Family<NameLabels, Gauge>,
    calls: Family<CallLabels, Counter>,
    transitions: Family<TransitionLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NameLabels {
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    name: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransitionLabels {
    name: String,
    to: &'static str,
}

const SUCCESS: &str = "success";
const FAILURE: &str = "failure";
const REJECTED: &str = "rejected";
const IGNORED: &str = "ignored";

// === impl Families ===

impl Families {
    pub(super) fn register(&self, metrics: &Metrics) {
        metrics.register(
            "circuit_breaker_state",
            "State of a circuit breaker: 0 closed, 1 open, 2 half-open and a probe has succeeded",
            self.state.clone(),
        );
        metrics.register(
            "circuit_breaker_calls",
            "Calls through a circuit breaker, by outcome",
            self.calls.clone(),
        );
        metrics.register(
            "circuit_breaker_transitions",
            "State changes of a circuit breaker, by new state",
            self.transitions.clone(),
        );
    }

    /// The observer of one breaker. It creates all series at once, at zero, because a rate needs a first sample.
    pub(super) fn observer(&self, name: &Arc<str>) -> Observer {
        let calls = |outcome| self.calls.get_or_create_owned(&call_labels(name, outcome));
        let transitions = |to| self.transitions.get_or_create_owned(&transition_labels(name, to));
        Observer {
            name: Arc::clone(name),
            state: self.state.get_or_create_owned(&name_labels(name)),
            successes: calls(SUCCESS),
            failures: calls(FAILURE),
            rejected: calls(REJECTED),
            ignored: calls(IGNORED),
            transitions: CircuitState::ALL.map(transitions),
            changes: watch::Sender::new(CircuitState::Closed),
        }
    }

    /// Removes the series of one breaker. Existing handles still count, but not in these families.
    pub(super) fn remove(&self, name: &str) {
        self.state.remove(&name_labels(name));
        for outcome in [SUCCESS, FAILURE, REJECTED, IGNORED] {
            self.calls.remove(&call_labels(name, outcome));
        }
        for to in CircuitState::ALL {
            self.transitions.remove(&transition_labels(name, to));
        }
    }
}

fn name_labels(name: &str) -> NameLabels {
    NameLabels { name: name.to_owned() }
}

fn call_labels(name: &str, outcome: &'static str) -> CallLabels {
    CallLabels { name: name.to_owned(), outcome }
}

fn transition_labels(name: &str, to: CircuitState) -> TransitionLabels {
    TransitionLabels { name: name.to_owned(), to: to.label() }
}

/// Receives the events of one breaker, under the breaker's lock, so that metrics, log and channel agree on their order.
#[derive(Debug)]
pub(super) struct Observer {
    name: Arc<str>,
    state: Gauge,
    successes: Counter,
    failures: Counter,
    rejected: Counter,
    ignored: Counter,
    /// In the order of [`CircuitState::ALL`].
    transitions: [Counter; 3],
    changes: watch::Sender<CircuitState>,
}

// === impl Observer ===

impl Observer {
    pub(super) fn ended(&self, outcome: Outcome) {
        match outcome {
            Outcome::Success => self.successes.inc(),
            Outcome::Failure => self.failures.inc(),
            Outcome::Ignored => self.ignored.inc(),
        };
    }

    pub(super) fn rejected(&self) {
        self.rejected.inc();
    }

    /// A probe has succeeded, and more are needed: only now the gauge shows that the breaker is half-open.
    pub(super) fn probed(&self) {
        self.state.set(CircuitState::HalfOpen as i64);
    }

    pub(super) fn transitioned(&self, to: CircuitState, cause: fmt::Arguments<'_>) {
        // The first probe may fail at once, and would make the gauge alternate: see `probed`.
        if to != CircuitState::HalfOpen {
            self.state.set(to as i64);
        }
        self.transitions[to as usize].inc();
        self.changes.send_replace(to);
        let name = &*self.name;
        match to {
            CircuitState::Open => tracing::warn!(breaker = name, why = %cause, "circuit breaker: opened"),
            CircuitState::HalfOpen => {
                tracing::info!(breaker = name, why = %cause, "circuit breaker: half-open")
            }
            CircuitState::Closed => tracing::info!(breaker = name, why = %cause, "circuit breaker: closed"),
        }
    }

    pub(super) fn changes(&self) -> watch::Receiver<CircuitState> {
        self.changes.subscribe()
    }
}

// === impl CircuitState ===

impl CircuitState {
    /// All states, indexed by their numbers.
    const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// Its name in labels: `closed`, `open` or `half_open`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}
