//! Translates the errors that tonic itself returns into ours, with code, reason and details.

use axum::body::Body;
use http::Response;
use tonic::Status;

use crate::status;

/// The response, with an error of tonic translated.
pub(super) fn describe(response: Response<Body>) -> Response<Body> {
    // Such an error is always trailers-only: the status is in the head.
    let rejected = Status::from_header_map(response.headers());
    let rejected = rejected.and_then(|status| status::of_received(&status));
    rejected.map_or(response, |rejected| status::to_status(&rejected).into_http())
}
