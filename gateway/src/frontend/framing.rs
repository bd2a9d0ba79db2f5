//! The framing of requests over HTTP/1.1, and of responses to HEAD. Separate from the frontend, because it decides by the message alone.

use axum::body::Body;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode, Version};

use crate::route::RouteError;

/// Rejects requests over HTTP/1.1 that servers read in different ways, and so would be read in another way by a proxy.
pub(super) fn check(request: &Request<Body>) -> Result<(), RouteError> {
    if request.version() != Version::HTTP_11 {
        return Ok(());
    }
    let found = request.headers().get_all(HOST).iter().count();
    if found != 1 {
        return Err(RouteError::HostInvalid { found });
    }
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    match codings.find(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked")) {
        None => Ok(()),
        Some(coding) => {
            let coding = String::from_utf8_lossy(coding.as_bytes()).chars().take(80).collect();
            Err(RouteError::TransferCoding { coding })
        }
    }
}

/// The response to HEAD: the head of the response to GET (RFC 9110, 9.3.2).
pub(super) fn without_body(mut response: Response<Body>) -> Response<Body> {
    let is_unchanged = response.status() == StatusCode::NOT_MODIFIED;
    if let Some(length) = http_body::Body::size_hint(response.body()).exact().filter(|_| !is_unchanged) {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response.map(|_| Body::empty())
}
