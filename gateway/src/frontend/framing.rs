//! What the head of a request says of its framing and its body, and the framing of responses to HEAD. Separate from the
//! frontend, because it decides by the message alone.

use axum::body::Body;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};

use crate::body::{BodyError, Coding, is_form_data};
use crate::dialect::BodyMode;
use crate::json::is_json;
use crate::route::RouteError;

/// Rejects requests over HTTP/1 that servers read in different ways, and so would be read in another way by a proxy.
pub(super) fn check(request: &Request<Body>) -> Result<(), RouteError> {
    if request.version() > Version::HTTP_11 {
        return Ok(());
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let found = match (hosts.next(), hosts.count()) {
        (None, _) if request.version() == Version::HTTP_11 => Some("none".to_owned()),
        (Some(host), 0) if !is_host(host.as_bytes()) => Some(format!("{:?}", shortened(host))),
        (None, _) | (Some(_), 0) => None,
        (Some(_), others) => Some((1 + others).to_string()),
    };
    if let Some(found) = found {
        return Err(RouteError::HostInvalid { found });
    }
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    match codings.find(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked")) {
        None => Ok(()),
        Some(coding) => Err(RouteError::TransferCoding { coding: shortened(coding) }),
    }
}

/// Whether the value is a host with an optional port, or empty, as for a target without an authority.
fn is_host(value: &[u8]) -> bool {
    let is_port =
        |rest: &str| rest.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    let is_authority = |value: Authority| {
        let rest = value.as_str().strip_prefix(value.host());
        // A user would be before the host.
        rest.is_some_and(|rest| rest.is_empty() || is_port(rest))
    };
    value.is_empty() || Authority::try_from(value).is_ok_and(is_authority)
}

/// A value as errors quote it.
fn shortened(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).chars().take(80).collect()
}

/// The response to HEAD: the head of the response to GET (RFC 9110, 9.3.2).
pub(super) fn without_body(mut response: Response<Body>) -> Response<Body> {
    let is_unchanged = response.status() == StatusCode::NOT_MODIFIED;
    if let Some(length) = http_body::Body::size_hint(response.body()).exact().filter(|_| !is_unchanged) {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response.map(|_| Body::empty())
}

/// Rejects a body that cannot be JSON of at most `limit` bytes, or whose parts cannot be read, by its head.
pub(super) fn check_body(
    mode: BodyMode,
    headers: &HeaderMap,
    limit: usize,
    parts_routes: &[String],
) -> Result<(), BodyError> {
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    match mode {
        BodyMode::Json => {}
        BodyMode::Streamed if content_type.is_some_and(is_form_data) => {
            return Coding::read(headers).map(drop);
        }
        _ => return Ok(()),
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(BodyError::TooLarge { limit });
    }
    Coding::read(headers)?;
    match content_type {
        None => Ok(()),
        Some(written) if is_json(written) => Ok(()),
        Some(written) if is_form_data(written) => Err(BodyError::Multipart { routes: parts_routes.to_vec() }),
        Some(written) => Err(BodyError::UnsupportedMediaType { found: written.chars().take(80).collect() }),
    }
}
