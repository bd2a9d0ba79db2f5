//! How the process decides at the start of a call whether its trace is exported. Separate from the sampler of the SDK,
//! which decides when a span exists already: a call that is not sampled should cost none.

use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId};

use super::tail::{Tail, Unsampled};
use crate::propagation;

/// Set once, if the process has a collector.
static CURRENT: OnceLock<Traces> = OnceLock::new();

/// The decisions of a process.
#[derive(Debug)]
pub(super) struct Traces {
    /// The share of the calls without a decision of their caller that are sampled.
    pub(super) ratio: f64,
    /// For decisions at the end of a call, unless there are none.
    pub(super) tail: Option<Arc<Tail>>,
}

/// How the trace of a call starts.
#[derive(Debug)]
pub(super) enum Start {
    /// Below this span, or in a new trace where there is none.
    Sampled(Context),
    /// It may be exported at the end of the call.
    Unsampled(Unsampled),
    /// In this trace, of which this process exports nothing.
    Without(TraceId),
}

// === impl Traces ===

impl Traces {
    /// Those of the process, if it has a collector.
    pub(super) fn current() -> Option<&'static Self> {
        CURRENT.get()
    }

    /// Makes these the decisions of the process, unless it has some.
    pub(super) fn set(self) {
        // Set-up, which may happen once, reports that it has happened before.
        let _ = CURRENT.set(self);
    }

    /// Whether a trace without a decision is sampled.
    pub(super) fn is_sampled(&self) -> bool {
        // Below 1, so that a ratio of 1 samples all.
        fastrand::f64() < self.ratio
    }

    /// Decides on the trace of a call with these headers: as its caller has, or by the ratio. `is_entry`: the call enters
    /// the mesh here, so that it is also decided at its end.
    pub(super) fn start(&self, headers: &mut HeaderMap, is_entry: bool) -> Start {
        let caller = propagation::extract(headers);
        let from = caller.span().span_context().clone();
        let is_sampled = if from.is_valid() { from.is_sampled() } else { self.is_sampled() };
        if is_sampled {
            return Start::Sampled(caller);
        }
        let own = unsampled(&from);
        if !from.is_valid() {
            propagation::set_unsampled(&own, headers);
        }
        match &self.tail {
            Some(tail) if is_entry => Start::Unsampled(Unsampled::begin(tail, own, from.span_id())),
            _ => Start::Without(own.trace_id()),
        }
    }
}

/// The context of a call that is not sampled: in the trace of its caller, or in a new one.
fn unsampled(caller: &SpanContext) -> SpanContext {
    let trace = match caller.is_valid() {
        true => caller.trace_id(),
        false => TraceId::from(fastrand::u128(1..)),
    };
    let id = SpanId::from(fastrand::u64(1..));
    SpanContext::new(trace, id, TraceFlags::NOT_SAMPLED, false, caller.trace_state().clone())
}

#[cfg(test)]
pub(super) mod tests;
