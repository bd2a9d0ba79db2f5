//! The format of all errors over REST: the JSON of a `google.rpc.Status` with its details, and the HTTP status for its
//! code and details. Separate from the dialect of REST, because requests of no dialect are rejected in it too.

use std::collections::HashMap;

use axum::body::Body;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response};
use serde::Serialize;
use tonic::Status;
use tonic_types::StatusExt;

use crate::dialect::Failure;
use crate::json;

/// `google.rpc.Status` as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    code: i32,
    message: String,
    details: Vec<Detail>,
}

/// A detail of a status, as an `Any` in JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "@type", rename_all_fields = "camelCase")]
enum Detail {
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    ErrorInfo { reason: String, domain: String, metadata: HashMap<String, String> },
    #[serde(rename = "type.googleapis.com/google.rpc.BadRequest")]
    BadRequest { field_violations: Vec<FieldViolation> },
    #[serde(rename = "type.googleapis.com/google.rpc.RetryInfo")]
    RetryInfo { retry_delay: String },
    #[serde(rename = "type.googleapis.com/google.rpc.RequestInfo")]
    RequestInfo { request_id: String },
}

#[derive(Debug, Serialize)]
struct FieldViolation {
    field: String,
    description: String,
}

// === impl Problem ===

impl Problem {
    /// The fields of a status. Details of other kinds are omitted.
    pub(crate) fn new(status: &Status, request_id: &HeaderValue) -> Self {
        let said = status.get_error_details();
        let mut details = Vec::new();
        if let Some(info) = said.error_info() {
            let (reason, domain, metadata) =
                (info.reason.clone(), info.domain.clone(), info.metadata.clone());
            details.push(Detail::ErrorInfo { reason, domain, metadata });
        }
        if let Some(bad) = said.bad_request() {
            let violations = bad.field_violations.iter().map(|violation| FieldViolation {
                field: violation.field.clone(),
                description: violation.description.clone(),
            });
            details.push(Detail::BadRequest { field_violations: violations.collect() });
        }
        if let Some(delay) = said.retry_info().and_then(|info| info.retry_delay) {
            details.push(Detail::RetryInfo { retry_delay: format!("{}s", delay.as_secs_f64()) });
        }
        let request_id = request_id.to_str().unwrap_or_default().to_owned();
        details.push(Detail::RequestInfo { request_id });
        Self { code: status.code().into(), message: status.message().to_owned(), details }
    }
}

/// The response to a rejected or failed request.
pub(crate) fn response(failure: &Failure, request_id: &HeaderValue) -> Response<Body> {
    let problem = Problem::new(&failure.status, request_id);
    let problem = serde_json::to_vec(&problem).expect("a problem is plain JSON");
    let mut response = json::response(problem);
    *response.status_mut() = failure.http;
    set_retry_after(&mut response, &failure.status);
    response
}

/// Sets `Retry-After`, if the status has a retry delay.
pub(crate) fn set_retry_after(response: &mut Response<Body>, status: &Status) {
    if let Some(delay) = status.get_details_retry_info().and_then(|info| info.retry_delay) {
        // Whole seconds (RFC 9110, 10.2.3), and at least 1: 0 would cause a retry storm.
        let seconds = delay.as_secs_f64().ceil().max(1.0) as u64;
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}
