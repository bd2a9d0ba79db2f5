//! Bodies in a content coding (RFC 9110, 8.4.1): gzip and br, within the limits of bodies, and of how much a body may
//! grow.

use std::io::{self, Write};

use brotli::DecompressorWriter;
use bytes::Bytes;
use dataflow_mesh::memory_shares::MemoryPermit;
use flate2::write::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::{BodyError, BufferedBody, Limits, grow};

/// A body may have this many times the bytes that it was sent as. JSON rarely has more than twenty times.
pub(super) const MAX_RATIO: usize = 100;

/// Bytes of the coded body that are decoded before other calls get their turn, however few or many they become.
const PIECE: usize = 4 * 1024;

/// A coding of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Brotli,
}

// === impl Coding ===

impl Coding {
    /// The coding that the head of a request states; none for a body that is sent as it is.
    ///
    /// # Errors
    ///
    /// If it is another one, or there are several.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Option<Self>, BodyError> {
        let mut stated = headers.get_all(CONTENT_ENCODING).iter();
        let Some(coding) = stated.next() else { return Ok(None) };
        let bytes = coding.as_bytes().trim_ascii();
        match bytes.to_ascii_lowercase().as_slice() {
            _ if stated.next().is_some() => {}
            b"identity" => return Ok(None),
            b"gzip" | b"x-gzip" => return Ok(Some(Coding::Gzip)),
            b"br" => return Ok(Some(Coding::Brotli)),
            _ => {}
        }
        Err(BodyError::UnsupportedCoding {
            coding: String::from_utf8_lossy(bytes).chars().take(80).collect(),
        })
    }

    /// The body as it was before it was coded.
    pub(crate) async fn decode(self, body: BufferedBody, limits: &Limits) -> Result<BufferedBody, BodyError> {
        let coded = &body.bytes;
        let most = coded.len().saturating_mul(MAX_RATIO);
        let mut decoder = Decoder::new(self, Decoded::new(limits, most));
        for piece in coded.chunks(PIECE) {
            let written = decoder.write(piece);
            decoder.decoded().outcome(written)?;
            tokio::task::yield_now().await;
        }
        decoder.finish()
    }
}

/// A decoder of either coding.
enum Decoder<'a> {
    Gzip(Box<MultiGzDecoder<Decoded<'a>>>),
    Brotli(Box<DecompressorWriter<Decoded<'a>>>),
}

/// What has been decoded. It ends the decoder as soon as it is too much: a few bytes may become any number.
struct Decoded<'a> {
    limits: &'a Limits,
    /// The most bytes by the ratio.
    most: usize,
    bytes: Vec<u8>,
    permit: Option<MemoryPermit>,
    refusal: Option<BodyError>,
}

// === impl Decoder ===

impl<'a> Decoder<'a> {
    fn new(coding: Coding, decoded: Decoded<'a>) -> Self {
        match coding {
            Coding::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(decoded))),
            Coding::Brotli => Decoder::Brotli(Box::new(DecompressorWriter::new(decoded, PIECE))),
        }
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Decoder::Gzip(decoder) => decoder.write_all(piece),
            Decoder::Brotli(decoder) => decoder.write_all(piece),
        }
    }

    fn decoded(&mut self) -> &mut Decoded<'a> {
        match self {
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Brotli(decoder) => decoder.get_mut(),
        }
    }

    /// The whole body, if the coded one is complete.
    fn finish(mut self) -> Result<BufferedBody, BodyError> {
        let ended = match &mut self {
            Decoder::Gzip(decoder) => decoder.try_finish(),
            Decoder::Brotli(decoder) => decoder.close(),
        };
        let decoded = self.decoded();
        decoded.outcome(ended)?;
        Ok(BufferedBody {
            bytes: Bytes::from(std::mem::take(&mut decoded.bytes)),
            permit: decoded.permit.take(),
        })
    }
}

// === impl Decoded ===

impl<'a> Decoded<'a> {
    fn new(limits: &'a Limits, most: usize) -> Self {
        Self { limits, most, bytes: Vec::new(), permit: None, refusal: None }
    }

