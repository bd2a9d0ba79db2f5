//! Translates the errors that tonic itself returns into ours, with code, reason and details.

use axum::body::Body;
use http::{HeaderName, HeaderValue, Response};

use crate::status::{self, Refused};

/// How the messages of a request may be compressed (gRPC over HTTP/2, "Message Encoding").
const ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// The response, with an error of tonic translated.
pub(super) fn describe(response: Response<Body>) -> Response<Body> {
    // Such an error is always trailers-only: the status is in the head.
    let rejected = status::failure_in(response.headers());
    let Some(rejected) = rejected.and_then(|status| status::of_received(&status)) else { return response };
    let mut response = status::to_status(&rejected).into_http();
    if matches!(rejected, Refused::Compression(_)) {
        response.headers_mut().insert(ACCEPTED, HeaderValue::from_static("identity,gzip"));
    }
    response
}
