//! What is noted of calls that are not sampled, and how much.

use super::super::traces::tests::{Exported, headers, traces};
use super::super::traces::{Start, Traces};
use super::*;

/// A call that enters the mesh now.
fn entered(traces: &Traces) -> Arc<Unsampled> {
    let Start::Unsampled(call) = traces.start(&mut headers(""), true) else {
        panic!("it is decided at the end")
    };
    Arc::new(call)
}

fn description() -> Description {
    Description { name: "first".to_owned(), attributes: Vec::new(), failure: false }
}

fn outgoing(call: &Arc<Unsampled>) -> Option<NotedCall> {
    call.call_out("out".to_owned(), std::iter::empty())
}

/// The reasons of the exported traces.
fn reasons(exported: &Exported) -> Vec<String> {
    let spans = exported.spans();
    let attributes = spans.iter().flat_map(|span| &span.attributes);
    let reasons = attributes.filter(|attribute| attribute.key.as_str() == REASON);
    reasons.map(|reason| reason.value.to_string()).collect()
}

#[test]
fn traces_above_the_rate_are_counted_and_not_described() {
    let (traces, exported, metrics) = traces(0.0, 2);
    let described = std::cell::Cell::new(0);
    for call in 0..5 {
        let reason = if call == 0 { Reason::Slow } else { Reason::Error };
        let before = exported.spans().len();
        entered(&traces).export(reason, || {
            described.set(described.get() + 1);
            description()
        });
        assert_eq!(exported.spans().len() - before, usize::from(call < 2));
    }
    assert_eq!((reasons(&exported), described.get()), (vec!["slow".to_owned(), "error".to_owned()], 2));
    assert_eq!((metrics.kept.get(), metrics.above_rate.get()), (2, 3));
}

#[test]
fn what_is_noted_of_a_call_is_bounded_and_the_rest_is_counted() {
    let (traces, exported, metrics) = traces(0.0, 1);
    let call = entered(&traces);
    let noted: Vec<_> = (0..OUTGOING_MAX).map(|_| outgoing(&call).expect("there is room")).collect();
    assert!(outgoing(&call).is_none() && outgoing(&call).is_none());
    drop(noted);
    call.export(Reason::Slow, description);
    assert_eq!((exported.spans().len(), metrics.left_out.get()), (OUTGOING_MAX + 1, 2));
}

#[test]
fn an_outgoing_call_that_has_not_ended_ends_with_its_call() {
    let (traces, exported, _) = traces(0.0, 1);
    let call = entered(&traces);
    let running = outgoing(&call).unwrap();
    call.export(Reason::Error, description);
    running.failed("transport");
    drop(running);
    let spans = exported.spans();
    let [out, first] = spans.as_slice() else { panic!("{spans:#?}") };
    assert_eq!(
        (out.end_time, &out.status),
        (first.end_time, &Status::Unset),
        "it was exported before it failed"
    );
}

#[tokio::test]
async fn a_task_has_the_call_that_it_serves() {
    let (traces, ..) = traces(0.0, 1);
    let call = entered(&traces);
    assert!(current().is_none());
    scope(Some(Arc::clone(&call)), async {
        assert_eq!(current().unwrap().context(), call.context());
    })
    .await;
    assert!(sync_scope(Some(call), current).is_some() && current().is_none());
}
