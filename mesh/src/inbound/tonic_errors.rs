//! Gives what tonic answers by itself the code, the reason and the details that answers of ours have.

use axum::body::Body;
use http::Response;
use tonic::Status;

use crate::status;

/// The answer as it goes out.
pub(super) fn describe(response: Response<Body>) -> Response<Body> {
    // A refusal is always trailers only: it stands in the head.
    let rejected = Status::from_header_map(response.headers());
    let rejected = rejected.and_then(|status| status::of_received(&status));
    rejected.map_or(response, |rejected| status::to_status(&rejected).into_http())
}