    /// The result of a step of the decoder.
    fn outcome(&mut self, step: io::Result<()>) -> Result<(), BodyError> {
        match (self.refusal.take(), step) {
            (Some(refusal), _) => Err(refusal),
            (None, step) => step.map_err(|error| BodyError::Undecodable(error.to_string())),
        }
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        let length = self.bytes.len() + bytes.len();
        if length > self.limits.bytes {
            return Err(BodyError::TooLarge { limit: self.limits.bytes });
        }
        if length > self.most {
            return Err(BodyError::TooDense { ratio: MAX_RATIO });
        }
        grow(&mut self.permit, length, self.limits)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl Write for Decoded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.add(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(refusal) => {
                self.refusal = Some(refusal);
                Err(io::Error::other("the body is refused"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    pub(in crate::body) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    pub(in crate::body) fn brotli(mut bytes: &[u8]) -> Vec<u8> {
        let mut coded = Vec::new();
        brotli::BrotliCompress(&mut bytes, &mut coded, &Default::default()).unwrap();
        coded
    }

    async fn decode(coding: Coding, coded: Vec<u8>, limit: usize) -> Result<Vec<u8>, BodyError> {
        let body = BufferedBody { bytes: coded.into(), permit: None };
        coding.decode(body, &Limits::new(limit, 1 << 20)).await.map(|body| body.bytes.to_vec())
    }

    /// Bytes that do not shrink much.
    fn noise(length: u32) -> Vec<u8> {
        (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    #[tokio::test]
    async fn bodies_are_decoded_within_their_limits() {
        let text = noise(100_000);
        for (coding, coded) in [(Coding::Gzip, gzip(&text)), (Coding::Brotli, brotli(&text))] {
            assert_eq!(decode(coding, coded.clone(), text.len()).await.as_ref(), Ok(&text));
            let limit = text.len() - 1;
            assert_eq!(decode(coding, coded.clone(), limit).await, Err(BodyError::TooLarge { limit }));
            let cut = coded[..coded.len() - 10].to_vec();
            assert!(matches!(decode(coding, cut, text.len()).await, Err(BodyError::Undecodable(_))));
            assert!(matches!(
                decode(coding, b"no coding".to_vec(), 10).await,
                Err(BodyError::Undecodable(_))
            ));
        }
        let garbage = [gzip(&text), b"garbage".to_vec()].concat();
        assert!(matches!(decode(Coding::Gzip, garbage, text.len()).await, Err(BodyError::Undecodable(_))));
    }

    #[tokio::test]
    async fn a_body_that_grows_too_much_is_rejected() {
        let zeros = vec![0; 500_000];
        let expected = Err(BodyError::TooDense { ratio: MAX_RATIO });
        assert_eq!(decode(Coding::Gzip, gzip(&zeros), zeros.len()).await, expected);
        assert_eq!(decode(Coding::Brotli, brotli(&zeros), zeros.len()).await, expected);
    }

    #[tokio::test]
    async fn memory_counts_what_is_decoded() {
        let text = noise(100_000);
        let body = BufferedBody { bytes: gzip(&text).into(), permit: None };
        let limits = Limits::new(text.len(), 50_000);
        let rejected = Coding::Gzip.decode(body, &limits).await.map(|body| body.bytes.len());
        assert_eq!(rejected, Err(BodyError::NoMemory));
    }

    #[tokio::test]
    async fn members_of_gzip_follow_each_other() {
        let members = [gzip(b"[1,"), gzip(b""), gzip(b"2]")].concat();
        assert_eq!(decode(Coding::Gzip, members, 100).await.as_deref(), Ok(&b"[1,2]"[..]));
        let empty = gzip(b"").repeat(10_000);
        assert_eq!(decode(Coding::Gzip, empty, 100).await, Ok(Vec::new()));
    }

    #[test]
    fn the_head_states_the_coding() {
        let check = |stated: &[&'static str], expected: Option<Option<Coding>>| {
            let headers = stated.iter().fold(HeaderMap::new(), |mut headers, value| {
                headers.append(CONTENT_ENCODING, http::HeaderValue::from_static(value));
                headers
            });
            assert_eq!(Coding::read(&headers).ok(), expected, "{stated:?}");
        };
        check(&[], Some(None));
        check(&["identity"], Some(None));
        check(&["Identity"], Some(None));
        check(&["gzip"], Some(Some(Coding::Gzip)));
        check(&["GZIP"], Some(Some(Coding::Gzip)));
        check(&["br"], Some(Some(Coding::Brotli)));
        check(&["zstd"], None);
        check(&["gzip, br"], None);
        check(&["gzip", "br"], None);
    }
}
