//! The form of a request over HTTP/1.1, where it could be read in another way by a proxy.

use axum::body::Body;
use http::header::{HOST, TRANSFER_ENCODING};
use http::{Request, Version};

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
