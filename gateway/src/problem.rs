//! The format of all errors over REST: the JSON of a `google.rpc.Status` with its details, and the HTTP status for its
//! code and details. Separate from the dialect of REST, because requests of no dialect are rejected in it too.

use std::sync::LazyLock;

use axum::body::Body;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_transcode::{JsonWriter, Schema, Style};
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response};
use prost::Message as _;
use prost_types::Any;
use tonic::Status;
use tonic_types::{StatusExt, pb};

use crate::dialect::Failure;
use crate::json;

/// The type of the detail that names the request.
const REQUEST_INFO: &str = "type.googleapis.com/google.rpc.RequestInfo";

/// The most bytes of a detail as JSON. It came in a header, which is far shorter.
const MAX_DETAIL: usize = 1024 * 1024;

/// A status as JSON, with those of its details that the schema knows, and the request's id.
pub(crate) fn to_json(status: &Status, request_id: &HeaderValue, schema: &Schema) -> Vec<u8> {
    let mut details = pb::Status::decode(status.details()).unwrap_or_default().details;
    if !details.iter().any(|detail| detail.type_url == REQUEST_INFO) {
        let request_id = request_id.to_str().unwrap_or_default().to_owned();
        let info = pb::RequestInfo { request_id, serving_data: String::new() };
        details.push(Any { type_url: REQUEST_INFO.to_owned(), value: info.encode_to_vec() });
    }
    // The reason first, for people.
    details.sort_by_key(|detail| !detail.type_url.ends_with("/google.rpc.ErrorInfo"));
    let message = serde_json::to_string(status.message()).expect("a text is JSON");
    let mut out =
        format!(r#"{{"code":{},"message":{message},"details":["#, i32::from(status.code())).into_bytes();
    let mut written = details.iter().filter_map(|detail| detail_to_json(detail, schema));
    out.extend(written.next().into_iter().flatten());
    for detail in written {
        out.push(b',');
        out.extend(detail);
    }
    out.extend_from_slice(b"]}");
    out
}

/// Our own messages: a descriptor set may have older ones, without those of our own errors.
static OWN: LazyLock<Schema> =
    LazyLock::new(|| Schema::new(FILE_DESCRIPTOR_SET).expect("our own build wrote it"));

/// A detail as JSON; none if its type is unknown.
fn detail_to_json(detail: &Any, schema: &Schema) -> Option<Vec<u8>> {
    let written = detail.encode_to_vec();
    [schema, &OWN].into_iter().find_map(|schema| {
        // As short as people and programs know errors from other services.
        let style = Style { skips_defaults: true, ..Style::default() };
        let mut writer = JsonWriter::new(schema, style, MAX_DETAIL);
        writer.message(schema.message_named("google.protobuf.Any")?, &written).ok()?;
        Some(writer.take())
    })
}

/// The response to a rejected or failed request.
pub(crate) fn response(failure: &Failure, request_id: &HeaderValue, schema: &Schema) -> Response<Body> {
    let mut response = json::response(to_json(&failure.status, request_id, schema));
    *response.status_mut() = failure.http;
    set_retry_after(&mut response, &failure.status);
    response
}

/// Sets `Retry-After`, if the status has a retry delay.
pub(crate) fn set_retry_after(response: &mut Response<Body>, status: &Status) {
    if let Some(delay) = status.get_details_retry_info().and_then(|info| info.retry_delay) {
        // Whole seconds (RFC 9110, 10.2.3), and at least 1: 0 would cause a retry storm.
        let seconds = delay.as_secs_f64().ceil().max(1.0) as u64;
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}
