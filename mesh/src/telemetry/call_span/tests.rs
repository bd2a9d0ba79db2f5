//! The span of a call that is sampled, and that of one whose trace is exported at its end: both say the same.

use std::collections::BTreeMap;

use opentelemetry::trace::{SpanId, SpanKind};
use opentelemetry_sdk::trace::SpanData;
use tracing_subscriber::layer::SubscriberExt;

use super::super::traces::tests::{headers, recorded, traces};
use super::super::{OutgoingSpan, for_collector, with_subscriber};
use super::*;

const NOT_SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// A call that makes one outgoing call, which fails, and ends with this reason.
async fn call(span: &CallSpan, reason: Option<Reason>) {
    let handler = async {
        let outgoing = OutgoingSpan::begin(|| ("out".to_owned(), [("server.address", "db".into())]));
        outgoing.scope(async { outgoing.set("server.port", 7.into()) }).await;
        outgoing.failed("transport");
    };
    span.scope(handler).await;
    span.end(reason, || Description {
        name: "GET /things".to_owned(),
        attributes: vec![KeyValue::new("http.route", "/things")],
        failure: true,
    });
}

/// What a span says, without its ids and times.
fn said(span: &SpanData) -> (String, SpanKind, Status, BTreeMap<String, String>) {
    let attributes = span.attributes.iter().filter(|attribute| attribute.key.as_str() != "sampling.reason");
    let attributes = attributes.map(|attribute| (attribute.key.to_string(), attribute.value.to_string()));
    (span.name.to_string(), span.span_kind.clone(), span.status.clone(), attributes.collect())
}

/// The spans of a call that is sampled.
fn sampled() -> Vec<SpanData> {
    let (provider, exported) = recorded();
    let subscriber = tracing_subscriber::registry().with(for_collector(&provider, "test"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    with_subscriber(subscriber, || {
        let span = CallSpan::begin(&traces(1.0, 1).0, &mut headers(""), true);
        assert!(span.sampled_trace().is_some());
        runtime.block_on(call(&span, Some(Reason::Error)));
    });
    exported.spans()
}

#[tokio::test]
async fn a_trace_that_is_exported_at_its_end_says_what_a_sampled_one_does() {
    for caller in ["", NOT_SAMPLED] {
        let (traces, exported, metrics) = traces(0.0, 1);
        let span = CallSpan::begin(&traces, &mut headers(caller), true);
        assert_eq!(span.sampled_trace(), None);
        call(&span, Some(Reason::Error)).await;
        let spans = exported.spans();
        let expected = std::thread::spawn(sampled).join().unwrap();
        assert_eq!(spans.iter().map(said).collect::<Vec<_>>(), expected.iter().map(said).collect::<Vec<_>>());
        let [out, first] = spans.as_slice() else { panic!("{spans:#?}") };
        assert_eq!(out.parent_span_id, first.span_context.span_id());
        assert!(out.start_time >= first.start_time && out.end_time <= first.end_time);
        for span in [out, first] {
            assert!(span.span_context.is_sampled(), "{span:?}");
            assert_eq!(Some(span.span_context.trace_id()), traces_id(&spans));
        }
        assert_eq!(span.trace_id(), traces_id(&spans));
        let reason = first.attributes.iter().find(|attribute| attribute.key.as_str() == "sampling.reason");
        assert_eq!(reason.unwrap().value.as_str(), "error");
        let parent = if caller.is_empty() { SpanId::INVALID } else { SpanId::from(0xb7ad_6b71_6920_3331) };
        assert_eq!((first.parent_span_id, first.parent_span_is_remote), (parent, !caller.is_empty()));
        assert_eq!((metrics.kept.get(), metrics.above_rate.get()), (1, 0));
    }
}

fn traces_id(spans: &[SpanData]) -> Option<TraceId> {
    spans.first().map(|span| span.span_context.trace_id())
}

#[tokio::test]
async fn a_call_without_a_reason_exports_nothing() {
    let (traces, exported, metrics) = traces(0.0, 1);
    call(&CallSpan::begin(&traces, &mut headers(""), true), None).await;
    // In a service behind there is nothing to export.
    call(&CallSpan::begin(&traces, &mut headers(""), false), Some(Reason::Slow)).await;
    assert_eq!((exported.spans().len(), metrics.kept.get(), metrics.above_rate.get()), (0, 0, 0));
}
