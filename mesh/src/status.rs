//! The only place that maps errors to gRPC codes and HTTP statuses, and that decides what a caller may see of them.
//!
//! Codes have effects: meshes eject a host that returns UNAVAILABLE, INTERNAL, DEADLINE_EXCEEDED or UNKNOWN, so that a
//! client error or an overload must never get one of these.

pub(crate) mod peer;
mod received;
mod refusal;

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use http::StatusCode;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub use peer::{code_in, failure_in, kind_of_broken, kind_of_http};
pub use received::{Refused, of_received};
pub use refusal::{OF_MEMORY, OF_RATE, Refusal};

/// Longest message in bytes, and longest text within the details. Both are sent in headers, which peers and proxies
/// limit to some kilobytes, and may quote input of any length.
const MESSAGE_MAX: usize = 1024;
const DETAIL_MAX: usize = 256;

/// Maximum number of violations in one status, for the same reason.
const VIOLATIONS_MAX: usize = 8;

/// When a client that retries by its service config may do so, in milliseconds (gRFC A6). Such clients do not read the
/// details.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// The kind of an error: a closed set, which the tables below map exhaustively.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request is invalid, independent of the state of the system.
    Invalid,
    /// The requested resource does not exist.
    NotFound,
    /// The resource to create exists.
    AlreadyExists,
    /// The request is valid, but the system is not in the required state.
    Precondition,
    /// Optimistic concurrency failed: another writer changed the resource first (the etag did not match).
    Conflict,
    /// The caller is not authorized.
    Denied,
    /// The caller is not authenticated.
    Unauthenticated,
    /// The request exceeds a size limit.
    TooLarge,
    /// The headers of the request exceed a size limit.
    HeadersTooLarge,
    /// The service is at a limit; the call was not started.
    Overloaded,
    /// A dependency of the request is unreachable.
    Unavailable,
    /// The deadline of the call has passed.
    Timeout,
    /// The caller canceled the call.
    Cancelled,
    /// There is no such method.
    Unimplemented,
    /// The resource does not support this HTTP method.
    MethodNotAllowed,
    /// The protocol needs another version of HTTP.
    HttpVersion,
    /// The media type of the request's body is not supported.
    UnsupportedMediaType,
    /// A peer sent what its contract does not permit. Unlike of a fault of its own, the caller gets to know of which.
    PeerFault,
    /// A server fault.
    Internal,
}

impl Kind {
    /// The gRPC code.
    pub fn code(self) -> Code {
        match self {
            Kind::Invalid | Kind::UnsupportedMediaType => Code::InvalidArgument,
            Kind::NotFound => Code::NotFound,
            Kind::AlreadyExists => Code::AlreadyExists,
            Kind::Precondition => Code::FailedPrecondition,
            Kind::Conflict => Code::Aborted,
            Kind::Denied => Code::PermissionDenied,
            Kind::Unauthenticated => Code::Unauthenticated,
            Kind::TooLarge | Kind::HeadersTooLarge | Kind::Overloaded => Code::ResourceExhausted,
            Kind::Unavailable => Code::Unavailable,
            Kind::Timeout => Code::DeadlineExceeded,
            Kind::Cancelled => Code::Cancelled,
            Kind::Unimplemented | Kind::MethodNotAllowed | Kind::HttpVersion => Code::Unimplemented,
            Kind::PeerFault | Kind::Internal => Code::Internal,
        }
    }

