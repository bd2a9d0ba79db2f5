//! Gives what tonic answers by itself the code, the reason and the details that answers of ours have.

use axum::body::Body;
use http::Response;
use tonic::Status;

use crate::status;

/// The answer as it goes out.
pub(super) fn describe(answer: Response<Body>) -> Response<Body> {
    // A refusal is always trailers only: it stands in the head.
    let refused = Status::from_header_map(answer.headers());
    let refused = refused.and_then(|status| status::of_received(&status));
    refused.map_or(answer, |refused| status::to_status(&refused).into_http())
}
