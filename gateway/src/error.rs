//! Why the gateway refuses a request, or cannot make an answer of what an upstream said.

use std::collections::HashMap;
use std::time::Duration;

use dataflow_mesh::status::{Describe, Kind, Violation};

use crate::legacy;
use crate::route::Missing;

/// Every way in which the gateway itself fails a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No route has this path.
    #[error("there is nothing at this path")]
    RouteNotFound,
    /// The path has routes, but not for this method.
    #[error("this path takes {}", allowed.join(", "))]
    MethodNotAllowed {
        /// The methods that it has, in alphabetical order.
        allowed: Vec<String>,
    },
    /// The path cannot be read.
    #[error("the path cannot be read: {what}")]
    PathMalformed {
        /// What is wrong with it.
        what: String,
    },
    /// A variable of the path has no value.
    #[error("{field} in the path is empty")]
    VariableEmpty {
        /// The variable.
        field: String,
    },
    /// Path and query together are too long.
    #[error("path and query have more than the {limit} bytes of --max-target-bytes")]
    TargetTooLong {
        /// The most bytes.
        limit: usize,
    },
    /// The body is of a type that is not understood.
    #[error("the body is {found}; expected application/json")]
    UnsupportedMediaType {
        /// What the header says.
        found: String,
    },
    /// The body of a request that is held as a whole is too large.
    #[error("the body has more than the {limit} bytes of --max-body-bytes")]
    BodyTooLarge {
        /// The most bytes.
        limit: usize,
    },
    /// All bodies together would be too large.
    #[error("there is no room for the body beside others, by --max-held-bytes")]
    NoRoom,
    /// The body broke off.
    #[error("the body broke off: {0}")]
    BodyBroken(String),
    /// The next piece of the body is too long in coming.
    #[error("the next piece of the body took longer than the {idle:?} of --body-idle-timeout")]
    BodyStalled {
        /// The longest wait.
        idle: Duration,
    },
    /// There is a body where none belongs.
    #[error("this route takes no body")]
    BodyUnexpected,
    /// The body is no JSON of the message.
    #[error("{problem} at line {line}, column {column} of the body")]
    JsonInvalid {
        /// The field's path, empty for the body as a whole.
        field: String,
        /// What is wrong.
        problem: String,
        /// From 1.
        line: usize,
        /// From 1; 0 before the first character of a line.
        column: usize,
    },
    /// A PATCH whose body says nothing that could change.
    #[error("{field} has no field to change")]
    NothingToChange {
        /// The field of the request that the body is.
        field: String,
    },
    /// It is no request of the predecessor's surface.
    #[error("{0}")]
    LegacyInvalid(legacy::failure::Invalid),
    /// The query names what the request does not have, or has elsewhere.
    #[error("there is no query parameter {name:?}")]
    ParameterUnknown {
        /// As it was sent.
        name: String,
    },
    /// A value in the path or the query is none of its field.
    #[error("{name}: {problem}")]
    ParameterInvalid {
        /// The field as it was sent.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// The service behind the route does not answer.
    #[error("{service} is out of reach")]
    UpstreamUnavailable {
        /// Its full name.
        service: String,
    },
    /// No upstream serves the service.
    #[error("there is no such method")]
    ServiceUnknown,
    /// The answer of an upstream is too large.
    #[error("the answer has more than the {limit} bytes of --max-message-bytes")]
    ReplyTooLarge {
        /// The most bytes.
        limit: usize,
    },
    /// The answer of an upstream is not what the contract says.
    #[error("the answer of an upstream cannot be read: {0}")]
    ReplyUnreadable(String),
}

impl From<Missing<'_>> for Error {
    fn from(missing: Missing<'_>) -> Self {
        match missing {
            Missing::NoRoute => Error::RouteNotFound,
            Missing::Method { allowed } => {
                Error::MethodNotAllowed { allowed: allowed.into_iter().map(str::to_owned).collect() }
            }
            Missing::Malformed { what } => Error::PathMalformed { what: what.to_owned() },
            Missing::EmptyVariable { field } => Error::VariableEmpty { field: field.to_owned() },
        }
    }
}

