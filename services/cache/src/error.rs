//! Errors of the cache service.

use std::collections::HashMap;
use std::time::Duration;

use dataflow_mesh::status::{Describe, Kind, Violation};
use dataflow_store::revision::Revision;

use crate::key::KeyError;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no fresh entry under the key.
    #[error("there is no entry {key}")]
    EntryNotFound {
        /// The key.
        key: String,
        /// Whether the store was unreachable.
        degraded: bool,
    },
    /// The request has no entry.
    #[error("entry: must be set")]
    EntryMissing,
    /// A key is malformed, or its namespace is not accessible to the caller.
    #[error("{field}: {problem}")]
    KeyInvalid {
        /// The field, with its index if repeated.
        field: String,
        /// What is wrong with it.
        problem: KeyError,
    },
    /// A tag is malformed.
    #[error("{field}: {problem}")]
    TagInvalid {
        /// The field, with its index if repeated.
        field: String,
        /// What is wrong with it.
        problem: KeyError,
    },
    /// A repeated field has too many elements.
    #[error("{field}: must have at most {limit} elements, has {count}")]
    TooMany {
        /// The field.
        field: &'static str,
        /// The number of elements.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A duration is negative, too short or too long.
    #[error("{field}: must be from {} to {}", humantime::format_duration(*min), humantime::format_duration(*max))]
    TtlInvalid {
        /// The field.
        field: &'static str,
        /// The shortest it may be.
        min: Duration,
        /// The longest it may be.
        max: Duration,
    },
    /// A number is out of its range.
    #[error("{field}: must be from 1 to {max}")]
    NumberInvalid {
        /// The field.
        field: &'static str,
        /// The most it may be.
        max: u32,
    },
    /// The media type is too long, or contains other characters.
    #[error("entry.content_type: must be at most 255 printable ASCII characters")]
    ContentTypeInvalid,
    /// A token, etag or generation was not issued by this service, or the generation of a tag is missing.
    #[error("{field}: {problem}")]
    TokenInvalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The value is larger than allowed.
    #[error("entry.value: must be at most {limit} bytes, is {size}")]
    EntryTooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: u64,
    },
    /// The requested entries do not fit into one response.
    #[error("the entries exceed the limit of a response, {limit} bytes")]
    ResponseTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The current version of the entry is not that of the etag.
    #[error("the etag does not match the current version of the entry")]
    EtagMismatch {
        /// The current version, if the entry exists.
        found: Option<Revision>,
    },
    /// See [`dataflow_store::Error`].
    #[error(transparent)]
    Store(#[from] dataflow_store::Error),
}

impl Error {
    /// Whether the store is unreachable, on which most calls respond as degraded instead of failing.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Error::Store(error) if error.kind() == Kind::Unavailable)
    }

    fn field(&self) -> Option<&str> {
        match self {
            Error::EntryMissing => Some("entry"),
            Error::KeyInvalid { field, .. } | Error::TagInvalid { field, .. } => Some(field),
            Error::TooMany { field, .. }
            | Error::TtlInvalid { field, .. }
            | Error::NumberInvalid { field, .. }
            | Error::TokenInvalid { field, .. } => Some(field),
            Error::ContentTypeInvalid => Some("entry.content_type"),
            Error::EntryTooLarge { .. } => Some("entry.value"),
            Error::EntryNotFound { .. }
            | Error::ResponseTooLarge { .. }
            | Error::EtagMismatch { .. }
            | Error::Store(_) => None,
        }
    }
}

impl Describe for Error {
    fn domain(&self) -> &'static str {
        "dataflow.cache.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Error::EntryNotFound { .. } => Kind::NotFound,
            Error::EntryMissing
            | Error::KeyInvalid { .. }
            | Error::TagInvalid { .. }
            | Error::TooMany { .. }
            | Error::TtlInvalid { .. }
            | Error::NumberInvalid { .. }
            | Error::ContentTypeInvalid
            | Error::TokenInvalid { .. } => Kind::Invalid,
            Error::EntryTooLarge { .. } | Error::ResponseTooLarge { .. } => Kind::TooLarge,
            Error::EtagMismatch { .. } => Kind::Conflict,
            Error::Store(error) => error.kind(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::EntryNotFound { .. } => "ENTRY_NOT_FOUND",
            Error::EntryMissing => "ENTRY_MISSING",
            Error::KeyInvalid { .. } => "KEY_INVALID",
            Error::TagInvalid { .. } => "TAG_INVALID",
            Error::TooMany { .. } => "TOO_MANY",
            Error::TtlInvalid { .. } => "TTL_INVALID",
            Error::NumberInvalid { .. } => "NUMBER_INVALID",
            Error::ContentTypeInvalid => "CONTENT_TYPE_INVALID",
            Error::TokenInvalid { .. } => "TOKEN_INVALID",
            Error::EntryTooLarge { .. } => "ENTRY_TOO_LARGE",
            Error::ResponseTooLarge { .. } => "ANSWER_TOO_LARGE",
            Error::EtagMismatch { .. } => "ETAG_MISMATCH",
            Error::Store(error) => error.reason(),
        }
    }

    fn metadata(&self) -> HashMap<String, String> {
        match self {
            Error::EntryNotFound { degraded, .. } => {
                HashMap::from([("degraded".to_owned(), degraded.to_string())])
            }
            Error::EtagMismatch { found: Some(found) } => {
                HashMap::from([("etag".to_owned(), found.to_string())])
            }
            _ => HashMap::new(),
        }
    }

    fn violations(&self) -> Vec<Violation> {
        let violation = |field: &str| Violation { field: field.to_owned(), description: self.to_string() };
        self.field().map(violation).into_iter().collect()
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Store(error) => error.retry_after(),
            _ => None,
        }
    }
}