    /// The HTTP status.
    pub fn http(self) -> StatusCode {
        match self {
            Kind::Invalid | Kind::Precondition => StatusCode::BAD_REQUEST,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::AlreadyExists => StatusCode::CONFLICT,
            Kind::Conflict => StatusCode::PRECONDITION_FAILED,
            Kind::Denied => StatusCode::FORBIDDEN,
            Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Kind::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            // nginx's "client closed request": no client reads it, but logs and metrics do.
            Kind::Cancelled => StatusCode::from_u16(499).expect("499 is in 100..1000"),
            Kind::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Kind::HttpVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Kind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Kind::PeerFault | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The HTTP status of a gRPC status from a peer.
pub fn http_of(status: &Status) -> StatusCode {
    kind_of(status).map_or(StatusCode::OK, Kind::http)
}

/// The kind of the error in a gRPC status from a peer. Where one code stands for several kinds, the details decide:
/// overload has a `RetryInfo` (or, from a foreign service, no details at all), a request that is too large has none.
fn kind_of(status: &Status) -> Option<Kind> {
    Some(match status.code() {
        Code::Ok => return None,
        Code::InvalidArgument | Code::OutOfRange => Kind::Invalid,
        Code::NotFound => Kind::NotFound,
        // 409 for both: 412 is only for a precondition in the request itself.
        Code::AlreadyExists => Kind::AlreadyExists,
        Code::Aborted => match status.get_details_error_info() {
            Some(info) if info.reason == ETAG_MISMATCH => Kind::Conflict,
            _ => Kind::AlreadyExists,
        },
        Code::FailedPrecondition => Kind::Precondition,
        Code::PermissionDenied => Kind::Denied,
        Code::Unauthenticated => Kind::Unauthenticated,
        Code::ResourceExhausted => match status.get_error_details() {
            details if details.retry_info().is_some() => Kind::Overloaded,
            details => match details.error_info() {
                Some(info) if info.reason == HEADERS_TOO_LARGE => Kind::HeadersTooLarge,
                Some(_) => Kind::TooLarge,
                None => Kind::Overloaded,
            },
        },
        Code::Unavailable => Kind::Unavailable,
        Code::DeadlineExceeded => Kind::Timeout,
        Code::Cancelled => Kind::Cancelled,
        Code::Unimplemented => Kind::Unimplemented,
        Code::Unknown | Code::Internal | Code::DataLoss => Kind::Internal,
    })
}

/// Whether a health check failed because the server has no health service, or does not know the name.
pub fn is_unknown_service(status: &Status) -> bool {
    matches!(status.code(), Code::NotFound | Code::Unimplemented)
}

/// Whether a service of ours rejected a call because it drains.
pub fn is_draining(status: &Status) -> bool {
    status.code() == Code::Unavailable
        && status
            .get_details_error_info()
            .is_some_and(|info| info.reason == "DRAINING" && info.domain == "dataflow.mesh.v1")
}

/// The reason of a failed compare-and-set.
const ETAG_MISMATCH: &str = "ETAG_MISMATCH";

/// The reason of headers above the limit.
const HEADERS_TOO_LARGE: &str = "HEADERS_TOO_LARGE";

/// One invalid field of a request, for `google.rpc.BadRequest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field's path in the request, for instance `dataflow.id`.
    pub field: String,
    /// Why it is invalid, and what would be valid.
    pub description: String,
}

/// Describes each variant of a crate's error enum for a status; `Display` is the message.
pub trait Describe: Error {
    /// The domain of the reason: the protobuf package, for instance `dataflow.cache.v1`.
    fn domain(&self) -> &'static str;

    /// The kind of the error.
    fn kind(&self) -> Kind;

    /// A stable UPPER_SNAKE identifier for programs.
    fn reason(&self) -> &'static str;

    /// Further facts for programs, with lowerCamelCase keys.
    fn metadata(&self) -> HashMap<String, String> {
        HashMap::new()
    }

    /// The invalid fields, for [`Kind::Invalid`].
    fn violations(&self) -> Vec<Violation> {
        Vec::new()
    }

    /// The delay before a retry, where a retry can succeed.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// The status for the caller. A server fault is logged here with its causes, and the caller gets a fixed message.
pub fn to_status(failure: &dyn Describe) -> Status {
    if matches!(failure.kind(), Kind::Internal | Kind::PeerFault) {
        tracing::error!(reason = failure.reason(), error = %ErrorChain(failure), "call: internal error");
    }
    logged(failure)
}

/// The status for an error that has already been logged.
pub fn logged(failure: &dyn Describe) -> Status {
    let kind = failure.kind();
    let message =
        if kind == Kind::Internal { "internal failure".to_owned() } else { ErrorChain(failure).to_string() };
    let mut details = ErrorDetails::new();
    let metadata = failure.metadata().into_iter().map(|(key, value)| (key, truncated(value, DETAIL_MAX)));
    details.set_error_info(failure.reason(), failure.domain(), metadata.collect::<HashMap<_, _>>());
    for Violation { field, description } in failure.violations().into_iter().take(VIOLATIONS_MAX) {
        details.add_bad_request_violation(truncated(field, DETAIL_MAX), truncated(description, DETAIL_MAX));
    }
    let mut pushback = MetadataMap::new();
    if let Some(delay) = failure.retry_after() {
        details.set_retry_info(Some(delay));
        pushback.insert(PUSHBACK, MetadataValue::from(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)));
    }
    let message = truncated(message, MESSAGE_MAX);
    Status::with_error_details_and_metadata(kind.code(), message, details, pushback)
}

/// Converts the result of a method into the type that tonic takes, for the implementations of gRPC services.
///
/// # Errors
///
/// The error as a status, see [`to_status`].
pub fn respond<T, E: Describe>(outcome: Result<T, E>) -> Result<Response<T>, Status> {
    outcome.map(Response::new).map_err(|failure| to_status(&failure))
}

/// The text, truncated to `max` bytes with an ellipsis.
fn truncated(mut text: String, max: usize) -> String {
    const ELLIPSIS: char = '\u{2026}';
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max - ELLIPSIS.len_utf8()));
        text.push(ELLIPSIS);
    }
    text
}

/// An error with its causes, `outer: inner: innermost`.
struct ErrorChain<'a>(&'a dyn Describe);

impl std::fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
