//! The second half of transcoding: an answer in gRPC becomes an HTTP response. It happens outside the stack that every
//! call passes, so that whatever refused the call leaves in the one shape of errors.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use dataflow_mesh::status::{failure_in, to_status};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions, Value};
use serde_json::Serializer;
use tonic::Status;

use super::request::{Call, Dialect};
use super::{elements, stream};
use crate::error::Error;
use crate::frame::Frames;
use crate::json;
use crate::schema::{Binding, is_http_body};

/// Replies up to so many bytes are read whole before the first byte goes out; of larger ones the elements of lists
/// leave as they come.
const WHOLE: usize = 256 * 1024;

/// How JSON is written: fields without presence always, also when they have their default.
const JSON: SerializeOptions = SerializeOptions::new().skip_default_fields(false);

/// The response to a call that was answered.
pub(crate) async fn to_http(
    call: &Arc<Call>,
    answer: Response<Body>,
    most: usize,
    request_id: &HeaderValue,
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
    if call.binding.method.is_server_streaming() {
        return Ok(stream::response(call, frames, most, request_id.clone()));
    }
    let Some(length) = frames.next_length().await? else {
        frames.finish().await?;
        return Err(to_status(&Error::ReplyUnreadable("there is none".to_owned())));
    };
    if let Dialect::Legacy(exchange) = &call.dialect {
        let message = within(&mut frames, length, most).await?;
        frames.finish().await?;
        return exchange.response(message).map_err(|error| to_status(&error));
    }
    let binding = &call.binding;
    if (WHOLE + 1..=most).contains(&length)
        && let Some(message) = binding.reply_message().filter(has_members)
    {
        let field = binding.reply.as_ref().map(|field| field.number());
        return Ok(json::response(Body::from_stream(elements::stream(frames, length, field, message))));
    }
    let message = within(&mut frames, length, most).await?;
    frames.finish().await?;
    whole(binding, message)
}

/// A message of so many bytes, if it has no more than `most`.
pub(super) async fn within(frames: &mut Frames, length: usize, most: usize) -> Result<Bytes, Status> {
    if length > most {
        return Err(to_status(&Error::ReplyTooLarge { limit: most }));
    }
    frames.take(length).await
}

/// Whether the JSON of a message is an object with a member for each field: not for bodies of any media type, nor for
/// the messages that JSON writes in a way of their own.
fn has_members(message: &MessageDescriptor) -> bool {
    !is_http_body(message) && message.package_name() != "google.protobuf"
}

fn whole(binding: &Binding, message: Bytes) -> Result<Response<Body>, Status> {
    if binding.reply_message().is_some_and(|message| is_http_body(&message)) {
        return document(binding, message);
    }
    json_of(binding, message).map(json::response)
}

/// The JSON that a reply is.
pub(super) fn json_of(binding: &Binding, message: Bytes) -> Result<Vec<u8>, Status> {
    let message = decode(binding, message)?;
    let written = match binding.reply.as_ref().map(|field| (field, message.get_field(field))) {
        None => write(&message),
        Some((field, value)) => match value.as_message() {
            Some(message) => write(message),
            // Only messages can be written: the field is taken out of its message's JSON.
            None => members(&message).map(|mut members| {
                members.remove(field.json_name()).unwrap_or_default().to_string().into_bytes()
            }),
        },
    };
    written.map_err(|error| unreadable(&error))
}

fn decode(binding: &Binding, message: Bytes) -> Result<DynamicMessage, Status> {
    DynamicMessage::decode(binding.method.output(), message).map_err(|error| unreadable(&error))
}

fn unreadable(error: &impl ToString) -> Status {
    to_status(&Error::ReplyUnreadable(error.to_string()))
}

/// The response that a `google.api.HttpBody` is.
fn document(binding: &Binding, message: Bytes) -> Result<Response<Body>, Status> {
    let message = decode(binding, message)?;
    let inner = binding.reply.as_ref().map(|field| message.get_field(field));
    let document = inner.as_deref().and_then(Value::as_message).unwrap_or(&message);
    let text = |name| document.get_field_by_name(name).and_then(|value| value.as_str().map(str::to_owned));
    let data = document.get_field_by_name("data").and_then(|value| value.as_bytes().cloned());
    let mut response = Response::new(Body::from(data.unwrap_or_default()));
    if let Ok(content_type) = HeaderValue::try_from(text("content_type").unwrap_or_default()) {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    Ok(response)
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
