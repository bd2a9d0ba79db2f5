//! The metrics of spans: what the collector took, what was lost on the way to it, and the traces that are decided at
//! their end.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SpanMetrics {
    /// Spans that the collector took.
    pub(crate) exported: Counter,
    /// Spans that it did not take.
    pub(crate) lost: Counter,
    /// Spans for which the queue of the export had no room.
    pub(crate) no_room: Counter,
    /// Traces that are exported because their call failed or was slow.
    pub(crate) kept: Counter,
    /// Such traces above the rate.
    pub(crate) above_rate: Counter,
    /// Outgoing calls that no such trace has, because their call made too many.
    pub(crate) left_out: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

// === impl SpanMetrics ===

impl SpanMetrics {
    /// All series at 0, because a rate needs a first sample.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let spans: Family<OutcomeLabels, Counter> = Family::default();
        registry.register("trace_spans", "Sampled spans, by whether the collector took them", spans.clone());
        let traces: Family<OutcomeLabels, Counter> = Family::default();
        let help = "Traces of calls that failed or were slow, and that were not sampled at their start";
        registry.register("trace_tail_traces", help, traces.clone());
        let left_out = Counter::default();
        let help = "Outgoing calls that such a trace does not have, because the call made more than 64";
        registry.register("trace_tail_spans_left_out", help, left_out.clone());
        let of_span = |outcome| spans.get_or_create(&OutcomeLabels { outcome }).clone();
        let of_trace = |outcome| traces.get_or_create(&OutcomeLabels { outcome }).clone();
        Self {
            exported: of_span("exported"),
            lost: of_span("lost"),
            no_room: of_span("no_room"),
            kept: of_trace("kept"),
            above_rate: of_trace("above_rate"),
            left_out,
        }
    }
}
