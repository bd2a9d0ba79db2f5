//! Everything that can go wrong with state, told by what a caller must know: whether anything may have changed.

use std::time::Duration;

use dataflow_mesh::status::{Describe, Kind};

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store does not answer. What was asked was not sent, or refused before it changed anything.
    #[error("the store does not answer: {why}")]
    Unavailable {
        /// What was seen, without addresses or credentials.
        why: String,
        /// When to ask again.
        retry_after: Duration,
    },
    /// A write was sent and no answer came: it may have been done.
    #[error("the store did not say whether the write was done")]
    OutcomeUnknown,
    /// A write was done, but not enough replicas have it: a failover may lose it.
    #[error("the write is on {got} of {wanted} replicas")]
    NotReplicated {
        /// How many have it.
        got: u64,
        /// How many must.
        wanted: u64,
    },
    /// What lies under a key is no record that this release can read.
    #[error("what lies under {key} cannot be read: {problem}")]
    Unreadable {
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store answers what no store of ours would.
    #[error("the store answered something unexpected")]
    Unexpected(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The file that state is kept in fails us.
    #[error("the data directory cannot be used")]
    File(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How soon a caller may repeat a write whose outcome is in doubt.
const RETRY_AFTER: Duration = Duration::from_millis(500);

impl Describe for Error {
    fn domain(&self) -> &'static str {
        "dataflow.store.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Error::Unavailable { .. } | Error::OutcomeUnknown | Error::NotReplicated { .. } => {
                Kind::Unavailable
            }
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
            Error::File(_) => "DATA_DIRECTORY_UNUSABLE",
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Unavailable { retry_after, .. } => Some(*retry_after),
            Error::OutcomeUnknown | Error::NotReplicated { .. } => Some(RETRY_AFTER),
            Error::Unreadable { .. } | Error::Unexpected(_) | Error::File(_) => None,
        }
    }
}
