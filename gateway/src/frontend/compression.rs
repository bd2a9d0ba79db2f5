//! Compresses responses, in the coding that the client accepts (RFC 9110, 12.5.3). Streams are not: an encoder holds
//! back what a client waits for. Nor are small bodies, which would not become smaller.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use dataflow_mesh::metrics::Metrics;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;
use tower_http::CompressionLevel;
use tower_http::compression::{Compression, CompressionBody};

/// Bodies of fewer bytes fit into a packet.
const MIN_BYTES: u64 = 1024;

/// Responses that are compressed at once: an encoder holds some hundred kilobytes. Others are sent as they are.
const MAX_ENCODERS: usize = 64;

/// The request headers that a response depends on: `Accept` for the format of streams, `Accept-Encoding` for the
/// coding.
const VARIES: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding");

/// The response is a stream of messages: an extension of its head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream;

/// The encoders of all responses.
#[derive(Debug, Clone)]
pub(crate) struct Encoders {
    free: Arc<Semaphore>,
    in_use: Gauge,
    /// Responses that were sent as they are, because all were in use.
    exhausted: Counter,
}

/// A body that is compressed, with its permit.
struct CompressedBody {
    inner: CompressionBody<Body>,
    _permit: OwnedSemaphorePermit,
    in_use: Gauge,
}

// === impl Encoders ===

impl Encoders {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let (in_use, exhausted) = (Gauge::default(), Counter::default());
        metrics.register("gateway_encoders", "Responses that are being compressed", in_use.clone());
        metrics.register(
            "gateway_encoders_exhausted",
            "Responses that were sent uncompressed because of the limit of encoders",
            exhausted.clone(),
        );
        Self { free: Arc::new(Semaphore::new(MAX_ENCODERS)), in_use, exhausted }
    }

    /// The response in the best coding that these values of `Accept-Encoding` name. It has said what it varies by.
    pub(super) async fn compress(
        &self,
        accepted: Vec<HeaderValue>,
        mut response: Response<Body>,
    ) -> Response<Body> {
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else {
            self.exhausted.inc();
            return response;
        };
        let mut request = Request::new(());
        for value in accepted {
            request.headers_mut().append(ACCEPT_ENCODING, value);
        }
        let inner = tower::service_fn(|_: Request<()>| {
            let response = std::mem::take(&mut response);
            async { Ok::<_, std::convert::Infallible>(response) }
        });
        // The fastest level: what a client gains by a better one, other calls lose.
        let compression = Compression::new(inner).quality(CompressionLevel::Fastest);
        let Ok(mut response) = compression.oneshot(request).await;
        // It appends its own.
        response.headers_mut().insert(VARY, VARIES);
        let coding = response.headers().get(CONTENT_ENCODING).cloned();
        let Some(coding) = coding else { return response.map(Body::new) };
        rename_etag(response.headers_mut(), &coding);
        self.in_use.inc();
        let in_use = self.in_use.clone();
        response.map(|inner| Body::new(CompressedBody { inner, _permit: permit, in_use }))
    }
}

/// Says what the response varies by, if it does.
pub(super) fn set_vary(response: &mut Response<Body>) {
    if is_compressible(response) || response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().insert(VARY, VARIES);
    }
}

/// Whether the response becomes smaller by compression: a text that is not small.
pub(super) fn is_worthwhile(response: &Response<Body>) -> bool {
    let most = http_body::Body::size_hint(response.body()).upper();
    most.is_none_or(|most| most >= MIN_BYTES) && is_compressible(response)
}

/// Whether the body is a text, and all of it is there or soon will be.
fn is_compressible(response: &Response<Body>) -> bool {
    let headers = response.headers();
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim_end();
    let is_text = ["application/json", "text/csv"].contains(&essence);
    let is_stream = response.extensions().get::<Stream>().is_some();
    is_text && !is_stream && !headers.contains_key(CONTENT_ENCODING)
}

