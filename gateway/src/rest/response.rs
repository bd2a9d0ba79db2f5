//! The second half of transcoding: a reply of one message becomes an HTTP response. It is outside the stack of calls,
//! so that all errors have the same format, whichever layer rejected the call.

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderValue, Response};
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};
use tonic::Status;

use super::{elements, etag};
use crate::dialect::Reply;
use crate::frame::ReplyError;
use crate::json;
use crate::schema::{Binding, is_http_body};

/// Replies up to this size are buffered before the first byte is sent; for larger ones the elements of lists are sent
/// as they arrive.
const BUFFERED_MAX: usize = 256 * 1024;

/// The response that a reply of one message makes.
pub(super) async fn write(binding: &Binding, reply: Reply) -> Result<Response<Body>, Status> {
    let Reply { mut frames, limit, .. } = reply;
    let length = frames.single_length().await?;
    if (BUFFERED_MAX + 1..=limit).contains(&length)
        && let Some(message) = binding.reply_message().filter(has_members)
    {
        let field = binding.reply.as_ref().map(|field| field.number());
        return Ok(json::response(Body::from_stream(elements::stream(frames, length, field, message))));
    }
    let message = frames.single(length, limit).await?;
    if binding.reply_message().is_some_and(|message| is_http_body(&message)) {
        return document(binding, message);
    }
    let message = decode(binding, message)?;
    let mut response = json::response(write_json(binding, &message)?);
    let field = binding.reply.as_ref().map(|field| message.get_field(field));
    let resource = field.as_deref().and_then(Value::as_message).unwrap_or(&message);
    if let Some(etag) = etag::of(resource) {
        response.headers_mut().insert(ETAG, etag);
    }
    Ok(response)
}

/// Whether the JSON of a message is an object with a member for each field: not for bodies of any media type, nor for
/// the messages that JSON writes in a way of their own.
fn has_members(message: &MessageDescriptor) -> bool {
    !is_http_body(message) && message.package_name() != "google.protobuf"
}

/// The JSON of a message of a reply, or of its field that is the HTTP body.
pub(super) fn json_of(binding: &Binding, message: Bytes) -> Result<Vec<u8>, Status> {
    write_json(binding, &decode(binding, message)?)
}

fn write_json(binding: &Binding, message: &DynamicMessage) -> Result<Vec<u8>, Status> {
    let written = match binding.reply.as_ref().map(|field| (field, message.get_field(field))) {
        None => json::write(message),
        Some((field, value)) => match value.as_message() {
            Some(message) => json::write(message),
            // Only messages can be written: the field is extracted from the JSON of its message.
            None => json::members(message).map(|mut members| {
                members.remove(field.json_name()).unwrap_or_default().to_string().into_bytes()
            }),
        },
    };
    written.map_err(|error| ReplyError::unreadable(&error).into())
}

fn decode(binding: &Binding, message: Bytes) -> Result<DynamicMessage, ReplyError> {
    DynamicMessage::decode(binding.method.output(), message).map_err(|error| ReplyError::unreadable(&error))
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
