//! gRPC's framing (gRPC over HTTP/2, "Length-Prefixed-Message"): a flag, a length of four bytes, a message. Separate
//! from the dialects, because each of them frames requests and reads the frames of replies.

use std::convert::Infallible;

use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use dataflow_mesh::status::{self, Describe, Kind};
use http_body_util::BodyExt;
use prost::Message;
use tonic::Status;

/// Bytes before each message.
const HEAD: usize = 5;

/// A message with its head.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    let encode = |out: &mut Vec<u8>| {
        message.encode_raw(out);
        Ok::<_, Infallible>(())
    };
    let Ok(frame) = frame(message.encoded_len(), encode);
    frame
}

/// A message that `encode` writes, with its head. It has about `expected` bytes.
pub(crate) fn frame<E>(
    expected: usize,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<Bytes, E> {
    let mut frame = Vec::with_capacity(HEAD + expected);
    frame.resize(HEAD, 0);
    encode(&mut frame)?;
    let length = u32::try_from(frame.len() - HEAD).expect("a request is bounded far below 4 GiB");
    frame[1..HEAD].copy_from_slice(&length.to_be_bytes());
    Ok(frame.into())
}

/// Reads the messages of a gRPC response as they arrive.
pub(crate) struct Frames {
    body: Body,
    /// The received bytes that are not consumed yet.
    buffer: BytesMut,
    ended: bool,
    /// Whether the trailers stated a status.
    has_status: bool,
}

/// Why there is no reply although an upstream responded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReplyError {
    /// A message of the response is too large.
    #[error("the response is larger than the {limit} bytes of --max-message-bytes")]
    TooLarge {
        /// The most bytes.
        limit: usize,
    },
    /// The upstream canceled the response.
    #[error("an upstream canceled its response")]
    Canceled,
    /// The connection to the upstream was lost, or it refused the stream.
    #[error("the connection to an upstream was lost")]
    Lost,
    /// The response does not match the contract.
    #[error("the response of an upstream is malformed: {0}")]
    Unreadable(String),
}

// === impl Frames ===

impl Frames {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, buffer: BytesMut::new(), ended: false, has_status: false }
    }

    /// The length of the next message; none at the end of the response.
    pub(crate) async fn next_length(&mut self) -> Result<Option<usize>, Status> {
        while self.buffer.len() < HEAD {
            if !self.read().await? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(truncated()) };
            }
        }
        if self.buffer.get_u8() != 0 {
            return Err(unreadable("it is compressed"));
        }
        Ok(Some(self.buffer.get_u32() as usize))
    }

    /// This many bytes of the current message.
    async fn take(&mut self, length: usize) -> Result<Bytes, Status> {
        while self.buffer.len() < length {
            if !self.read().await? {
                return Err(truncated());
            }
        }
        Ok(self.buffer.split_to(length).freeze())
    }

    /// The length of the message that is the whole reply.
    pub(crate) async fn single_length(&mut self) -> Result<usize, Status> {
        match self.next_length().await? {
            Some(length) => Ok(length),
            None => {
                self.finish().await?;
                Err(unreadable("there is no message"))
            }
        }
    }

    /// The message of a unary reply with this length, if it is at most `limit`; reads to the end of the response.
    pub(crate) async fn single(&mut self, length: usize, limit: usize) -> Result<Bytes, Status> {
        let message = self.message(length, limit).await?;
        self.finish().await?;
        Ok(message)
    }

    /// The current message with this length, if it is at most `limit`.
    pub(crate) async fn message(&mut self, length: usize, limit: usize) -> Result<Bytes, Status> {
        if length > limit {
            return Err(ReplyError::TooLarge { limit }.into());
        }
        self.take(length).await
    }

    /// As many bytes of the current message as there are, `most` at most and one at least.
    pub(crate) async fn take_some(&mut self, most: usize) -> Result<Bytes, Status> {
        while self.buffer.is_empty() {
            if !self.read().await? {
                return Err(truncated());
            }
        }
        let length = most.min(self.buffer.len());
        Ok(self.buffer.split_to(length).freeze())
    }

    /// Reads to the end of a response without further messages; fails if the call failed.
    pub(crate) async fn finish(&mut self) -> Result<(), Status> {
        while self.buffer.is_empty() && self.read().await? {}
        match self.buffer.is_empty() {
            false => Err(unreadable("bytes after the end of the response")),
            true if !self.has_status => Err(unreadable("no gRPC status in the trailers")),
            true => Ok(()),
        }
    }

    /// Reads the next frame; false at the end. A failure of the call is returned as soon as it is known.
    async fn read(&mut self) -> Result<bool, Status> {
        if self.ended {
            return Ok(false);
        }
        match self.body.frame().await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    self.buffer.extend_from_slice(&data);
                    Ok(true)
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    self.ended = true;
                    self.has_status = trailers.contains_key(Status::GRPC_STATUS);
                    status::failure_in(&trailers).map_or(Ok(false), Err)
                }
            },
            Some(Err(error)) => Err(ReplyError::of_broken(&error).into()),
            None => {
                self.ended = true;
                Ok(false)
            }
        }
    }
}

