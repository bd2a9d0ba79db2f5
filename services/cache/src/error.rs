//! Everything that can go wrong in the cache service.

use dataflow_mesh::status::{Describe, Kind, Violation};

use crate::key::KeyError;

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request holds no entry.
    #[error("entry: must be set")]
    EntryMissing,
    /// The key is malformed.
    #[error("{field}: {problem}")]
    KeyInvalid {
        /// The field that holds the key.
        field: &'static str,
        /// What is wrong with it.
        problem: KeyError,
    },
    /// The time to live is negative, zero, or longer than 30 days.
    #[error("entry.ttl: must be from 1 millisecond to 30 days")]
    TtlInvalid,
    /// The media type is too long, or holds other characters.
    #[error("entry.content_type: must be at most 255 printable ASCII characters")]
    ContentTypeInvalid,
    /// The value is larger than allowed.
    #[error("entry.value: must be at most {limit} bytes, is {size}")]
    EntryTooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: u64,
    },
}

impl Error {
    fn field(&self) -> &'static str {
        match self {
            Error::EntryMissing => "entry",
            Error::KeyInvalid { field, .. } => field,
            Error::TtlInvalid => "entry.ttl",
            Error::ContentTypeInvalid => "entry.content_type",
            Error::EntryTooLarge { .. } => "entry.value",
        }
    }
}

impl Describe for Error {
    fn domain(&self) -> &'static str {
        "dataflow.cache.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Error::EntryMissing
            | Error::KeyInvalid { .. }
            | Error::TtlInvalid
            | Error::ContentTypeInvalid => Kind::Invalid,
            Error::EntryTooLarge { .. } => Kind::TooLarge,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::EntryMissing => "ENTRY_MISSING",
            Error::KeyInvalid { .. } => "KEY_INVALID",
            Error::TtlInvalid => "TTL_INVALID",
            Error::ContentTypeInvalid => "CONTENT_TYPE_INVALID",
            Error::EntryTooLarge { .. } => "ENTRY_TOO_LARGE",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        vec![Violation { field: self.field().to_owned(), description: self.to_string() }]
    }
}
