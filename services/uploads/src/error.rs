//! Why an upload fails. The services report these failures as their own, with their own domains.

use std::collections::HashMap;
use std::time::Duration;

use dataflow_mesh::status::{self, Describe, Kind, Violation};
use dataflow_sdmx::{Fault, ParseError};

use crate::digest;
use crate::document::Fingerprint;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The document cannot be parsed.
    #[error("{0}")]
    Document(ParseError),
    /// The header with the digest is malformed.
    #[error("{header}: {0}", header = digest::HEADER)]
    DigestInvalid(digest::NotADigest),
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
        /// The digest of the received document.
        found: Fingerprint,
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

impl Error {
    /// The domain of the failure, if it is not of the service that received the upload.
    pub fn foreign_domain(&self) -> Option<&'static str> {
        match self {
            Error::MessageRefused(refused) => Some(refused.domain()),
            _ => None,
        }
    }
}

impl Describe for Error {
    fn domain(&self) -> &'static str {
        self.foreign_domain().unwrap_or("dataflow.analysis.v1")
    }

    fn kind(&self) -> Kind {
        match self {
            Error::Document(error) if exceeds_limit(&error.fault) => Kind::TooLarge,
            Error::Document(_) | Error::DigestInvalid(_) | Error::DigestMismatch { .. } => Kind::Invalid,
            Error::TooManyUploads { .. } | Error::NoResultMemory { .. } => Kind::Overloaded,
            Error::ResultTooLarge { .. }
            | Error::ResultMemoryTooLarge { .. }
            | Error::TooManyDocuments { .. } => Kind::TooLarge,
            Error::Canceled => Kind::Cancelled,
            Error::UploadStalled { .. } | Error::UploadBroken(_) => Kind::Cancelled,
            Error::MessageRefused(refused) => refused.kind(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::Document(error) => error.reason(),
            Error::DigestInvalid(_) => "FIELD_INVALID",
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
            Error::DigestMismatch { found } => HashMap::from([("digest".to_owned(), digest::format(found))]),
            _ => HashMap::new(),
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Error::DigestInvalid(problem) => {
                vec![Violation { field: digest::HEADER.to_owned(), description: problem.to_string() }]
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
