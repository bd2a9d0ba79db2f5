//! Bodies of any media type: `google.api.HttpBody`, whose bytes are the body of a request or of a response as they are.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use dataflow_transcode::{FieldId, last_delimited, put_bytes, put_message};
use futures_util::{Stream, StreamExt, TryStreamExt, future, stream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response};
use tonic::Status;

use crate::body::StreamedBody;
use crate::dialect::Reply;
use crate::schema::{Binding, is_http_body};

/// The fields of `google.api.HttpBody`.
const CONTENT_TYPE_FIELD: u32 = 1;
const DATA_FIELD: u32 = 2;

/// A piece of the documents of a request. One with a media type begins a document.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) content_type: String,
    pub(super) data: Bytes,
}

/// The pieces of a body that is one document, as they arrive.
pub(super) fn pieces(
    headers: &HeaderMap,
    body: StreamedBody,
) -> impl Stream<Item = Result<Piece, Status>> + Send + 'static {
    let first = Piece { content_type: content_type(headers).to_owned(), ..Piece::default() };
    let pieces = body.pieces().map_ok(|data| Piece { data, ..Piece::default() });
    stream::once(future::ready(Ok(first))).chain(pieces)
}

/// The media type of a request's body.
pub(super) fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Writes a body as a field of a request, or as the request itself.
pub(super) fn put(
    binding: &Binding,
    field: Option<FieldId>,
    content_type: &str,
    data: &[u8],
    out: &mut Vec<u8>,
) {
    let put = |out: &mut Vec<u8>| {
        for (number, bytes) in [(CONTENT_TYPE_FIELD, content_type.as_bytes()), (DATA_FIELD, data)] {
            if !bytes.is_empty() {
                put_bytes(number, bytes, out);
            }
        }
    };
    match field {
        Some(field) => put_message(&binding.schema[field], out, put),
        None => put(out),
    }
}

/// Whether the messages of a reply are bodies of any media type.
pub(super) fn is_reply(binding: &Binding) -> bool {
    binding.reply_message().is_some_and(|message| is_http_body(&binding.schema, message))
}

/// The response to a reply of one body.
pub(super) fn response(binding: &Binding, message: &Bytes) -> Response<Body> {
    let (content_type, data) = parts(binding, message);
    let mut response = Response::new(Body::from(data));
    set_content_type(&mut response, &content_type);
    response
}

/// The response to a reply that is a stream of parts of a body, with the media type of the first one. A failure after
/// the first part aborts the response: the body has no place for it.
pub(super) async fn stream(binding: &Arc<Binding>, mut reply: Reply) -> Result<Response<Body>, Status> {
    let first = next(&mut reply).await?;
    let (content_type, data) = first.as_ref().map_or_else(Default::default, |first| parts(binding, first));
    let is_over = first.is_none();
    let binding = Arc::clone(binding);
    let state = (Some(data), Some(reply).filter(|_| !is_over));
    let data = stream::try_unfold(state, move |(data, reply)| {
        let binding = Arc::clone(&binding);
        async move {
            if let Some(data) = data {
                return Ok(Some((data, (None, reply))));
            }
            let Some(mut reply) = reply else { return Ok(None) };
            let Some(message) = next(&mut reply).await.map_err(io::Error::other)? else { return Ok(None) };
            Ok::<_, io::Error>(Some((parts(&binding, &message).1, (None, Some(reply)))))
        }
    });
    let mut response = Response::new(Body::from_stream(data));
    set_content_type(&mut response, &content_type);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The next message of a reply; none at its end.
async fn next(reply: &mut Reply) -> Result<Option<Bytes>, Status> {
    match reply.frames.next_length().await? {
        Some(length) => reply.frames.message(length, reply.limit).await.map(Some),
        None => reply.frames.finish().await.map(|()| None),
    }
}

/// The media type and the bytes of the body that a message of a reply is, or has as its field.
fn parts(binding: &Binding, message: &Bytes) -> (Bytes, Bytes) {
    let part =
        |of: &Bytes, number: u32| last_delimited(of, number).map_or_else(Bytes::new, |range| of.slice(range));
    let document = match binding.reply {
        Some(field) => part(message, binding.schema[field].number()),
        None => message.clone(),
    };
    (part(&document, CONTENT_TYPE_FIELD), part(&document, DATA_FIELD))
}

/// Sets the media type of a body, if it states one.
fn set_content_type(response: &mut Response<Body>, content_type: &[u8]) {
    if !content_type.is_empty()
        && let Ok(content_type) = HeaderValue::from_bytes(content_type)
    {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
}
