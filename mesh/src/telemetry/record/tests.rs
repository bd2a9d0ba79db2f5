//! Records as collectors read them, apart because the table is long.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::Request;
use prometheus_client::metrics::counter::Counter;
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt};
use tracing_subscriber::layer::SubscriberExt;

use super::super::with_subscriber;
use super::*;
use crate::propagation::PropagationLayer;

/// A layer that keeps the records of a [`JsonLayer`].
struct Kept {
    layer: JsonLayer,
    records: Arc<Mutex<Vec<String>>>,
}

impl<S: Subscriber> Layer<S> for Kept {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut record = String::new();
        self.layer.write(&mut record, event);
        self.records.lock().unwrap().push(record);
    }
}

fn names() -> Names {
    Names {
        service: "dataflow-cache".to_owned(),
        role: Some("cache"),
        pod: Some("cache-0".to_owned()),
        namespace: Some("data\"flow".to_owned()),
        node: None,
    }
}

/// The records that arise while `log` runs.
fn records(log: impl FnOnce()) -> Vec<Value> {
    let records = Arc::<Mutex<Vec<String>>>::default();
    let layer = JsonLayer::new(Output::new(Counter::default()), &names(), false);
    let kept = Kept { layer, records: Arc::clone(&records) };
    with_subscriber(tracing_subscriber::registry().with(kept), log);
    let records = records.lock().unwrap();
    records
        .iter()
        .map(|record| {
            let line = record.strip_suffix('\n').expect("a record ends its line");
            assert!(!line.contains('\n'), "{line}");
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        })
        .collect()
}

#[test]
fn numbers_are_numbers_and_text_is_escaped() {
    let found = records(|| {
        let (large, tiny) = (u128::MAX, 0.25);
        let none = None::<u64>;
        tracing::info!(count = 7, below = -7, large, tiny, nan = f64::NAN, yes = true, none, "first");
        tracing::warn!(text = "a\"b\\c\nd\u{1b}[31m\u{0}é", debug = ?"x\ty", "{}", "second\r\n");
    });
    let first = &found[0];
    assert_eq!(first["count"], 7);
    assert_eq!((&first["below"], &first["tiny"], &first["yes"]), (&json!(-7), &json!(0.25), &json!(true)));
    assert!(first["large"].is_number(), "{first}");
    assert_eq!((&first["nan"], first.get("none")), (&json!("NaN"), None));
    assert_eq!((&first["level"], &first["message"]), (&json!("INFO"), &json!("first")));
    assert_eq!(found[1]["text"], "a\"b\\c\nd\u{1b}[31m\u{0}é");
    assert_eq!((&found[1]["debug"], &found[1]["message"]), (&json!("\"x\\ty\""), &json!("second\r\n")));
}

#[test]
fn a_record_names_its_process() {
    let found = &records(|| tracing::info!("any"))[0];
    let time = found["time"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
    let expected = [
        ("target", module_path!()),
        ("service", "dataflow-cache"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("role", "cache"),
        ("pod", "cache-0"),
        ("namespace", "data\"flow"),
    ];
    for (key, value) in expected {
        assert_eq!(found[key], value, "{found}");
    }
    for absent in ["node", "tenant", "subject", "request_id", "trace_id", "span_id"] {
        assert_eq!(found.get(absent), None, "{found}");
    }
}

#[test]
fn a_record_of_a_call_names_its_caller_and_its_trace() {
    let handler = tower::service_fn(async |_: Request<()>| {
        tracing::info!("in a call");
        tracing::info!(role = "own", tenant = "other", "with fields of the same name");
        Ok::<_, Infallible>(http::Response::new(()))
    });
    let call = || {
        let request = Request::builder()
            .header("x-request-id", "seven")
            .header("dataflow-tenant", "acme")
            .header("dataflow-subject", b"ad\xc3\xa0".as_slice())
            .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .header("authorization", "Bearer secret");
        let response =
            PropagationLayer::new("gateway", &[]).layer(handler).oneshot(request.body(()).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        drop(runtime.block_on(response));
    };
    let found = records(call);
    let expected = [
        ("role", "gateway"),
        ("request_id", "seven"),
        ("tenant", "acme"),
        ("subject", "ad\\xc3\\xa0"),
        ("trace_id", "0af7651916cd43dd8448eb211c80319c"),
    ];
    for (key, value) in expected {
        assert_eq!(found[0][key], value, "{}", found[0]);
    }
    assert_eq!(found[0].get("span_id"), None, "the span of the caller is not that of the record");
    // As text, since a map keeps the last of two members with one name.
    assert_eq!((&found[1]["role"], &found[1]["tenant"]), (&json!("own"), &json!("other")));
}
