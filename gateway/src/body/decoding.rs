//! Bodies in a content coding that are decoded as they arrive, since the whole is not needed or too large. Memory does not
//! depend on what a client sends: the decoder is asked for a piece at a time, and waits where the body has not arrived.

use std::io::{self, BufRead, ErrorKind, Read};

use brotli::Decompressor;
use bytes::{Buf, Bytes};
use flate2::bufread::MultiGzDecoder;
use futures_util::{Stream, StreamExt, stream};
use tonic::Status;

use super::BodyError;
use super::coded::{Coding, MAX_RATIO};

/// Bytes of a decoded piece.
const PIECE: usize = 16 * 1024;

/// Up to so many decoded bytes the ratio is not checked: the beginning of a document may be much denser than the rest.
const UNCHECKED: usize = 1024 * 1024;

/// What has arrived of a coded body and is not decoded yet.
#[derive(Debug, Default)]
struct Arrived {
    bytes: Bytes,
    has_ended: bool,
}

/// A decoder of either coding, and the bytes that went in and came out.
struct Decoder {
    coding: Decoding,
    taken: usize,
    made: usize,
}

enum Decoding {
    Gzip(Box<MultiGzDecoder<Arrived>>),
    Brotli(Box<Decompressor<Arrived>>),
}

// === impl Coding ===

impl Coding {
    /// The pieces of a body as they were before they were coded.
    pub(crate) fn decode_pieces<S>(
        self,
        coded: S,
    ) -> impl Stream<Item = Result<Bytes, Status>> + Send + 'static
    where
        S: Stream<Item = Result<Bytes, Status>> + Send + Unpin + 'static,
    {
        let state = (Decoder::new(self), coded);
        stream::try_unfold(state, |(mut decoder, mut coded)| async move {
            loop {
                match decoder.next()? {
                    Decoded::Piece(piece) => return Ok(Some((piece, (decoder, coded)))),
                    Decoded::End => return Ok(None),
                    Decoded::Waiting => match coded.next().await {
                        Some(bytes) => decoder.push(bytes?),
                        None => decoder.arrived().has_ended = true,
                    },
                }
            }
        })
    }
}

/// A step of a decoder.
enum Decoded {
    Piece(Bytes),
    /// It needs more of the coded body, or its end.
    Waiting,
    End,
}

// === impl Decoder ===

impl Decoder {
    fn new(coding: Coding) -> Self {
        let coding = match coding {
            Coding::Gzip => Decoding::Gzip(Box::new(MultiGzDecoder::new(Arrived::default()))),
            Coding::Brotli => Decoding::Brotli(Box::new(Decompressor::new(Arrived::default(), PIECE))),
        };
        Self { coding, taken: 0, made: 0 }
    }

    fn push(&mut self, bytes: Bytes) {
        self.taken += bytes.len();
        self.arrived().bytes = bytes;
    }

    fn next(&mut self) -> Result<Decoded, BodyError> {
        let mut piece = vec![0; PIECE];
        let read = match &mut self.coding {
            Decoding::Gzip(decoder) => decoder.read(&mut piece),
            Decoding::Brotli(decoder) => decoder.read(&mut piece),
        };
        match read {
            Ok(0) if self.arrived().has_ended => Ok(Decoded::End),
            Ok(0) if self.arrived().bytes.is_empty() => Ok(Decoded::Waiting),
            Ok(0) => Err(BodyError::Undecodable("it goes on after its end".to_owned())),
            Ok(length) => {
                self.made += length;
                if self.made > UNCHECKED.max(self.taken.saturating_mul(MAX_RATIO)) {
                    return Err(BodyError::TooDense { ratio: MAX_RATIO });
                }
                piece.truncate(length);
                Ok(Decoded::Piece(piece.into()))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Decoded::Waiting),
            Err(error) => Err(BodyError::Undecodable(error.to_string())),
        }
    }

    fn arrived(&mut self) -> &mut Arrived {
        match &mut self.coding {
            Decoding::Gzip(decoder) => decoder.get_mut(),
            Decoding::Brotli(decoder) => decoder.get_mut(),
        }
    }
}

// === impl Arrived ===

impl BufRead for Arrived {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.bytes.is_empty() && !self.has_ended {
            true => Err(ErrorKind::WouldBlock.into()),
            false => Ok(&self.bytes),
        }
    }

    fn consume(&mut self, length: usize) {
        self.bytes.advance(length);
    }
}

impl Read for Arrived {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(out)?;
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, TryStreamExt};
    use tonic_types::StatusExt;

    use super::*;
    use crate::body::coded::tests::{brotli, gzip};

    /// A body that arrives in pieces of this size, decoded; or the reason why it is rejected.
    fn decode(coding: Coding, coded: &[u8], size: usize) -> Result<Vec<u8>, String> {
        let pieces: Vec<_> = coded.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let decoded = coding.decode_pieces(stream::iter(pieces)).try_collect::<Vec<_>>();
        // Everything is there: it never waits.
        let decoded = decoded.now_or_never().expect("nothing is pending");
        decoded.map(|pieces| pieces.concat()).map_err(|status| {
            let details = status.get_error_details();
            details.error_info().map(|info| info.reason.clone()).unwrap_or_default()
        })
    }

    /// Bytes that do not shrink much.
    fn noise(length: u32) -> Vec<u8> {
        (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    #[test]
    fn bodies_are_decoded_however_they_arrive() {
        let text = noise(100_000);
        for (coding, coded) in [(Coding::Gzip, gzip(&text)), (Coding::Brotli, brotli(&text))] {
            for size in [1, 2, 7, 1000, coded.len()] {
                assert_eq!(decode(coding, &coded, size).as_ref(), Ok(&text), "{coding:?} {size}");
            }
            for length in [0, 1, 5, 1000, coded.len() - 1] {
                let cut = decode(coding, &coded[..length], 1000);
                assert_eq!(cut, Err("BODY_UNDECODABLE".to_owned()), "{coding:?} {length}");
            }
            let garbage = [coded.as_slice(), b"garbage"].concat();
            for size in [1, garbage.len()] {
                let decoded = decode(coding, &garbage, size);
                assert_eq!(decoded, Err("BODY_UNDECODABLE".to_owned()), "{coding:?} {size}");
            }
        }
        let members = [gzip(b"a"), gzip(b""), gzip(b"b")].concat();
        assert_eq!(decode(Coding::Gzip, &members, 3).as_deref(), Ok(&b"ab"[..]));
    }

    #[test]
    fn a_body_that_grows_too_much_is_rejected() {
        let check = |zeros: usize, expected: Result<usize, &str>| {
            let text = vec![0; zeros];
            for (coding, coded) in [(Coding::Gzip, gzip(&text)), (Coding::Brotli, brotli(&text))] {
                let decoded = decode(coding, &coded, coded.len()).map(|text| text.len());
                assert_eq!(
                    decoded.as_ref().map_err(String::as_str),
                    expected.as_ref().map_err(|e| *e),
                    "{coding:?}"
                );
            }
        };
        check(UNCHECKED, Ok(UNCHECKED));
        check(UNCHECKED + 1, Err("BODY_TOO_DENSE"));
    }
}
