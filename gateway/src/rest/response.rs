//! The second half of transcoding: a reply of one message becomes an HTTP response. It is outside the stack of calls,
//! so that all errors have the same format, whichever layer rejected the call.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use dataflow_transcode::{IncrementalWriter, JsonWriter, Style, last_delimited};
use futures_util::{Stream, stream};
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderValue, Response};
use tonic::Status;

use super::etag;
use super::request::document_parts;
use crate::dialect::Reply;
use crate::frame::{Frames, ReplyError};
use crate::json;
use crate::schema::{Binding, is_http_body};

/// Replies up to this size are buffered before the first byte is sent; larger ones are written as they arrive.
const BUFFERED_MAX: usize = 256 * 1024;

/// JSON is sent in chunks of about this size.
const PIECE: usize = 16 * 1024;

/// A message has at most this many times the bytes of the largest message as JSON: base64, quotes and names make it
/// longer, and an empty one is written with all its defaults.
const EXPANSION: usize = 8;

/// The response that a reply of one message makes.
pub(super) async fn write(binding: &Arc<Binding>, reply: Reply) -> Result<Response<Body>, Status> {
    let Reply { mut frames, limit, .. } = reply;
    let length = frames.single_length().await?;
    let is_document = binding.reply_message().is_some_and(|message| is_http_body(&binding.schema, message));
    if (BUFFERED_MAX + 1..=limit).contains(&length)
        && !is_document
        && (binding.reply.is_some() || binding.schema[binding.output].is_plain())
    {
        let (schema, style) = (Arc::clone(&binding.schema), Style::default());
        let max_bytes = limit.saturating_mul(EXPANSION);
        let writer = IncrementalWriter::new(schema, binding.output, binding.reply, length, style, max_bytes);
        return Ok(json::response(Body::from_stream(arriving(frames, length, writer))));
    }
    let message = frames.single(length, limit).await?;
    if is_document {
        return Ok(document(binding, &message));
    }
    let mut response = json::response(json_of(binding, &message, limit)?);
    if let Some(etag) = etag::of(binding, &message) {
        response.headers_mut().insert(ETAG, etag);
    }
    Ok(response)
}

/// The JSON of a message of a reply, or of its field that is the HTTP body. `limit` is that of the message.
pub(super) fn json_of(binding: &Binding, message: &[u8], limit: usize) -> Result<Vec<u8>, Status> {
    let mut writer = JsonWriter::new(&binding.schema, Style::default(), limit.saturating_mul(EXPANSION));
    let written = match binding.reply {
        None => writer.message(binding.output, message),
        Some(field) => writer.field(field, message),
    };
    written.map_err(|error| ReplyError::unreadable(&error))?;
    Ok(writer.take())
}

/// The response that a `google.api.HttpBody` is.
fn document(binding: &Binding, message: &Bytes) -> Response<Body> {
    let (content_type, data) = document_parts(&document_in(binding, message));
    let mut response = Response::new(Body::from(data));
    set_content_type(&mut response, &content_type);
    response
}

/// The `google.api.HttpBody` that a message of a reply is, or has as its field.
pub(super) fn document_in(binding: &Binding, message: &Bytes) -> Bytes {
    let Some(field) = binding.reply else { return message.clone() };
    let range = last_delimited(message, binding.schema[field].number());
    range.map_or_else(Bytes::new, |range| message.slice(range))
}

/// Sets the media type of a document, if it states one.
pub(super) fn set_content_type(response: &mut Response<Body>, content_type: &[u8]) {
    if !content_type.is_empty()
        && let Ok(content_type) = HeaderValue::from_bytes(content_type)
    {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
}

/// The JSON of a message of `length` bytes, written as it arrives, so that memory does not hold all of it.
fn arriving(
    frames: Frames,
    length: usize,
    writer: IncrementalWriter,
) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static {
    stream::try_unfold(Some((frames, length, writer)), |state| async move {
        let Some((mut frames, mut unread, mut writer)) = state else { return Ok(None) };
        while writer.written() < PIECE && unread > 0 {
            let piece = frames.take_some(unread).await.map_err(io::Error::other)?;
            unread -= piece.len();
            writer.feed(&piece).map_err(io::Error::other)?;
        }
        let piece = Bytes::from(writer.take());
        if unread > 0 {
            return Ok(Some((piece, Some((frames, unread, writer)))));
        }
        if !writer.is_finished() {
            return Err(io::Error::other(ReplyError::unreadable(&"it ends within a field")));
        }
        frames.finish().await.map_err(io::Error::other)?;
        Ok(Some((piece, None)))
    })
}
