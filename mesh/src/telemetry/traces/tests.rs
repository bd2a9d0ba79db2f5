//! What is decided at the start of a call, and what its headers say afterwards. Has what the tests of its siblings need.

use std::sync::Mutex;
use std::time::Duration;

use http::HeaderValue;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span as SdkSpan, SpanData, SpanProcessor};

use super::*;
use crate::metrics::{Metrics, SpanMetrics};

const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const NOT_SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// A processor that keeps what it gets.
#[derive(Debug, Clone, Default)]
pub(in crate::telemetry) struct Exported(Arc<Mutex<Vec<SpanData>>>);

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

// === impl Exported ===

impl Exported {
    pub(in crate::telemetry) fn spans(&self) -> Vec<SpanData> {
        self.0.lock().unwrap().clone()
    }

    pub(in crate::telemetry) fn names(&self) -> Vec<String> {
        self.spans().iter().map(|span| span.name.to_string()).collect()
    }
}

/// A provider whose spans are kept.
pub(in crate::telemetry) fn recorded() -> (SdkTracerProvider, Exported) {
    let exported = Exported::default();
    (SdkTracerProvider::builder().with_span_processor(exported.clone()).build(), exported)
}

/// Decisions with this ratio, and at the end of calls up to this rate.
pub(in crate::telemetry) fn traces(ratio: f64, rate: u32) -> (Traces, Exported, SpanMetrics) {
    let (exported, metrics) = (Exported::default(), Metrics::default().spans());
    let tail = Tail::new(Arc::new(exported.clone()), "test", rate, metrics.clone());
    (Traces { ratio, tail: (rate > 0).then(|| Arc::new(tail)) }, exported, metrics)
}

/// The headers of a call, with this `traceparent` if it is not empty.
pub(in crate::telemetry) fn headers(traceparent: &'static str) -> HeaderMap {
    let value = (!traceparent.is_empty()).then(|| HeaderValue::from_static(traceparent));
    value.map(|value| (http::HeaderName::from_static("traceparent"), value)).into_iter().collect()
}

/// What is decided, and the `traceparent` after that.
fn start(ratio: f64, rate: u32, traceparent: &'static str, is_entry: bool) -> (&'static str, String) {
    let (traces, ..) = traces(ratio, rate);
    let mut headers = headers(traceparent);
    let start = match traces.start(&mut headers, is_entry) {
        Start::Sampled(_) => "sampled",
        Start::Unsampled(_) => "at the end",
        Start::Without(_) => "no",
    };
    let after = headers.get("traceparent").map_or("", |value| value.to_str().unwrap());
    (start, after.to_owned())
}

#[test]
fn the_callers_decision_takes_precedence_over_the_ratio() {
    for ratio in [0.0, 1.0] {
        for (is_entry, not) in [(true, "at the end"), (false, "no")] {
            assert_eq!(start(ratio, 1, SAMPLED, is_entry), ("sampled", SAMPLED.to_owned()));
            assert_eq!(start(ratio, 1, NOT_SAMPLED, is_entry), (not, NOT_SAMPLED.to_owned()));
        }
        assert_eq!(start(ratio, 0, NOT_SAMPLED, true).0, "no", "no traces are decided at the end");
    }
}

#[test]
fn a_new_trace_that_is_not_sampled_is_so_for_the_services_behind() {
    assert_eq!(start(1.0, 1, "", true), ("sampled", String::new()));
    for (rate, is_entry, expected) in [(1, true, "at the end"), (1, false, "no"), (0, true, "no")] {
        let (decision, written) = start(0.0, rate, "", is_entry);
        assert_eq!(decision, expected);
        let mut behind = headers("");
        behind.insert("traceparent", HeaderValue::try_from(&written).unwrap());
        let context = propagation::extract(&behind);
        let span = context.span().span_context().clone();
        assert!(span.is_valid() && !span.is_sampled(), "{written}");
    }
}

#[test]
fn the_ratio_is_the_share_that_is_sampled() {
    let sampled = (0..10_000).filter(|_| start(0.25, 1, "", true).0 == "sampled").count();
    assert!((2_000..3_000).contains(&sampled), "{sampled} of 10,000");
}
