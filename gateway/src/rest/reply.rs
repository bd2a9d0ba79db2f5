//! The second half of transcoding: an answer in gRPC becomes an HTTP response. It happens outside the stack that every
//! call passes, so that whatever refused the call leaves in the one shape of errors.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use dataflow_mesh::status::{failure_in, to_status};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage, SerializeOptions, Value};
use serde_json::Serializer;
use tonic::Status;

use super::elements;
use super::request::{Call, Dialect};
use crate::error::Error;
use crate::frame::Frames;
use crate::schema::{Binding, is_http_body};

/// Replies up to so many bytes are read whole before the first byte goes out; of larger ones the elements of lists
/// leave as they come.
const WHOLE: usize = 256 * 1024;

/// How JSON is written: fields without presence always, also when they have their default.
pub(super) const JSON: SerializeOptions = SerializeOptions::new().skip_default_fields(false);

/// The response to a call that was answered.
pub(crate) async fn to_http(
    call: &Arc<Call>,
    answer: Response<Body>,
    most: usize,
) -> Result<Response<Body>, Status> {
    if let Some(failure) = failure_in(answer.headers()) {
        return Err(failure);
    }
    if !answer.status().is_success() {
        // A proxy between us and the service answers in its own way.
        let service = call.binding.method.parent_service().full_name().to_owned();
        return Err(to_status(&Error::UpstreamUnavailable { service }));
    }
    let mut frames = Frames::new(answer.into_body());
    let Some(length) = frames.next_length().await? else {
        frames.finish().await?;
        return Err(to_status(&Error::ReplyUnreadable("there is none".to_owned())));
    };
    if length > most {
        return Err(to_status(&Error::ReplyTooLarge { limit: most }));
    }
    if let Dialect::Legacy(exchange) = &call.dialect {
        let message = frames.take(length).await?;
        frames.finish().await?;
        return exchange.response(message).map_err(|error| to_status(&error));
    }
    let binding = &call.binding;
    if length > WHOLE
        && let Some(message) = binding.reply_message().filter(has_members)
    {
        let field = binding.reply.as_ref().map(|field| field.number());
        return Ok(json(Body::from_stream(elements::stream(frames, length, field, message))));
    }
    let message = frames.take(length).await?;
    frames.finish().await?;
    whole(binding, message)
}

/// Whether the JSON of a message is an object with a member for each field: not for bodies of any media type, nor for
/// the messages that JSON writes in a way of their own.
fn has_members(message: &MessageDescriptor) -> bool {
    !is_http_body(message) && message.package_name() != "google.protobuf"
}

fn whole(binding: &Binding, message: Bytes) -> Result<Response<Body>, Status> {
    let unreadable = |error: &dyn std::fmt::Display| to_status(&Error::ReplyUnreadable(error.to_string()));
    let message =
        DynamicMessage::decode(binding.method.output(), message).map_err(|error| unreadable(&error))?;
    let of_message = |message: &DynamicMessage| match document(message) {
        Some(document) => Ok(document),
        None => Ok(json(Body::from(write(message).map_err(|error| unreadable(&error))?))),
    };
    let Some(field) = &binding.reply else { return of_message(&message) };
    match &*message.get_field(field) {
        Value::Message(inner) => of_message(inner),
        // Only messages can be written: the field is taken out of its message's JSON.
        _ => {
            let mut members = members(&message).map_err(|error| unreadable(&error))?;
            let value = members.remove(field.json_name()).unwrap_or_default();
            Ok(json(Body::from(value.to_string())))
        }
    }
}

/// The response that a `google.api.HttpBody` is.
fn document(message: &DynamicMessage) -> Option<Response<Body>> {
    if !is_http_body(&message.descriptor()) {
        return None;
    }
    let data = message.get_field_by_name("data")?.as_bytes()?.clone();
    let content_type = message.get_field_by_name("content_type")?.as_str()?.to_owned();
    let mut response = Response::new(Body::from(data));
    if let Ok(content_type) = HeaderValue::try_from(content_type) {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    Some(response)
}

fn json(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The JSON of a message. Some messages have none, such as a time beyond the year 9999.
pub(super) fn write(message: &DynamicMessage) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::new();
    message.serialize_with_options(&mut Serializer::new(&mut out), &JSON)?;
    Ok(out)
}

/// The members of a message's JSON.
pub(super) fn members(
    message: &DynamicMessage,
) -> serde_json::Result<serde_json::Map<String, serde_json::Value>> {
    Ok(match message.serialize_with_options(serde_json::value::Serializer, &JSON)? {
        serde_json::Value::Object(members) => members,
        _ => serde_json::Map::new(),
    })
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    #[test]
    fn what_json_cannot_say_is_an_error() {
        let timestamp = DescriptorPool::global().get_message_by_name("google.protobuf.Timestamp").unwrap();
        let check = |seconds: i64, expected: Option<&str>| {
            let mut time = DynamicMessage::new(timestamp.clone());
            time.set_field_by_name("seconds", Value::I64(seconds));
            let written = write(&time).ok().map(|json| String::from_utf8(json).unwrap());
            assert_eq!(written.as_deref(), expected);
        };
        check(0, Some("\"1970-01-01T00:00:00Z\""));
        check(i64::MAX, None);
    }
}