impl Describe for Error {
    fn domain(&self) -> &'static str {
        "dataflow.gateway.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Error::RouteNotFound => Kind::NotFound,
            Error::MethodNotAllowed { .. } => Kind::MethodNotAllowed,
            Error::PathMalformed { .. }
            | Error::VariableEmpty { .. }
            | Error::BodyUnexpected
            | Error::JsonInvalid { .. }
            | Error::NothingToChange { .. }
            | Error::LegacyInvalid(_)
            | Error::ParameterUnknown { .. }
            | Error::ParameterInvalid { .. } => Kind::Invalid,
            Error::TargetTooLong { .. } | Error::BodyTooLarge { .. } | Error::ReplyTooLarge { .. } => {
                Kind::TooLarge
            }
            Error::NoRoom => Kind::Overloaded,
            Error::UnsupportedMediaType { .. } => Kind::UnsupportedMediaType,
            Error::BodyBroken(_) | Error::BodyStalled { .. } => Kind::Cancelled,
            Error::UpstreamUnavailable { .. } => Kind::Unavailable,
            Error::ServiceUnknown => Kind::Unimplemented,
            Error::ReplyUnreadable(_) => Kind::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::RouteNotFound => "ROUTE_NOT_FOUND",
            Error::MethodNotAllowed { .. } => "METHOD_NOT_ALLOWED",
            Error::PathMalformed { .. } => "PATH_MALFORMED",
            Error::VariableEmpty { .. } => "PATH_VARIABLE_EMPTY",
            Error::TargetTooLong { .. } => "TARGET_TOO_LONG",
            Error::UnsupportedMediaType { .. } => "UNSUPPORTED_MEDIA_TYPE",
            Error::BodyTooLarge { .. } => "BODY_TOO_LARGE",
            Error::NoRoom => "NO_ROOM",
            Error::BodyBroken(_) => "BODY_BROKEN",
            Error::BodyStalled { .. } => "BODY_STALLED",
            Error::BodyUnexpected => "BODY_UNEXPECTED",
            Error::JsonInvalid { .. } => "JSON_INVALID",
            Error::NothingToChange { .. } => "NOTHING_TO_CHANGE",
            Error::LegacyInvalid(_) => "LEGACY_REQUEST_INVALID",
            Error::ParameterUnknown { .. } => "PARAMETER_UNKNOWN",
            Error::ParameterInvalid { .. } => "PARAMETER_INVALID",
            Error::UpstreamUnavailable { .. } => "UPSTREAM_UNAVAILABLE",
            Error::ServiceUnknown => "METHOD_UNKNOWN",
            Error::ReplyTooLarge { .. } => "REPLY_TOO_LARGE",
            Error::ReplyUnreadable(_) => "REPLY_UNREADABLE",
        }
    }

    fn metadata(&self) -> HashMap<String, String> {
        match self {
            Error::JsonInvalid { line, column, .. } => HashMap::from([
                ("line".to_owned(), line.to_string()),
                ("column".to_owned(), column.to_string()),
            ]),
            Error::UpstreamUnavailable { service } => {
                HashMap::from([("service".to_owned(), service.clone())])
            }
            _ => HashMap::new(),
        }
    }

    fn violations(&self) -> Vec<Violation> {
        let violation =
            |field: &str, description: String| vec![Violation { field: field.to_owned(), description }];
        match self {
            Error::VariableEmpty { field } => violation(field, "must not be empty".to_owned()),
            Error::NothingToChange { field } => violation(field, "must have a field to change".to_owned()),
            Error::ParameterUnknown { name } => violation(name, "there is no such field".to_owned()),
            Error::ParameterInvalid { name, problem } => violation(name, problem.clone()),
            Error::JsonInvalid { field, problem, .. } if !field.is_empty() => {
                violation(field, problem.clone())
            }
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, Error::UpstreamUnavailable { .. } | Error::NoRoom).then_some(Duration::from_secs(1))
    }
}