/// The body in another coding is another representation, with a strong etag of its own (RFC 9110, 8.8.3.3).
fn rename_etag(headers: &mut HeaderMap, coding: &HeaderValue) {
    let etag = headers.get(ETAG).and_then(|etag| etag.to_str().ok()?.strip_suffix('"'));
    if let Some(etag) = etag
        && let Ok(coding) = coding.to_str()
        && let Ok(renamed) = HeaderValue::try_from(format!("{etag}-{coding}\""))
    {
        headers.insert(ETAG, renamed);
    }
}

impl Drop for CompressedBody {
    fn drop(&mut self) {
        self.in_use.dec();
    }
}

impl http_body::Body for CompressedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx).map_err(axum::Error::new)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use http_body_util::BodyExt;

    use super::*;

    fn encoders() -> Encoders {
        Encoders::new(&Metrics::default())
    }

    /// The coding, the etag and the bytes of a response to a client that accepts these codings.
    async fn compressed(
        encoders: &Encoders,
        accepted: &'static str,
        media_type: &'static str,
        body: &str,
    ) -> (Option<String>, String, Vec<u8>) {
        let mut response = Response::new(Body::from(body.to_owned()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        response.headers_mut().insert(ETAG, HeaderValue::from_static("\"7\""));
        if is_worthwhile(&response) {
            response = encoders.compress(vec![HeaderValue::from_static(accepted)], response).await;
        }
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (coding, etag) = (header(CONTENT_ENCODING), header(ETAG).unwrap());
        (coding, etag, response.into_body().collect().await.unwrap().to_bytes().to_vec())
    }

    #[tokio::test]
    async fn large_texts_are_compressed_as_the_client_accepts_it() {
        let encoders = encoders();
        let (large, small) = ("a text ".repeat(1000), "a text");
        let check = async |accepted, media_type, body: &str, coding: Option<&str>, expected: &str| {
            let (found, etag, bytes) = compressed(&encoders, accepted, media_type, body).await;
            assert_eq!((found.as_deref(), etag.as_str()), (coding, expected), "{accepted} {media_type}");
            if coding.is_none() {
                assert_eq!(bytes, body.as_bytes());
            } else {
                assert!(bytes.len() < body.len() / 10);
            }
        };
        let json = "application/json";
        check("gzip", json, &large, Some("gzip"), "\"7-gzip\"").await;
        check("gzip, deflate, br", json, &large, Some("br"), "\"7-br\"").await;
        check("gzip;q=1, br;q=0.5", "text/csv; charset=utf-8", &large, Some("gzip"), "\"7-gzip\"").await;
        check("gzip;q=0", json, &large, None, "\"7\"").await;
        check("identity", json, &large, None, "\"7\"").await;
        check("zstd", json, &large, None, "\"7\"").await;
        check("gzip", json, small, None, "\"7\"").await;
        check("gzip", "application/x-ndjson", &large, None, "\"7\"").await;
        check("gzip", "text/event-stream", &large, None, "\"7\"").await;
        check("gzip", "image/png", &large, None, "\"7\"").await;
    }

    #[test]
    fn streams_are_not_compressed() {
        let mut response = Response::new(Body::from("a text ".repeat(1000)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.extensions_mut().insert(Stream);
        assert!(!is_worthwhile(&response));
        response.extensions_mut().remove::<Stream>();
        assert!(is_worthwhile(&response));
    }

    #[tokio::test]
    async fn a_compressed_body_is_the_body() {
        let body = "{\"é\": 1}".repeat(10_000);
        let (_, _, bytes) = compressed(&encoders(), "gzip", "application/json", &body).await;
        let mut text = String::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, body);
    }

    #[tokio::test]
    async fn beyond_the_limit_responses_are_sent_as_they_are() {
        let encoders = encoders();
        let taken = Arc::clone(&encoders.free).try_acquire_many_owned(MAX_ENCODERS as u32).unwrap();
        let body = "a text ".repeat(1000);
        let (coding, ..) = compressed(&encoders, "gzip", "application/json", &body).await;
        assert_eq!((coding, encoders.exhausted.get()), (None, 1));
        drop(taken);
        let (coding, ..) = compressed(&encoders, "gzip", "application/json", &body).await;
        assert_eq!((coding.as_deref(), encoders.exhausted.get()), (Some("gzip"), 1));
        assert_eq!(encoders.in_use.get(), 0, "its body was read");
    }
}
