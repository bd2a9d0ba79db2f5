//! The errors of the analysis service.

use std::collections::HashMap;
use std::time::Duration;

use dataflow_mesh::status::{self, Describe, Kind, Violation};

use dataflow_sdmx::{Fault, ParseError};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The document cannot be parsed.
    #[error("{0}")]
    Document(ParseError),
    /// There is no such rule set.
    #[error("there is no rule set {name:?}")]
    RulesetNotFound {
        /// The requested name.
        name: String,
    },
    /// The rule set exists but does not compile.
    #[error("the rule set {name:?} cannot be used: {problem}")]
    RulesetUnusable {
        /// Its name.
        name: String,
        /// The compiler's error.
        problem: String,
    },
    /// A field of the request is invalid.
    #[error("{field}: {problem}")]
    FieldInvalid {
        /// The field's path.
        field: String,
        /// What is wrong, and the allowed values.
        problem: String,
    },
    /// The number of concurrent uploads is at its limit.
    #[error("the limit of {limit} concurrent uploads is reached; the upload was not started")]
    TooManyUploads {
        /// The limit.
        limit: u32,
    },
    /// A call has more documents than the limit.
    #[error(
        "the call has more than {limit} documents, the limit of --max-documents; send fewer, or raise it"
    )]
    TooManyDocuments {
        /// The limit.
        limit: usize,
    },
    /// The result is larger than the message limit.
    #[error("the result has more than {limit} bytes, the limit for a message (--max-message-bytes)")]
    ResultTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The results in progress have no memory left.
    #[error(
        "the results that are being built or sent take {limit} bytes, all of --result-memory; this one was given up"
    )]
    NoResultMemory {
        /// The limit in bytes.
        limit: u64,
    },
    /// The result alone takes more memory than all may take.
    #[error(
        "the result takes more than {limit} bytes of memory, the limit for all results (--result-memory)"
    )]
    ResultMemoryTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The caller has left; no one gets this error.
    #[error("the call was canceled")]
    Canceled,
    /// The caller did not send the next piece within the idle timeout.
    #[error("no data arrived for {waited:?} within a document")]
    UploadStalled {
        /// The idle timeout.
        waited: Duration,
    },
    /// The caller stopped sending within a document.
    #[error("the upload ended before the document was complete")]
    UploadBroken(#[source] tonic::Status),
    /// The document does not have the announced digest.
    #[error("the document does not match the digest that was sent before it")]
    DigestMismatch {
        /// The digest of the received document, in the form of `Repr-Digest`.
        found: String,
    },
    /// A message of the upload is malformed or too large.
    #[error("{0}")]
    MessageRefused(status::Refused),
}

/// Maps an error of the upload stream.
impl From<tonic::Status> for Error {
    fn from(received: tonic::Status) -> Self {
        match status::of_received(&received) {
            Some(refused) => Error::MessageRefused(refused),
            None => Error::UploadBroken(received),
        }
    }
}

impl Describe for Error {
    fn domain(&self) -> &'static str {
        match self {
            Error::MessageRefused(refused) => refused.domain(),
            _ => "dataflow.analysis.v1",
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Error::Document(error) if exceeds_limit(&error.fault) => Kind::TooLarge,
            Error::Document(_) | Error::FieldInvalid { .. } | Error::DigestMismatch { .. } => Kind::Invalid,
            Error::TooManyUploads { .. } | Error::NoResultMemory { .. } => Kind::Overloaded,
            Error::ResultTooLarge { .. }
            | Error::ResultMemoryTooLarge { .. }
            | Error::TooManyDocuments { .. } => Kind::TooLarge,
            Error::Canceled => Kind::Cancelled,
            Error::RulesetNotFound { .. } => Kind::NotFound,
            Error::RulesetUnusable { .. } => Kind::Precondition,
            Error::UploadStalled { .. } | Error::UploadBroken(_) => Kind::Cancelled,
            Error::MessageRefused(refused) => refused.kind(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::Document(error) => error.reason(),
            Error::RulesetNotFound { .. } => "RULESET_NOT_FOUND",
            Error::RulesetUnusable { .. } => "RULESET_UNUSABLE",
            Error::FieldInvalid { .. } => "FIELD_INVALID",
            Error::TooManyUploads { .. } => "TOO_MANY_UPLOADS",
            Error::ResultTooLarge { .. } | Error::ResultMemoryTooLarge { .. } => "RESULT_TOO_LARGE",
            Error::NoResultMemory { .. } => "RESULT_MEMORY",
            Error::TooManyDocuments { .. } => "TOO_MANY_DOCUMENTS",
            Error::Canceled => "CANCELED",
            Error::UploadStalled { .. } => "UPLOAD_STALLED",
            Error::UploadBroken(_) => "UPLOAD_BROKEN",
            Error::DigestMismatch { .. } => "DIGEST_MISMATCH",
            Error::MessageRefused(refused) => refused.reason(),
        }
    }

    fn metadata(&self) -> HashMap<String, String> {
        match self {
            Error::Document(error) => HashMap::from([
                ("document".to_owned(), error.position.document.to_string()),
                ("offset".to_owned(), error.position.offset.to_string()),
                ("line".to_owned(), error.position.line.to_string()),
            ]),
            Error::RulesetNotFound { name } | Error::RulesetUnusable { name, .. } => {
                HashMap::from([("ruleset".to_owned(), name.clone())])
            }
            Error::DigestMismatch { found } => HashMap::from([("digest".to_owned(), found.clone())]),
            _ => HashMap::new(),
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Error::FieldInvalid { field, problem } => {
                vec![Violation { field: field.clone(), description: problem.clone() }]
            }
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, Error::TooManyUploads { .. } | Error::NoResultMemory { .. })
            .then_some(Duration::from_secs(1))
    }
}

fn exceeds_limit(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::DocumentTooLarge { .. }
            | Fault::EventTooLarge { .. }
            | Fault::NestedTooDeep { .. }
            | Fault::TooManyAttributes { .. }
            | Fault::TooManyNamespaces { .. }
            | Fault::TooManyDataflows { .. }
    )
}
