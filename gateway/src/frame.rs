//! gRPC's framing (gRPC over HTTP/2, "Length-Prefixed-Message"): a flag, a length of four bytes, a message.

use axum::body::Body;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use dataflow_mesh::status;
use http_body_util::BodyExt;
use prost::Message;
use tonic::Status;

use crate::error::Error;

/// Bytes before each message.
const HEAD: usize = 5;

/// A message with its head.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(HEAD + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).expect("a request is bounded far below 4 GiB"));
    message.encode(&mut frame).expect("the buffer grows");
    frame.freeze()
}

/// The messages of an answer, read as they come.
pub(crate) struct Frames {
    body: Body,
    buffer: BytesMut,
    /// Whether it has ended, and ended well.
    ended: bool,
    trailers: bool,
}

// === impl Frames ===

impl Frames {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, buffer: BytesMut::new(), ended: false, trailers: false }
    }

    /// The length of the next message; none at the end of the answer.
    pub(crate) async fn next_length(&mut self) -> Result<Option<usize>, Status> {
        while self.buffer.len() < HEAD {
            if !self.read().await? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(truncated()) };
            }
        }
        if self.buffer.get_u8() != 0 {
            return Err(status::to_status(&Error::ReplyUnreadable("it is compressed".to_owned())));
        }
        Ok(Some(self.buffer.get_u32() as usize))
    }

    /// So many bytes of the current message at once.
    pub(crate) async fn take(&mut self, length: usize) -> Result<Bytes, Status> {
        while self.buffer.len() < length {
            if !self.read().await? {
                return Err(truncated());
            }
        }
        Ok(self.buffer.split_to(length).freeze())
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

    /// Reads to the end of an answer from which no further message is expected; fails as the call did.
    pub(crate) async fn finish(mut self) -> Result<(), Status> {
        while self.read().await? {
            if !self.buffer.is_empty() {
                return Err(unreadable("it goes on where it should end"));
            }
        }
        if self.trailers { Ok(()) } else { Err(unreadable("it ends without a status")) }
    }

    /// Reads on; false at the end. The failure of the call itself is told as soon as it is known.
    async fn read(&mut self) -> Result<bool, Status> {
        if self.ended {
            return Ok(false);
        }
        match self.body.frame().await {
            Some(Ok(frame)) => {
                match frame.into_data() {
                    Ok(data) => self.buffer.extend_from_slice(&data),
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        self.ended = true;
                        self.trailers = true;
                        return status::failure_in(&trailers).map_or(Ok(false), Err);
                    }
                }
                Ok(true)
            }
            Some(Err(error)) => Err(unreadable(&error.to_string())),
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
    status::to_status(&Error::ReplyUnreadable(why.to_owned()))
}
