//! JSON bodies over HTTP: the response with a JSON body, the JSON media types, and the error of a request's body.
//! Separate from the dialects, because all of them use it.

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};

mod error;

pub(crate) use error::JsonError;

/// A response whose body is JSON.
pub(crate) fn response(body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Whether a `Content-Type` announces JSON: `application/json` or a type with the suffix `+json`.
pub(crate) fn is_json(content_type: &str) -> bool {
    let Ok(mime) = content_type.parse::<mime::Mime>() else { return false };
    mime.type_() == mime::APPLICATION && (mime.subtype() == mime::JSON || mime.suffix() == Some(mime::JSON))
}
