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
use tokio::sync::OwnedSemaphorePermit;

use super::request_memory::RequestMemory;
use crate::inbound::error::Error;
use crate::status;

/// How the messages of a request are compressed.
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Bytes of the prefix of a message: a flag and the length.
const PREFIX: usize = 5;

/// The flag of a compressed message.
const COMPRESSED: u8 = 1;

/// A message may have this many times the bytes that it was sent as.
const MAX_RATIO: u64 = 100;

/// Up to this size a message may be of any density.
const SMALL: u64 = 64 * 1024;

/// Decompresses the messages of one request.
#[derive(Debug)]
pub(super) struct Decompressor {
    memory: RequestMemory,
    state: State,
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
    /// Bytes that were read of its compressed form.
    read: u64,
    bytes: Vec<u8>,
    permit: Option<OwnedSemaphorePermit>,
    refusal: Option<Error>,
}

/// A request body whose messages are decompressed as it is read.
struct DecompressedBody {
    inner: Body,
    decompressor: Decompressor,
    ended: bool,
}

/// Decompresses the messages of a request that no limit reads.
pub(super) fn decompressed(mut request: Request<Body>, memory: &RequestMemory) -> Request<Body> {
    match Decompressor::of(request.headers_mut(), memory) {
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
        Some(Self { memory: memory.clone(), state: State::Prefix(Vec::new()) })
    }

    /// The messages of the next bytes of the body, as far as they are complete.
    pub(super) fn read(&mut self, mut data: &[u8]) -> Result<Bytes, Error> {
        let mut out = BytesMut::new();
        while !data.is_empty() {
            match &mut self.state {
                State::Prefix(prefix) => {
                    let missing = (PREFIX - prefix.len()).min(data.len());
                    prefix.extend_from_slice(split(&mut data, missing));
                    if prefix.len() == PREFIX {
                        let prefix = std::mem::take(prefix);
                        self.begin(&prefix, &mut out)?;
                    }
                }
                State::Plain(left) => {
                    let piece = split(&mut data, within(*left));
                    *left -= piece.len() as u64;
                    out.put_slice(piece);
                    if *left == 0 {
                        self.state = State::Prefix(Vec::new());
                    }
                }
                State::Compressed(left, decoder) => {
                    let piece = split(&mut data, within(*left));
                    *left -= piece.len() as u64;
                    let is_last = *left == 0;
                    decoder.get_mut().read += piece.len() as u64;
                    let written = decoder.write_all(piece);
                    decoder.get_mut().outcome(written)?;
                    if is_last {
                        let ended = decoder.try_finish();
                        decoder.get_mut().outcome(ended)?;
                        put(&decoder.get_mut().bytes, &mut out)?;
                        self.state = State::Prefix(Vec::new());
                    }
                }
            }
        }
        Ok(out.freeze())
    }

    /// Whether the body may end here.
    pub(super) fn is_between_messages(&self) -> bool {
        matches!(&self.state, State::Prefix(prefix) if prefix.is_empty())
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
        let memory = self.memory.clone();
        let message = Message { memory, read: 0, bytes: Vec::new(), permit: None, refusal: None };
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
        if length > SMALL && length > self.read.saturating_mul(MAX_RATIO) {
            return Err(Error::TooDense { ratio: MAX_RATIO });
        }
        if length > self.memory.max_message() {
            return Err(Error::MessageTooLarge { limit: self.memory.max_message() });
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
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
            let data = match frame {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.ended = true;
                    if self.decompressor.is_between_messages() {
                        return Poll::Ready(None);
                    }
                    return Poll::Ready(Some(Err(failure(Error::GzipInvalid))));
                }
            };
            match self.decompressor.read(&data) {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(error) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(failure(error))));
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
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::memory::Memory;

    fn decompressor(total: u64, max_message: u64) -> Decompressor {
        let memory = RequestMemory::new(total, max_message, Memory::unlimited());
        let mut headers = HeaderMap::from_iter([(ENCODING, HeaderValue::from_static("gzip"))]);
        let decompressor = Decompressor::of(&mut headers, &memory).unwrap();
        assert!(headers.is_empty());
        decompressor
    }

    fn gzip(message: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(message).unwrap();
        encoder.finish().unwrap()
    }

    fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[flag], &length[..], message].concat()
    }

    #[test]
    fn only_gzip_is_decompressed() {
        let memory = RequestMemory::new(0, 0, Memory::unlimited());
        for encoding in ["identity", "br", "GZIP", "gzip, gzip", ""] {
            let mut headers = HeaderMap::from_iter([(ENCODING, HeaderValue::from_static(encoding))]);
            assert!(Decompressor::of(&mut headers, &memory).is_none(), "{encoding}");
            assert_eq!(headers.len(), 1, "tonic answers for it");
        }
        assert!(Decompressor::of(&mut HeaderMap::new(), &memory).is_none());
    }

    #[test]
    fn what_is_no_message_or_too_large_is_an_error() {
        let check = |sent: &[u8], expected: &str| {
            let error = decompressor(1 << 20, 100_000).read(sent).map(|_| ()).unwrap_err();
            assert!(format!("{error:?}").starts_with(expected), "{error:?} {expected}");
        };
        check(&framed(1, b"no gzip"), "GzipInvalid");
        check(&framed(1, b""), "GzipInvalid");
        check(&framed(1, &gzip(b"whole")[..20]), "GzipInvalid");
        check(&framed(1, &[gzip(b"whole"), vec![7; 4]].concat()), "GzipInvalid");
        check(&framed(1, &gzip(&vec![0; 100_000])), "TooDense");
        let dense_as_text = |length: usize| {
            let mut random = 1u32;
            let bytes = (0..length).map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 24) as u8
            });
            bytes.collect::<Vec<_>>()
        };
        check(&framed(1, &gzip(&dense_as_text(100_001))), "MessageTooLarge");
        let mut small = decompressor(1 << 20, 100_000);
        assert_eq!(small.read(&framed(1, &gzip(&vec![0; 64 * 1024]))).unwrap().len(), PREFIX + 64 * 1024);
        assert_eq!(small.read(&framed(1, &gzip(&dense_as_text(100_000)))).unwrap().len(), PREFIX + 100_000);
        let mut budget = decompressor(64 * 1024, 1 << 20);
        let error = budget.read(&framed(1, &gzip(&dense_as_text(70_000)))).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::TooManyElements { .. }), "{error:?}");
    }

    proptest! {
        #[test]
        fn messages_are_those_that_were_sent_however_they_arrive(
            messages in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 0..5),
            pieces in prop::collection::vec(1_usize..40, 1..20),
        ) {
            let mut sent = Vec::new();
            let mut expected = Vec::new();
            for (is_compressed, message) in &messages {
                let coded = if *is_compressed { framed(1, &gzip(message)) } else { framed(0, message) };
                sent.extend(coded);
                expected.extend(framed(0, message));
            }
            let mut decompressor = decompressor(1 << 20, 1 << 20);
            let (mut rest, mut found, mut pieces) = (&sent[..], Vec::new(), pieces.iter().cycle());
            prop_assert!(decompressor.is_between_messages());
            while !rest.is_empty() {
                let piece = split(&mut rest, *pieces.next().unwrap());
                found.extend_from_slice(&decompressor.read(piece).unwrap());
                prop_assert!(expected.starts_with(&found));
            }
            prop_assert!(decompressor.is_between_messages());
            prop_assert_eq!(found, expected);
        }
    }
}
