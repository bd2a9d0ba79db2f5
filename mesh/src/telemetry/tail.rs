//! Traces that are decided at their end: those of calls that failed or were slow, although they were not sampled at
//! their start. Where such a call enters the mesh, its start and its outgoing calls are noted, and spans are made of
//! them only if it is exported: spans of every call would cost more than all else that observes it. The services behind
//! note nothing: their decision is that of the start.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks, SpanProcessor};
use tonic::Code;

use super::description::{Attribute, Description, of_method};
use crate::metrics::{ServedMethod, SpanMetrics};
use crate::sampling::Sampler;

/// The attribute of the first span of such a trace: why it is exported.
const REASON: &str = "sampling.reason";

/// The most outgoing calls that are noted of one call.
const OUTGOING_MAX: usize = 64;

tokio::task_local! {
    static CURRENT: Option<Arc<Unsampled>>;
}

/// Why a trace is exported that was not sampled at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The service or one of its dependencies failed.
    Error,
    /// The call took long.
    Slow,
}

/// Exports the traces of calls at their end, up to a rate.
#[derive(Debug)]
pub(super) struct Tail {
    next: Arc<dyn SpanProcessor>,
    scope: InstrumentationScope,
    /// The traces that are exported in a second.
    kept: Sampler,
    metrics: SpanMetrics,
}

/// A call that was not sampled at its start.
#[derive(Debug)]
pub(crate) struct Unsampled {
    tail: Arc<Tail>,
    context: SpanContext,
    /// The span of the caller; invalid where there is none.
    parent: SpanId,
    began: SystemTime,
    noted: Mutex<Noted>,
}

/// What its spans would say.
#[derive(Debug, Default)]
struct Noted {
    /// The call to a service that was made of a request over HTTP.
    served: Option<(Arc<ServedMethod>, Code)>,
    outgoing: Vec<Outgoing>,
    left_out: u64,
}

#[derive(Debug)]
struct Outgoing {
    name: String,
    attributes: Vec<KeyValue>,
    began: SystemTime,
    ended: Option<SystemTime>,
    failure: bool,
}

/// One outgoing call that is noted. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct NotedCall {
    call: Arc<Unsampled>,
    index: usize,
}

/// The call that this task serves, if it is one that was not sampled.
pub(crate) fn current() -> Option<Arc<Unsampled>> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Runs a future of a call.
pub(super) fn scope<F: Future>(
    call: Option<Arc<Unsampled>>,
    future: F,
) -> tokio::task::futures::TaskLocalFuture<Option<Arc<Unsampled>>, F> {
    CURRENT.scope(call, future)
}

/// Runs work of a call on this thread.
pub(super) fn sync_scope<T>(call: Option<Arc<Unsampled>>, work: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(call, work)
}

// === impl Tail ===

impl Tail {
    /// Passes on the spans of `rate` traces a second.
    pub(super) fn new(
        next: Arc<dyn SpanProcessor>,
        service: &'static str,
        rate: u32,
        metrics: SpanMetrics,
    ) -> Self {
        let kept = Sampler::new(rate.into(), Duration::from_secs(1));
        Self { next, scope: InstrumentationScope::builder(service).build(), kept, metrics }
    }
}

// === impl Unsampled ===

impl Unsampled {
    /// A call that begins now, with this context, below this span of its caller, which is invalid if there is none.
    pub(super) fn begin(tail: &Arc<Tail>, context: SpanContext, parent: SpanId) -> Self {
        Self { tail: Arc::clone(tail), context, parent, began: SystemTime::now(), noted: Mutex::default() }
    }

    /// Its trace, and the span that it has if it is exported.
    pub(crate) fn context(&self) -> &SpanContext {
        &self.context
    }

    /// The request, which came over HTTP, was a call of this method.
    pub(super) fn served(&self, method: &Arc<ServedMethod>, code: Code) {
        self.noted().served = Some((Arc::clone(method), code));
    }

    /// Notes an outgoing call that begins now.
    pub(super) fn call_out(
        self: &Arc<Self>,
        name: String,
        attributes: impl Iterator<Item = (&'static str, Attribute)>,
    ) -> Option<NotedCall> {
        let mut noted = self.noted();
        let index = noted.outgoing.len();
        if index == OUTGOING_MAX {
            noted.left_out += 1;
            return None;
        }
        let attributes = attributes.map(|(key, value)| value.named(key)).collect();
        noted.outgoing.push(Outgoing {
            name,
            attributes,
            began: SystemTime::now(),
            ended: None,
            failure: false,
        });
        Some(NotedCall { call: Arc::clone(self), index })
    }

    /// The call has ended. Its spans are exported for this reason, if the rate permits.
    pub(super) fn export(&self, reason: Reason, describe: impl FnOnce() -> Description) {
        let Tail { next, kept, metrics, .. } = &*self.tail;
        if kept.take().is_none() {
            metrics.above_rate.inc();
            return;
        }
        metrics.kept.inc();
        let ended = SystemTime::now();
        let Noted { served, outgoing, left_out } = std::mem::take(&mut *self.noted());
        metrics.left_out.inc_by(left_out);
        for call in outgoing {
            let id = SpanId::from(fastrand::u64(1..));
            next.on_end(SpanData {
                span_kind: SpanKind::Client,
                name: Cow::Owned(call.name),
                start_time: call.began,
                end_time: call.ended.unwrap_or(ended),
                status: status(call.failure),
                attributes: call.attributes,
                ..self.span(id, self.context.span_id())
            });
        }
        let Description { name, mut attributes, failure } = describe();
        if let Some((method, code)) = served {
            attributes.extend(of_method(&method.method, code));
        }
        let reason = match reason {
            Reason::Error => "error",
            Reason::Slow => "slow",
        };
        attributes.push(KeyValue::new(REASON, reason));
        next.on_end(SpanData {
            parent_span_is_remote: self.parent != SpanId::INVALID,
            name: Cow::Owned(name),
            end_time: ended,
            status: status(failure),
            attributes,
            ..self.span(self.context.span_id(), self.parent)
        });
    }

    /// A span of this trace, as the server.
    fn span(&self, id: SpanId, parent: SpanId) -> SpanData {
        let (trace, state) = (self.context.trace_id(), self.context.trace_state().clone());
        SpanData {
            span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, state),
            parent_span_id: parent,
            parent_span_is_remote: false,
            span_kind: SpanKind::Server,
            name: Cow::Borrowed(""),
            start_time: self.began,
            end_time: self.began,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.tail.scope.clone(),
        }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn status(failure: bool) -> Status {
    if failure { Status::error("") } else { Status::Unset }
}

// === impl NotedCall ===

impl NotedCall {
    /// Adds an attribute.
    pub(super) fn set(&self, key: &'static str, value: Attribute) {
        self.change(|call| call.attributes.push(value.named(key)));
    }

    /// The call failed, with this kind of failure.
    pub(super) fn failed(&self, kind: &'static str) {
        self.change(|call| {
            call.attributes.push(KeyValue::new("error.type", kind));
            call.failure = true;
        });
    }

    /// Changes what is noted, unless it has been exported.
    fn change(&self, change: impl FnOnce(&mut Outgoing)) {
        if let Some(call) = self.call.noted().outgoing.get_mut(self.index) {
            change(call);
        }
    }
}

impl Drop for NotedCall {
    fn drop(&mut self) {
        self.change(|call| call.ended = Some(SystemTime::now()));
    }
}

#[cfg(test)]
mod tests;
