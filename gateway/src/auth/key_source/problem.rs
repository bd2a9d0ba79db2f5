//! Why there is no key set, or no new one. No message has content of the document, except for what a [`KeySetError`]
//! shows of it.

use std::io;
use std::time::Duration;

use http::StatusCode;

use super::super::jwt::key_set::{KeySetError, MAX_BYTES};
use super::location::Location;

/// The set of a location cannot be had at all.
#[derive(Debug, thiserror::Error)]
#[error("{location}: {problem}")]
pub(crate) struct KeySourceError {
    location: String,
    problem: Problem,
}

/// Why a document could not be read, or is not valid.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// The operating system denies reading the file.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// It is a directory, a pipe, a socket or a device.
    #[error("neither a file nor a link to one")]
    NotAFile,
    /// It is too long, and was not read to its end.
    #[error("more than the {MAX_BYTES} bytes allowed")]
    TooLong,
    /// It is not a valid key set.
    #[error(transparent)]
    Invalid(#[from] KeySetError),
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
    /// There was no connection in time.
    #[error("no connection within {limit:?}")]
    NoConnection {
        /// The timeout.
        limit: Duration,
    },
    /// The server has not answered in time, or only in part.
    #[error("no complete response within {limit:?}")]
    NoResponse {
        /// The timeout.
        limit: Duration,
    },
    /// HTTP, TLS or the network broke.
    #[error("{0}")]
    Broken(String),
    /// The set is elsewhere.
    #[error("the response has status {status}, and redirects are not followed")]
    Redirect {
        /// Its status.
        status: StatusCode,
    },
    /// The server has an error, or nothing.
    #[error("the response has status {status}, expected 200 OK")]
    Status {
        /// Its status.
        status: StatusCode,
    },
}

// === impl Problem ===

impl Problem {
    /// What became of a fetch that failed, from a closed set.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::NoConnection { .. } => "no_connection",
            Self::NoResponse { .. } => "no_response",
            Self::Redirect { .. } => "redirect",
            Self::Status { .. } => "status",
            Self::TooLong => "too_long",
            Self::Unreadable(_) | Self::NotAFile | Self::Invalid(_) | Self::Client(_) | Self::Broken(_) => {
                "broken"
            }
        }
    }
}

// === impl KeySourceError ===

impl KeySourceError {
    pub(super) fn new(location: &Location, problem: Problem) -> Self {
        Self { location: location.to_string(), problem }
    }
}
