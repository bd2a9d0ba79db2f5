//! Messages that a client sends as gzip (gRPC over HTTP/2, "Message Encoding"), decompressed before the stack counts
//! them. tonic would decompress a whole message uncounted: a few bytes on the wire become a thousand times as many.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use flate2::write::MultiGzDecoder;
use http::{HeaderMap, HeaderName, Request};
use http_body::Frame;

use super::request_memory::RequestMemory;
use crate::inbound::error::Error;
use crate::memory_shares::MemoryPermit;
use crate::status;

/// How the messages of a request are compressed.
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Bytes of the prefix of a message: a flag and the length.
const PREFIX: usize = 5;

/// The flag of a compressed message.
const COMPRESSED: u8 = 1;

/// The messages of a request may have this many times the bytes that they were sent as.
const MAX_RATIO: u64 = 100;

/// The most bytes of a message to health or reflection.
const MAX_CONTROL: u64 = 4 * 1024;

/// Up to this size, all messages of a request together may be of any density.
const SMALL: u64 = 64 * 1024;

/// Decompresses the messages of one request, one at a time.
#[derive(Debug)]
pub(super) struct Decompressor {
    memory: RequestMemory,
    /// The most bytes of one message.
    max_message: u64,
    state: State,
    /// What has arrived and was not read.
    rest: Bytes,
    /// All bytes of compressed messages so far, as they were sent, and as they are.
    read: u64,
    written: u64,
}

#[derive(Debug)]
enum State {
    /// The prefix of the next message, as far as it was read.
    Prefix(Vec<u8>),
    /// So many bytes of a message that is not compressed.
    Plain(u64),
    /// So many bytes of one that is.
    Compressed(u64, Box<MultiGzDecoder<Message>>),
}

/// A message as far as it is decompressed. It ends the decoder as soon as it is too large.
#[derive(Debug)]
struct Message {
    memory: RequestMemory,
    max_message: u64,
    /// Those of [`Decompressor`], up to now and before this message.
    read: u64,
    written: u64,
    bytes: Vec<u8>,
    permit: Option<MemoryPermit>,
    refusal: Option<Error>,
}

/// A request body whose messages are decompressed as it is read.
struct DecompressedBody {
    inner: Body,
    decompressor: Decompressor,
    ended: bool,
}

/// Decompresses the messages of a request to health or reflection, of which none is long: they have no permits and no
/// budget.
pub(super) fn decompressed(mut request: Request<Body>, memory: &RequestMemory) -> Request<Body> {
    let decompressor = Decompressor::of(request.headers_mut(), memory);
    match decompressor.map(|decompressor| Decompressor { max_message: MAX_CONTROL, ..decompressor }) {
        None => request,
        Some(decompressor) => {
            request.map(|inner| Body::new(DecompressedBody { inner, decompressor, ended: false }))
        }
    }
}

// === impl Decompressor ===

impl Decompressor {
    /// That of a request whose messages are gzip. The request no longer says so: they will not be.
    pub(super) fn of(headers: &mut HeaderMap, memory: &RequestMemory) -> Option<Self> {
        if headers.get(&ENCODING)? != "gzip" {
            return None;
        }
        headers.remove(&ENCODING);
        let (memory, max_message) = (memory.clone(), memory.max_message());
        let (state, rest) = (State::Prefix(Vec::new()), Bytes::new());
        Some(Self { memory, max_message, state, rest, read: 0, written: 0 })
    }

    /// Takes the next bytes of the body, after all before them have been read.
    pub(super) fn push(&mut self, data: Bytes) {
        self.rest = data;
    }

