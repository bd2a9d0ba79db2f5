//! Which spans are exported of calls that were not sampled at their start, and what is held meanwhile.

use std::sync::Arc;

use opentelemetry::trace::{SpanBuilder, TraceFlags, TraceState, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{Sampler as Head, SdkTracer, SdkTracerProvider};

use super::*;
use crate::metrics::Metrics;

/// A processor that keeps what it gets.
#[derive(Debug, Clone, Default)]
struct Exported(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Exported {
    fn on_start(&self, _: &mut SdkSpan, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// A process that samples this share of the calls at their start, and holds so many spans.
struct Traced {
    tracer: SdkTracer,
    exported: Exported,
    metrics: SpanMetrics,
    provider: SdkTracerProvider,
}

impl Traced {
    fn new(ratio: f64, rate: u32, most: usize) -> Self {
        let (exported, metrics) = (Exported::default(), Metrics::default().spans());
        let mut processor = Holding::new(exported.clone(), rate, most, metrics.clone());
        // One period for the whole test.
        processor.kept = Sampler::new(rate.into(), Duration::from_secs(3600));
        let head = Head::ParentBased(Box::new(Head::TraceIdRatioBased(ratio)));
        let provider = SdkTracerProvider::builder().with_sampler(Recording { head });
        let provider = provider.with_span_processor(processor).build();
        Self { tracer: provider.tracer("test"), exported, metrics, provider }
    }

    /// A span below this context, and its own context.
    fn start(&self, name: &'static str, parent: &Context) -> Context {
        parent.with_span(self.tracer.build_with_context(SpanBuilder::from_name(name), parent))
    }

    /// The names of the exported spans, each with why it is there.
    fn exported(&self) -> Vec<String> {
        let exported = self.exported.0.lock().unwrap();
        let text = |span: &SpanData| {
            assert!(span.span_context.is_sampled(), "{span:?}");
            let reason = span.attributes.iter().find(|attribute| attribute.key.as_str() == REASON);
            reason.map_or_else(|| span.name.to_string(), |reason| format!("{} {}", span.name, reason.value))
        };
        exported.iter().map(text).collect()
    }
}

/// The context of a caller in another process.
fn caller(flags: TraceFlags) -> Context {
    let span = SpanContext::new(TraceId::from(7), SpanId::from(7), flags, true, TraceState::default());
    Context::new().with_remote_span_context(span)
}

/// Ends the span of a context, which is the first one of a call if there is a reason.
fn end(context: &Context, reason: Option<&'static str>) {
    if let Some(reason) = reason {
        context.span().set_attribute(KeyValue::new(REASON, reason));
    }
    context.span().end();
}

#[test]
fn a_call_that_is_kept_has_all_spans_of_the_process_below_the_first() {
    for parent in [Context::new(), caller(TraceFlags::default())] {
        let traced = Traced::new(0.0, 10, 10);
        let first = traced.start("first", &entering(parent));
        let second = traced.start("second", &first);
        let third = traced.start("third", &second);
        let other = traced.start("other", &entering(Context::new()));
        end(&traced.start("of another call", &other), None);
        end(&third, None);
        end(&second, None);
        assert_eq!((traced.exported().len(), traced.metrics.held.get()), (0, 3));
        end(&first, Some("slow"));
        assert_eq!(traced.exported(), ["second", "third", "first slow"]);
        end(&other, None);
        assert_eq!((traced.exported().len(), traced.metrics.held.get()), (3, 0));
        assert_eq!((traced.metrics.kept.get(), traced.metrics.above_rate.get()), (1, 0));
        traced.provider.shutdown().unwrap();
    }
}

#[test]
fn only_calls_that_enter_here_are_recorded_and_sampled_ones_are_not_held() {
    let traced = Traced::new(0.0, 10, 10);
    let passing = traced.start("passing", &caller(TraceFlags::default()));
    assert!(!passing.span().is_recording());
    end(&passing, Some("error"));
    let sampled = traced.start("sampled", &entering(caller(TraceFlags::SAMPLED)));
    end(&traced.start("below", &sampled), None);
    assert_eq!((traced.exported(), traced.metrics.held.get()), (vec!["below".to_owned()], 0));
    end(&sampled, None);
    assert_eq!(traced.exported(), ["below", "sampled"]);
    let all = Traced::new(1.0, 10, 10);
    end(&all.start("first", &entering(Context::new())), None);
    assert_eq!((all.exported(), all.metrics.kept.get()), (vec!["first".to_owned()], 0));
}

#[test]
fn traces_above_the_rate_are_counted() {
    let traced = Traced::new(0.0, 2, 10);
    for _ in 0..5 {
        let first = traced.start("first", &entering(Context::new()));
        end(&traced.start("below", &first), None);
        end(&first, Some("error"));
    }
    assert_eq!(traced.exported(), ["below", "first error", "below", "first error"]);
    assert_eq!((traced.metrics.kept.get(), traced.metrics.above_rate.get()), (2, 3));
    assert_eq!(traced.metrics.held.get(), 0);
}

#[test]
fn spans_that_have_waited_longest_make_room() {
    const MOST: usize = 4;
    let traced = Traced::new(0.0, 10, MOST);
    let calls: Vec<_> = (0..=MOST).map(|_| traced.start("first", &entering(Context::new()))).collect();
    for (index, call) in calls.iter().enumerate() {
        assert_eq!((traced.metrics.held.get(), traced.metrics.released.get()), (index as i64, 0));
        end(&traced.start("below", call), None);
    }
    assert_eq!((traced.metrics.held.get(), traced.metrics.released.get()), (MOST as i64, 1));
    end(&calls[0], Some("error"));
    end(&calls[1], Some("error"));
    assert_eq!(traced.exported(), ["first error", "below", "first error"], "the first one made room");
}

#[test]
fn what_is_held_and_its_order_are_bounded() {
    const MOST: usize = 4;
    let traced = Traced::new(0.0, 1, MOST);
    let waiting = traced.start("waiting", &entering(Context::new()));
    end(&traced.start("below", &waiting), None);
    let mut held = Held { by_parent: HashMap::new(), oldest_first: VecDeque::new(), count: 0, most: MOST };
    let span = traced.start("kept", &entering(Context::new()));
    end(&span, Some("error"));
    let span = traced.exported.0.lock().unwrap()[0].clone();
    for number in 1..10_000_u64 {
        let parent = SpanId::from(number);
        held.add(SpanData { parent_span_id: parent, ..span.clone() });
        // Every other call ends at once.
        if number % 2 == 0 {
            assert_eq!(held.take_below(parent).len(), 1);
        }
        assert!(held.count <= MOST && held.by_parent.len() <= MOST, "{held:?}");
        assert!(held.oldest_first.len() <= 2 * MOST + 1, "{}", held.oldest_first.len());
    }
}
