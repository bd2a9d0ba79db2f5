//! Traces that are decided at their end: those of calls that failed or were slow, although they were not sampled at
//! their start. Where a call enters the mesh its spans are recorded in any case, and held until it has ended; then they
//! are exported, or dropped. The services behind have recorded none: their decision is that of the start.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
use opentelemetry_sdk::trace::{Span as SdkSpan, SpanData, SpanProcessor};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::metrics::SpanMetrics;
use crate::sampling::Sampler;

/// The attribute of the first span of such a trace: why it is exported.
const REASON: &str = "sampling.reason";

/// Why a trace is exported that was not sampled at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The service or one of its dependencies failed.
    Error,
    /// The call took long.
    Slow,
}

/// Marks the context of a call that enters the mesh.
#[derive(Debug)]
struct Enters;

/// The context of a call that enters the mesh, from that of its caller.
pub(crate) fn entering(caller: Context) -> Context {
    if caller.span().span_context().is_sampled() { caller } else { caller.with_value(Enters) }
}

/// Has the trace of a call exported, whose first span this is, unless it is sampled anyway.
pub(crate) fn keep(span: &Span, reason: Reason) {
    if !span.context().span().span_context().is_sampled() {
        let reason = match reason {
            Reason::Error => "error",
            Reason::Slow => "slow",
        };
        span.set_attribute(REASON, reason);
    }
}

/// Decides at the start of a span as `head` does, but has those of calls that enter the mesh recorded anyway.
#[derive(Debug, Clone)]
pub(super) struct Recording<S> {
    pub(super) head: S,
}

impl<S: ShouldSample + Clone + 'static> ShouldSample for Recording<S> {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let mut result = self.head.should_sample(parent, trace, name, kind, attributes, links);
        // The context of a span has what that of its parent has.
        let enters = || parent.is_some_and(|parent| parent.get::<Enters>().is_some());
        if matches!(result.decision, SamplingDecision::Drop) && enters() {
            result.decision = SamplingDecision::RecordOnly;
        }
        result
    }
}

/// Passes on the spans that are sampled, and holds the others until their call has ended.
#[derive(Debug)]
pub(super) struct Holding<P> {
    next: P,
    held: Mutex<Held>,
    /// The traces that are exported in a second.
    kept: Sampler,
    metrics: SpanMetrics,
}

/// Spans by their parent.
#[derive(Debug)]
struct Held {
    by_parent: HashMap<SpanId, Vec<SpanData>>,
    /// The parents, the one that has waited longest first; also some whose call has ended.
    oldest_first: VecDeque<SpanId>,
    count: usize,
    most: usize,
}

// === impl Holding ===

impl<P: SpanProcessor> Holding<P> {
    /// Passes on `rate` traces a second, and holds at most this many spans.
    pub(super) fn new(next: P, rate: u32, most: usize, metrics: SpanMetrics) -> Self {
        let kept = Sampler::new(rate.into(), Duration::from_secs(1));
        let held = Held { by_parent: HashMap::new(), oldest_first: VecDeque::new(), count: 0, most };
        Self { next, held: Mutex::new(held), kept, metrics }
    }

    /// The first span of a call has ended, and with it the call: all others end before it, since each keeps its parent
    /// open.
    fn ended(&self, first: SpanData) {
        let below = {
            let mut held = self.held();
            let below = held.take_below(first.span_context.span_id());
            self.count(&held);
            below
        };
        if !first.attributes.iter().any(|attribute| attribute.key.as_str() == REASON) {
            return;
        }
        if self.kept.take().is_none() {
            self.metrics.above_rate.inc();
            return;
        }
        self.metrics.kept.inc();
        for span in below.into_iter().chain([first]) {
            self.next.on_end(sampled(span));
        }
    }

    fn hold(&self, span: SpanData) {
        let mut held = self.held();
        let dropped = held.add(span);
        self.metrics.released.inc_by(dropped as u64);
        self.count(&held);
    }

    fn count(&self, held: &Held) {
        self.metrics.held.set(i64::try_from(held.count).unwrap_or(i64::MAX));
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: SpanProcessor> SpanProcessor for Holding<P> {
    fn on_start(&self, span: &mut SdkSpan, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.next.on_end(span);
        } else if span.parent_span_is_remote || span.parent_span_id == SpanId::INVALID {
            self.ended(span);
        } else {
            self.hold(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// The span, whose context says that it is exported.
fn sampled(span: SpanData) -> SpanData {
    let context = &span.span_context;
    let flags = context.trace_flags().with_sampled(true);
    let (trace, id, state) = (context.trace_id(), context.span_id(), context.trace_state().clone());
    SpanData { span_context: SpanContext::new(trace, id, flags, context.is_remote(), state), ..span }
}

// === impl Held ===

impl Held {
    /// Holds a span. Where there is no room, those that have waited longest are dropped, which are those of calls that
    /// last as long as their callers want; returns how many.
    fn add(&mut self, span: SpanData) -> usize {
        let mut dropped = 0;
        while self.count >= self.most
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            dropped += self.take(oldest).len();
        }
        let parent = span.parent_span_id;
        let siblings = self.by_parent.entry(parent).or_default();
        if siblings.is_empty() {
            self.oldest_first.push_back(parent);
        }
        siblings.push(span);
        self.count += 1;
        // Most calls end soon, and leave their parent in the order.
        if self.oldest_first.len() > 2 * self.most {
            self.oldest_first.retain(|parent| self.by_parent.contains_key(parent));
        }
        dropped
    }

    /// The spans below this one, at any depth.
    fn take_below(&mut self, parent: SpanId) -> Vec<SpanData> {
        let mut below = self.take(parent);
        let mut next = 0;
        while let Some(span) = below.get(next) {
            let further = self.take(span.span_context.span_id());
            below.extend(further);
            next += 1;
        }
        below
    }

    fn take(&mut self, parent: SpanId) -> Vec<SpanData> {
        let children = self.by_parent.remove(&parent).unwrap_or_default();
        self.count -= children.len();
        children
    }
}

#[cfg(test)]
mod tests;