    /// The next message, or a part of one that was not compressed; none if more of it must arrive.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let rest = std::mem::take(&mut self.rest);
        let mut data = &rest[..];
        let out = self.read(&mut data)?;
        self.rest = rest.slice(rest.len() - data.len()..);
        Ok(Some(out).filter(|out| !out.is_empty()))
    }

    fn read(&mut self, data: &mut &[u8]) -> Result<Bytes, Error> {
        let mut out = BytesMut::new();
        while !data.is_empty() {
            match &mut self.state {
                State::Prefix(prefix) => {
                    let missing = (PREFIX - prefix.len()).min(data.len());
                    prefix.extend_from_slice(split(data, missing));
                    if prefix.len() == PREFIX {
                        let prefix = std::mem::take(prefix);
                        self.begin(&prefix, &mut out)?;
                    }
                }
                State::Plain(left) => {
                    let piece = split(data, within(*left));
                    *left -= piece.len() as u64;
                    out.put_slice(piece);
                    if *left == 0 {
                        self.state = State::Prefix(Vec::new());
                    }
                }
                State::Compressed(left, decoder) => {
                    let piece = split(data, within(*left));
                    *left -= piece.len() as u64;
                    let is_last = *left == 0;
                    self.read += piece.len() as u64;
                    decoder.get_mut().read = self.read;
                    let written = decoder.write_all(piece);
                    decoder.get_mut().outcome(written)?;
                    if is_last {
                        let ended = decoder.try_finish();
                        decoder.get_mut().outcome(ended)?;
                        self.written += decoder.get_mut().bytes.len() as u64;
                        put(&decoder.get_mut().bytes, &mut out)?;
                        self.state = State::Prefix(Vec::new());
                        return Ok(out.freeze());
                    }
                }
            }
        }
        Ok(out.freeze())
    }

    /// Whether the body may end here.
    pub(super) fn is_between_messages(&self) -> bool {
        self.rest.is_empty() && matches!(&self.state, State::Prefix(prefix) if prefix.is_empty())
    }

    fn begin(&mut self, prefix: &[u8], out: &mut BytesMut) -> Result<(), Error> {
        let length = prefix[1..].iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        if prefix[0] != COMPRESSED {
            out.put_slice(prefix);
            if length > 0 {
                self.state = State::Plain(length);
            }
            return Ok(());
        }
        if length == 0 {
            return Err(Error::GzipInvalid);
        }
        let Self { memory, max_message, read, written, .. } = self;
        let (memory, max_message, read, written) = (memory.clone(), *max_message, *read, *written);
        let (bytes, permit, refusal) = (Vec::new(), None, None);
        let message = Message { memory, max_message, read, written, bytes, permit, refusal };
        self.state = State::Compressed(length, Box::new(MultiGzDecoder::new(message)));
        Ok(())
    }
}

/// The first bytes of `data`, which keeps the others.
fn split<'a>(data: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (first, rest) = data.split_at(length.min(data.len()));
    *data = rest;
    first
}

fn within(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// Writes a message that is not compressed.
fn put(message: &[u8], out: &mut BytesMut) -> Result<(), Error> {
    let length = u32::try_from(message.len()).map_err(|_| Error::GzipInvalid)?;
    out.reserve(PREFIX + message.len());
    out.put_u8(0);
    out.put_u32(length);
    out.put_slice(message);
    Ok(())
}

// === impl Message ===

impl Message {
    /// The result of a step of the decoder.
    fn outcome(&mut self, step: io::Result<()>) -> Result<(), Error> {
        match self.refusal.take() {
            Some(refusal) => Err(refusal),
            None => step.map_err(|_| Error::GzipInvalid),
        }
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let length = (self.bytes.len() + bytes.len()) as u64;
        if length > self.max_message {
            return Err(Error::MessageTooLarge { limit: self.max_message });
        }
        let all = self.written + length;
        if all > SMALL && all > self.read.saturating_mul(MAX_RATIO) {
            return Err(Error::TooDense { ratio: MAX_RATIO });
        }
        self.memory.hold(&mut self.permit, length)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl Write for Message {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes).map(|()| bytes.len()).map_err(|refusal| {
            self.refusal = Some(refusal);
            io::ErrorKind::Other.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl DecompressedBody ===

impl http_body::Body for DecompressedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            match self.decompressor.next() {
                Ok(None) => {}
                Ok(Some(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(error) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(failure(error))));
                }
            }
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    self.decompressor.push(data);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.ended = true;
                    if self.decompressor.is_between_messages() {
                        return Poll::Ready(None);
                    }
                    return Poll::Ready(Some(Err(failure(Error::GzipInvalid))));
                }
            }
        }
    }
}

/// An error that tonic answers with its status.
fn failure(error: Error) -> axum::Error {
    axum::Error::new(status::to_status(&error))
}

#[cfg(test)]
mod tests;
