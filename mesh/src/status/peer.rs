//! What a peer says about a call, apart from a proper status: headers that are malformed, HTTP without gRPC, resets.

use std::error::Error;

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};
use h2::Reason;
use http::{HeaderMap, HeaderName, StatusCode};
use percent_encoding::percent_decode;
use tonic::{Code, Status};

use super::Kind;

const CODE: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Peers write base64 with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A stream that broke off, or never began. Generated clients find its status among its causes.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct Broken {
    pub(crate) error: h2::Error,
    #[source]
    status: Status,
}

/// The code in the headers or trailers of a response; none if they have no status.
pub fn code_in(headers: &HeaderMap) -> Option<Code> {
    Some(Code::from_bytes(headers.get(&CODE)?.as_bytes()))
}

/// The error in the headers or trailers of a response; `None` for a successful call, and when they have no status. A
/// malformed message or malformed details do not hide the code.
pub fn failure_in(headers: &HeaderMap) -> Option<Status> {
    let code = code_in(headers).filter(|code| *code != Code::Ok)?;
    let bytes = |name: &HeaderName| headers.get(name).map_or(&b""[..], |value| value.as_bytes());
    let message = percent_decode(bytes(&MESSAGE)).decode_utf8_lossy().into_owned();
    let details = BASE64.decode(bytes(&DETAILS)).unwrap_or_default();
    Some(Status::with_details(code, message, details.into()))
}

/// Removes details that are not base64 from the headers or trailers of a response: clients of tonic, ours and those of
/// callers, panic at them.
pub(crate) fn remove_malformed_details(headers: &mut HeaderMap) {
    if headers.get(&DETAILS).is_some_and(|details| BASE64.decode(details.as_bytes()).is_err()) {
        headers.remove(&DETAILS);
    }
}

/// What an HTTP response without a gRPC status means (gRPC, "HTTP to gRPC Status Code Mapping"). Statuses that the
/// mapping makes UNKNOWN are a server fault, and 504, which it makes UNAVAILABLE, is the timeout that it says: the call
/// may have been executed.
pub fn kind_of_http(status: StatusCode) -> Kind {
    match status.as_u16() {
        401 => Kind::Unauthenticated,
        403 => Kind::Denied,
        404 => Kind::Unimplemented,
        429 | 502 | 503 => Kind::Unavailable,
        504 => Kind::Timeout,
        _ => Kind::Internal,
    }
}

/// What it means that a response broke off: a reset by its code (gRPC over HTTP/2, "Errors"), a lost connection.
pub fn kind_of_broken(error: &(dyn Error + 'static)) -> Kind {
    let mut next = Some(error);
    while let Some(cause) = next {
        let broken = cause.downcast_ref::<Broken>().map(|broken| &broken.error);
        if let Some(error) = broken.or_else(|| cause.downcast_ref()) {
            return kind_of_stream(error);
        }
        if cause.is::<std::io::Error>() {
            return Kind::Unavailable;
        }
        next = cause.source();
    }
    Kind::Internal
}

fn kind_of_stream(error: &h2::Error) -> Kind {
    match error.reason() {
        Some(Reason::CANCEL) => Kind::Cancelled,
        Some(Reason::REFUSED_STREAM) => Kind::Unavailable,
        Some(Reason::ENHANCE_YOUR_CALM) => Kind::Overloaded,
        // The connection is lost.
        _ if error.is_go_away() || error.is_io() => Kind::Unavailable,
        _ => Kind::Internal,
    }
}

// === impl Broken ===

impl From<h2::Error> for Broken {
    fn from(error: h2::Error) -> Self {
        let status = Status::new(kind_of_stream(&error).code(), error.to_string());
        Self { error, status }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn failure(headers: &[(HeaderName, &'static [u8])]) -> Option<(Code, String, Vec<u8>)> {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_bytes(value).unwrap()));
        let status = failure_in(&headers.collect())?;
        Some((status.code(), status.message().to_owned(), status.details().to_vec()))
    }

    #[test]
    fn malformed_headers_do_not_hide_the_code() {
        let check = |headers: &[(HeaderName, &'static [u8])], message: &str, details: &[u8]| {
            let expected = (Code::NotFound, message.to_owned(), details.to_vec());
            assert_eq!(failure(headers), Some(expected), "{headers:?}");
        };
        check(&[(CODE, b"5")], "", b"");
        check(&[(CODE, b"5"), (MESSAGE, b"no%20such%20caff%C3%A8")], "no such caff\u{e8}", b"");
        check(&[(CODE, b"5"), (MESSAGE, b"%FF%zz%")], "\u{fffd}%zz%", b"");
        check(&[(CODE, b"5"), (MESSAGE, b"\xff")], "\u{fffd}", b"");
        check(&[(CODE, b"5"), (DETAILS, b"AQI")], "", b"\x01\x02");
        check(&[(CODE, b"5"), (DETAILS, b"AQI=")], "", b"\x01\x02");
        check(&[(CODE, b"5"), (MESSAGE, b"m"), (DETAILS, b"!")], "m", b"");
        assert_eq!(failure(&[(CODE, b"0"), (MESSAGE, b"fine")]), None);
        assert_eq!(failure(&[]), None);
        assert_eq!(failure(&[(CODE, b"many")]).map(|(code, ..)| code), Some(Code::Unknown));
    }

    #[test]
    fn malformed_details_are_removed() {
        let check = |details: &'static [u8], stays: bool| {
            let details = HeaderValue::from_bytes(details).unwrap();
            let mut headers = HeaderMap::from_iter([(DETAILS, details)]);
            headers.insert(CODE, HeaderValue::from_static("5"));
            remove_malformed_details(&mut headers);
            assert_eq!((headers.contains_key(DETAILS), code_in(&headers)), (stays, Some(Code::NotFound)));
            assert_eq!(Status::from_header_map(&headers).map(|status| status.code()), Some(Code::NotFound));
        };
        check(b"AQI", true);
        check(b"AQI=", true);
        check(b"", true);
        check(b"! not base64", false);
        check(b"\xff", false);
    }

    #[test]
    fn http_statuses_are_mapped_as_by_every_grpc_client() {
        let check = |status: u16, expected: Code| {
            assert_eq!(kind_of_http(StatusCode::from_u16(status).unwrap()).code(), expected, "{status}");
        };
        check(400, Code::Internal);
        check(401, Code::Unauthenticated);
        check(403, Code::PermissionDenied);
        check(404, Code::Unimplemented);
        check(429, Code::Unavailable);
        check(502, Code::Unavailable);
        check(503, Code::Unavailable);
        check(504, Code::DeadlineExceeded);
    }

    #[test]
    fn resets_are_mapped_by_their_codes() {
        let check = |reason: Reason, expected: Kind| {
            let error = h2::Error::from(reason);
            assert_eq!(kind_of_broken(&error), expected, "{reason:?}");
            let error = Broken::from(error);
            assert_eq!(kind_of_broken(&error), expected, "{reason:?}");
            assert_eq!(Status::from_error(error.into()).code(), expected.code(), "{reason:?}");
        };
        check(Reason::CANCEL, Kind::Cancelled);
        check(Reason::REFUSED_STREAM, Kind::Unavailable);
        check(Reason::ENHANCE_YOUR_CALM, Kind::Overloaded);
        check(Reason::INTERNAL_ERROR, Kind::Internal);
        let lost = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(kind_of_broken(&lost), Kind::Unavailable);
        assert_eq!(kind_of_broken(&std::fmt::Error), Kind::Internal);
    }
}
