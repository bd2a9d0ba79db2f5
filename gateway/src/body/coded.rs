//! Bodies in a content coding (RFC 9110, 8.4.1): gzip and br, within the limits of bodies, and of how much a body may
//! grow.

use std::io::Read;

use brotli::Decompressor;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::{BodyError, BufferedBody, Limits, grow};

/// A body may have this many times the bytes that it was sent as. JSON rarely has more than twenty times.
const MAX_RATIO: usize = 100;

/// Bytes that are decoded before other calls get their turn.
const PIECE: usize = 64 * 1024;

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
        let coding: String = String::from_utf8_lossy(bytes).chars().take(80).collect();
        Err(BodyError::UnsupportedMediaType { found: format!("encoded as {coding}") })
    }

    /// The body as it was before it was coded.
    pub(crate) async fn decode(self, body: BufferedBody, limits: &Limits) -> Result<BufferedBody, BodyError> {
        let coded: &[u8] = &body.bytes;
        let mut reader: Box<dyn Read + Send + '_> = match self {
            Coding::Gzip => Box::new(MultiGzDecoder::new(coded)),
            Coding::Brotli => Box::new(Decompressor::new(coded, 4096)),
        };
        let (mut decoded, mut permit) = (Vec::new(), None);
        let most = coded.len().saturating_mul(MAX_RATIO);
        loop {
            let start = decoded.len();
            let read = reader.by_ref().take(PIECE as u64).read_to_end(&mut decoded);
            read.map_err(|error| BodyError::Undecodable(error.to_string()))?;
            if decoded.len() == start {
                break;
            }
            if decoded.len() > limits.bytes {
                return Err(BodyError::TooLarge { limit: limits.bytes });
            }
            if decoded.len() > most {
                return Err(BodyError::TooDense { ratio: MAX_RATIO });
            }
            grow(&mut permit, decoded.len(), limits)?;
            tokio::task::yield_now().await;
        }
        drop(reader);
        Ok(BufferedBody { bytes: Bytes::from(decoded), permit })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn brotli(mut bytes: &[u8]) -> Vec<u8> {
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
