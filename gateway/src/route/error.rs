//! Why a request has no route. Separate from the table, because the frontend uses these errors too.

use dataflow_mesh::status::{Describe, Kind, Violation};

/// Why a request has no route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No template matches the path.
    #[error("no route matches this path; reflection lists the routes")]
    NotFound,
    /// Templates match the path, none for this method.
    #[error("this path allows only {}", allowed.join(", "))]
    MethodNotAllowed {
        /// The methods that the path has, sorted.
        allowed: Vec<String>,
    },
    /// The path cannot be decoded, or would fill a variable with `.` or `..`.
    #[error("the path cannot be read: {what}")]
    PathMalformed {
        /// What the path has.
        what: &'static str,
    },
    /// A template matches but for a variable that would be empty.
    #[error("{field} in the path is empty")]
    VariableEmpty {
        /// The path of its field.
        field: String,
    },
    /// A request over HTTP/1 names no host, several, or none that can be one (RFC 9112, 3.2).
    #[error("expected one Host header, with a host and its port if it has one; found {found}")]
    HostInvalid {
        /// How many there are, or the one in quotes.
        found: String,
    },
    /// A body is in a transfer coding other than `chunked` (RFC 9112, 6.1).
    #[error("the transfer coding {coding:?} is not supported; supported is chunked")]
    TransferCoding {
        /// As it was sent.
        coding: String,
    },
    /// Path and query together are too long to look for.
    #[error("path and query have more than the {limit} bytes of --max-target-bytes")]
    TargetTooLong {
        /// The most bytes.
        limit: usize,
    },
}

impl Describe for RouteError {
    fn domain(&self) -> &'static str {
        "dataflow.gateway.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            RouteError::NotFound => Kind::NotFound,
            RouteError::MethodNotAllowed { .. } => Kind::MethodNotAllowed,
            RouteError::PathMalformed { .. }
            | RouteError::VariableEmpty { .. }
            | RouteError::HostInvalid { .. } => Kind::Invalid,
            RouteError::TransferCoding { .. } => Kind::Unimplemented,
            RouteError::TargetTooLong { .. } => Kind::TooLarge,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            RouteError::NotFound => "ROUTE_NOT_FOUND",
            RouteError::MethodNotAllowed { .. } => "METHOD_NOT_ALLOWED",
            RouteError::PathMalformed { .. } => "PATH_MALFORMED",
            RouteError::VariableEmpty { .. } => "PATH_VARIABLE_EMPTY",
            RouteError::HostInvalid { .. } => "HOST_INVALID",
            RouteError::TransferCoding { .. } => "TRANSFER_CODING_UNSUPPORTED",
            RouteError::TargetTooLong { .. } => "TARGET_TOO_LONG",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            RouteError::VariableEmpty { field } => {
                vec![Violation { field: field.clone(), description: "must not be empty".to_owned() }]
            }
            RouteError::HostInvalid { .. } => {
                vec![Violation { field: "Host".to_owned(), description: self.to_string() }]
            }
            _ => Vec::new(),
        }
    }
}
