//! The second half of transcoding: a reply of one message becomes an HTTP response. It is outside the stack of calls,
//! so that all errors have the same format, whichever layer rejected the call.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use dataflow_transcode::{IncrementalWriter, JsonWriter, Style};
use futures_util::{Stream, stream};
use http::header::ETAG;
use http::{HeaderValue, Response, StatusCode};
use tonic::Status;

use super::conditions::{Conditions, Verdict};
use super::etag::PreconditionError;
use super::{document, etag};
use crate::dialect::Reply;
use crate::frame::{Frames, ReplyError};
use crate::json;
use crate::schema::Binding;

/// Replies up to this size are buffered before the first byte is sent; larger ones are written as they arrive.
const BUFFERED_MAX: usize = 256 * 1024;

/// JSON is sent in chunks of about this size.
const PIECE: usize = 16 * 1024;

/// The most bytes of the JSON of a buffered reply: quotes and names make it longer than the message, and an empty
/// message is written with all its defaults.
const BUFFERED_JSON_MAX: usize = 64 * BUFFERED_MAX;

/// The response that a reply of one message makes. The conditions are those of a request that reads. A resource with an
/// etag is held as a whole: the etag may come last, and decides whether anything else is sent.
pub(super) async fn write(
    binding: &Arc<Binding>,
    conditions: &Conditions,
    reply: Reply,
) -> Result<Response<Body>, Status> {
    let Reply { mut frames, limit, .. } = reply;
    let length = frames.single_length().await?;
    let is_document = document::is_reply(binding);
    if (BUFFERED_MAX + 1..=limit).contains(&length)
        && !is_document
        && etag::field(binding).is_none()
        && conditions.verdict("") == Verdict::Send
        && (binding.reply.is_some() || binding.schema[binding.output].is_plain())
    {
        let (schema, style) = (Arc::clone(&binding.schema), Style::default());
        let max_bytes = limit.max(BUFFERED_JSON_MAX);
        let writer =
            IncrementalWriter::new(schema, binding.output, binding.reply, Some(length), style, max_bytes);
        return Ok(json::response(Body::from_stream(arriving(frames, length, writer))));
    }
    let message = frames.single(length, limit).await?;
    if is_document {
        return Ok(document::response(binding, &message));
    }
    let etag = etag::of(binding, &message);
    let mut response = match conditions.verdict(etag.unwrap_or_default()) {
        Verdict::Send => json::response(json_of(binding, &message, limit)?),
        Verdict::NotModified => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        Verdict::Failed => return Err(PreconditionError::is_another().into()),
    };
    if let Some(etag) = etag {
        let known = conditions.known(etag).filter(|_| response.status() == StatusCode::NOT_MODIFIED);
        let known = known.and_then(|known| HeaderValue::try_from(format!("\"{known}\"")).ok());
        response.headers_mut().insert(ETAG, known.unwrap_or_else(|| etag::header(etag)));
    }
    Ok(response)
}

/// The JSON of a message of a reply, or of its field that is the HTTP body. It has at most `limit` bytes, or those of a
/// buffered reply.
pub(super) fn json_of(binding: &Binding, message: &[u8], limit: usize) -> Result<Vec<u8>, Status> {
    let max_bytes = if message.len() > BUFFERED_MAX { limit } else { 0 };
    let mut writer = JsonWriter::new(&binding.schema, Style::default(), max_bytes.max(BUFFERED_JSON_MAX));
    let written = match binding.reply {
        None => writer.message(binding.output, message),
        Some(field) => writer.field(field, message),
    };
    written.map_err(|error| ReplyError::unreadable(&error))?;
    Ok(writer.take())
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