fn truncated() -> Status {
    unreadable("it breaks off")
}

fn unreadable(why: &str) -> Status {
    ReplyError::unreadable(&why).into()
}

// === impl ReplyError ===

impl ReplyError {
    /// The error of a response that broke off.
    fn of_broken(error: &axum::Error) -> Self {
        match status::kind_of_broken(error) {
            Kind::Cancelled => ReplyError::Canceled,
            Kind::Unavailable | Kind::Overloaded => ReplyError::Lost,
            _ => ReplyError::unreadable(error),
        }
    }

    pub(crate) fn unreadable(why: &impl ToString) -> Self {
        Self::Unreadable(why.to_string())
    }
}

impl Describe for ReplyError {
    fn domain(&self) -> &'static str {
        "dataflow.gateway.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            ReplyError::TooLarge { .. } => Kind::TooLarge,
            ReplyError::Canceled => Kind::Cancelled,
            ReplyError::Lost => Kind::Unavailable,
            ReplyError::Unreadable(_) => Kind::PeerFault,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            ReplyError::TooLarge { .. } => "REPLY_TOO_LARGE",
            ReplyError::Canceled => "REPLY_CANCELED",
            ReplyError::Lost => "REPLY_LOST",
            ReplyError::Unreadable(_) => "REPLY_UNREADABLE",
        }
    }
}

impl From<ReplyError> for Status {
    fn from(error: ReplyError) -> Self {
        status::to_status(&error)
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http_body_util::Full;

    use super::*;

    /// The result of a response with one expected message.
    async fn read(bytes: &'static [u8], status: Option<&str>) -> Result<Bytes, String> {
        let trailers = status.map(|status| {
            let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), status.parse().unwrap())]);
            Ok(trailers)
        });
        let body = Full::new(Bytes::from_static(bytes)).with_trailers(std::future::ready(trailers));
        let mut frames = Frames::new(Body::new(body));
        let read = async {
            let length = frames.next_length().await?.unwrap_or_default();
            let message = frames.take(length).await?;
            frames.finish().await.map(|()| message)
        };
        read.await.map_err(|status| format!("{:?}", status.code()))
    }

    #[tokio::test]
    async fn a_unary_response_is_one_message_and_a_status() {
        let one = framed(&"a".to_owned());
        assert_eq!(&one[..], b"\0\0\0\0\x03\n\x01a");
        let check = async |bytes: &'static [u8], status: Option<&str>, expected: Result<&str, &str>| {
            let found = read(bytes, status).await;
            let found = found.as_ref().map(|bytes| std::str::from_utf8(bytes).unwrap());
            assert_eq!(found.map_err(String::as_str), expected, "{bytes:?} {status:?}");
        };
        check(b"\0\0\0\0\x02ab", Some("0"), Ok("ab")).await;
        check(b"\0\0\0\0\x02ab", Some("5"), Err("NotFound")).await;
        check(b"\0\0\0\0\x02ab", None, Err("Internal")).await;
        check(b"\0\0\0\0\x02abc", Some("0"), Err("Internal")).await;
        check(b"\0\0\0\0\x02a", Some("0"), Err("Internal")).await;
        check(b"\x01\0\0\0\x02ab", Some("0"), Err("Internal")).await;
        check(b"\0\0", Some("0"), Err("Internal")).await;
    }
}
