//! Errors of the store, by what a caller must know: whether data may have changed.

use std::time::Duration;

use dataflow_mesh::status::{Describe, Kind};

/// Why an operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store is unreachable, or rejected the call. Nothing was changed.
    #[error("the store is unavailable: {why}")]
    Unavailable {
        /// The cause, without addresses or credentials.
        why: String,
        /// When to retry.
        retry_after: Duration,
    },
    /// A write was sent and no reply arrived: it may have been executed.
    #[error("the store did not confirm the write; its outcome is unknown")]
    OutcomeUnknown,
    /// A write was executed, but too few replicas confirmed it: a failover may lose it.
    #[error("only {got} of {wanted} replicas confirmed the write")]
    NotReplicated {
        /// Replicas that confirmed it.
        got: u64,
        /// Replicas that must confirm it.
        wanted: u64,
    },
    /// The value of a key is not a record that this release can read.
    #[error("the value of {key} cannot be read: {problem}")]
    Unreadable {
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store returned a reply that it never returns to this application's calls.
    #[error("the store returned an unexpected reply")]
    Unexpected(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The disk of the data directory is full or failed. A write may have been executed. The next call tries again.
    #[error("the disk of the data directory failed, or is full")]
    DiskFailed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The embedded database is damaged, or was used wrongly.
    #[error("the data directory cannot be used")]
    File(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// When a caller may retry a write whose outcome is unknown.
const RETRY_AFTER: Duration = Duration::from_millis(500);

impl Describe for Error {
    fn domain(&self) -> &'static str {
        "dataflow.store.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Error::Unavailable { .. }
            | Error::OutcomeUnknown
            | Error::NotReplicated { .. }
            | Error::DiskFailed(_) => Kind::Unavailable,
            Error::Unreadable { .. } | Error::Unexpected(_) | Error::File(_) => Kind::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::Unavailable { .. } => "STORE_UNAVAILABLE",
            Error::OutcomeUnknown => "WRITE_OUTCOME_UNKNOWN",
            Error::NotReplicated { .. } => "WRITE_NOT_REPLICATED",
            Error::Unreadable { .. } => "RECORD_UNREADABLE",
            Error::Unexpected(_) => "STORE_ANSWER_UNEXPECTED",
            Error::DiskFailed(_) => "DISK_FAILED",
            Error::File(_) => "DATA_DIRECTORY_UNUSABLE",
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Unavailable { retry_after, .. } => Some(*retry_after),
            Error::OutcomeUnknown | Error::NotReplicated { .. } | Error::DiskFailed(_) => Some(RETRY_AFTER),
            Error::Unreadable { .. } | Error::Unexpected(_) | Error::File(_) => None,
        }
    }
}
