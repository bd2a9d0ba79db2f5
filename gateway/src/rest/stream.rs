//! A reply that is a stream, in the format that the client asks for by `Accept`: JSON lines, server-sent events, or one
//! array. A message goes out as soon as it has come in.
//!
//! The status is out before the stream fails, so that a failure is the last thing in it: an object whose only member is
//! `error`, the JSON of a `google.rpc.Status`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Response};
use mime::Mime;
use tonic::Status;

use super::response::json_of;
use crate::dialect::Reply;
use crate::problem;
use crate::schema::Binding;

/// The format of a stream of messages in a response body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamFormat {
    /// One message a line (`application/x-ndjson`).
    Lines,
    /// One event a message (HTML, "Server-sent events").
    Events,
    /// One JSON array.
    Array,
}

// === impl StreamFormat ===

impl StreamFormat {
    /// The format that the client prefers (RFC 9110, 12.5.1), the first one of those; lines if it names none.
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        let named = accepted.flat_map(|value| value.split(',')).filter_map(|range| {
            let range: Mime = range.trim().parse().ok()?;
            let format = match range.essence_str() {
                "application/x-ndjson" | "application/jsonl" => Self::Lines,
                "text/event-stream" => Self::Events,
                "application/json" => Self::Array,
                _ => return None,
            };
            let weight = range.get_param("q").map_or(Ok(1.0), |weight| weight.as_str().parse::<f32>());
            let weight = weight.ok().filter(|weight| *weight > 0.0)?;
            Some((format, weight))
        });
        let preferred = named.reduce(|first, next| if next.1 > first.1 { next } else { first });
        preferred.map_or(Self::Lines, |(format, _)| format)
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
            Self::Array => "application/json",
        }
    }

    /// One message, the `number`th from 0.
    fn message(self, number: u64, json: &[u8]) -> Bytes {
        match self {
            Self::Lines => [json, b"\n"].concat().into(),
            Self::Events => [b"data: ", json, b"\n\n"].concat().into(),
            Self::Array => [if number == 0 { b"[" } else { b"," }, json].concat().into(),
        }
    }

    /// The end, after this number of messages.
    fn end(self, number: u64, failure: Option<&[u8]>) -> Bytes {
        match (self, failure) {
            (Self::Lines | Self::Events, None) => Bytes::new(),
            (Self::Events, Some(json)) => {
                [b"event: error\n", &self.message(number, json)[..]].concat().into()
            }
            (_, Some(json)) => match self.message(number, json) {
                last if self == Self::Array => [&last[..], b"]"].concat().into(),
                last => last,
            },
            (Self::Array, None) if number == 0 => Bytes::from_static(b"[]"),
            (Self::Array, None) => Bytes::from_static(b"]"),
        }
    }
}

/// The response that the messages of a reply make.
pub(super) fn write(binding: &Arc<Binding>, format: StreamFormat, reply: Reply) -> Response<Body> {
    let mut response = Response::new(Body::from_stream(pieces(Arc::clone(binding), format, reply)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    response
}

fn pieces(
    binding: Arc<Binding>,
    format: StreamFormat,
    reply: Reply,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    stream::unfold(Some((reply, 0)), move |state| {
        let binding = Arc::clone(&binding);
        async move {
            let (mut reply, number) = state?;
            let failure = match next(&binding, &mut reply).await {
                Ok(Some(json)) => {
                    return Some((Ok(format.message(number, &json)), Some((reply, number + 1))));
                }
                Ok(None) => reply.frames.finish().await.err(),
                Err(status) => Some(status),
            };
            let failure = failure.map(|status| {
                let error = problem::to_json(&status, &reply.request_id, &binding.schema);
                [b"{\"error\":", &error[..], b"}"].concat()
            });
            Some((Ok(format.end(number, failure.as_deref())), None))
        }
    })
}

/// The JSON of the next message; none at the end.
async fn next(binding: &Binding, reply: &mut Reply) -> Result<Option<Vec<u8>>, Status> {
    let Some(length) = reply.frames.next_length().await? else { return Ok(None) };
    let message = reply.frames.message(length, reply.limit).await?;
    json_of(binding, &message, reply.limit).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_selects_the_format() {
        let check = |accept: Option<&'static str>, expected: StreamFormat| {
            let accept = accept.map(|accept| (ACCEPT, HeaderValue::from_static(accept)));
            assert_eq!(StreamFormat::accepted(&accept.clone().into_iter().collect()), expected, "{accept:?}");
        };
        check(None, StreamFormat::Lines);
        check(Some("*/*"), StreamFormat::Lines);
        check(Some("text/html"), StreamFormat::Lines);
        check(Some("text/event-stream"), StreamFormat::Events);
        check(Some("text/html, application/json;q=0.9, */*"), StreamFormat::Array);
        check(Some("application/x-ndjson, application/json"), StreamFormat::Lines);
        check(Some("text/event-stream;q=0, application/json;q=0.1"), StreamFormat::Array);
        check(Some("text/event-stream;q=0"), StreamFormat::Lines);
        check(Some("application/json;q=0.5, text/event-stream"), StreamFormat::Events);
    }

    #[test]
    fn a_format_begins_parts_and_ends_its_messages() {
        let check = |format: StreamFormat, messages: &[&str], failure: Option<&str>, expected: &str| {
            let parts = (0..).zip(messages).map(|(number, json)| format.message(number, json.as_bytes()));
            let end = format.end(messages.len() as u64, failure.map(str::as_bytes));
            let written: Vec<u8> = parts.chain([end]).flatten().collect();
            assert_eq!(String::from_utf8(written).unwrap(), expected);
        };
        check(StreamFormat::Lines, &["1", "2"], None, "1\n2\n");
        check(StreamFormat::Lines, &["1"], Some("x"), "1\nx\n");
        check(StreamFormat::Lines, &[], None, "");
        check(StreamFormat::Events, &["1", "2"], None, "data: 1\n\ndata: 2\n\n");
        check(StreamFormat::Events, &["1"], Some("x"), "data: 1\n\nevent: error\ndata: x\n\n");
        check(StreamFormat::Array, &["1", "2"], None, "[1,2]");
        check(StreamFormat::Array, &["1"], Some("x"), "[1,x]");
        check(StreamFormat::Array, &[], Some("x"), "[x]");
        check(StreamFormat::Array, &[], None, "[]");
    }
}
