//! Why a body of `multipart/form-data` is rejected.

use std::collections::HashMap;

use dataflow_mesh::status::{Describe, Kind, Violation, to_status};
use tonic::Status;

use super::head::HeadError;

/// Why a body of `multipart/form-data` is rejected. Parts are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MultipartError {
    /// The head of the request does not say what separates the parts.
    #[error("the Content-Type multipart/form-data has no boundary")]
    BoundaryMissing,
    /// It does not say it as RFC 2046 has it.
    #[error("the boundary of multipart/form-data is invalid: {0}")]
    BoundaryInvalid(&'static str),
    /// The body is probably separated by another boundary.
    #[error("the first {limit} bytes of the body have no line of two hyphens and the boundary")]
    DelimiterMissing {
        /// The most bytes before the first part.
        limit: usize,
    },
    /// A line begins with the boundary, and goes on.
    #[error("the boundary after part {part} is followed by other text on its line")]
    DelimiterMalformed {
        /// The part before it, 0 for none.
        part: usize,
    },
    /// It ended, but not with the boundary and two hyphens.
    #[error("the body is incomplete: it ends {}", place(*part))]
    Truncated {
        /// The part in which it ended, 0 before the first.
        part: usize,
    },
    /// There is no document in it.
    #[error("the body has no parts")]
    NoParts,
    /// It goes on after its end.
    #[error("the body has more than {limit} bytes after its last part")]
    EpilogueTooLong {
        /// The most bytes.
        limit: usize,
    },
    /// There are too many parts.
    #[error("the body has more than the {limit} parts of --max-parts")]
    TooManyParts {
        /// The most parts.
        limit: usize,
    },
    /// The headers of a part are too long.
    #[error("the headers of part {part} have more than the {limit} bytes of --max-part-header-bytes")]
    HeadTooLarge {
        /// The part.
        part: usize,
        /// The most bytes.
        limit: usize,
    },
    /// The headers of a part are not what RFC 7578 says.
    #[error("part {part}: {error}")]
    HeadInvalid {
        /// The part.
        part: usize,
        /// The error.
        error: HeadError,
    },
}

fn place(part: usize) -> String {
    if part == 0 { "before its first part".to_owned() } else { format!("within part {part}") }
}

// === impl MultipartError ===

impl MultipartError {
    /// The part that the error is about, if it is one.
    fn part(&self) -> Option<usize> {
        match self {
            MultipartError::DelimiterMalformed { part }
            | MultipartError::Truncated { part }
            | MultipartError::HeadTooLarge { part, .. }
            | MultipartError::HeadInvalid { part, .. } => Some(*part),
            _ => None,
        }
    }
}

impl Describe for MultipartError {
    fn domain(&self) -> &'static str {
        "dataflow.gateway.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            MultipartError::TooManyParts { .. } | MultipartError::HeadTooLarge { .. } => Kind::TooLarge,
            MultipartError::BoundaryMissing
            | MultipartError::BoundaryInvalid(_)
            | MultipartError::DelimiterMissing { .. }
            | MultipartError::DelimiterMalformed { .. }
            | MultipartError::Truncated { .. }
            | MultipartError::NoParts
            | MultipartError::EpilogueTooLong { .. }
            | MultipartError::HeadInvalid { .. } => Kind::Invalid,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            MultipartError::BoundaryMissing | MultipartError::BoundaryInvalid(_) => "BOUNDARY_INVALID",
            MultipartError::DelimiterMissing { .. }
            | MultipartError::DelimiterMalformed { .. }
            | MultipartError::NoParts
            | MultipartError::EpilogueTooLong { .. } => "MULTIPART_MALFORMED",
            MultipartError::Truncated { .. } => "MULTIPART_TRUNCATED",
            MultipartError::TooManyParts { .. } => "TOO_MANY_PARTS",
            MultipartError::HeadTooLarge { .. } => "PART_HEADERS_TOO_LARGE",
            MultipartError::HeadInvalid { .. } => "PART_HEADER_INVALID",
        }
    }

    fn metadata(&self) -> HashMap<String, String> {
        self.part().map(|part| ("part".to_owned(), part.to_string())).into_iter().collect()
    }

    fn violations(&self) -> Vec<Violation> {
        let (field, description) = match self {
            MultipartError::BoundaryMissing => ("Content-Type", "it has no boundary"),
            MultipartError::BoundaryInvalid(problem) => ("Content-Type", *problem),
            MultipartError::HeadInvalid { error, .. } => (error.header, error.problem),
            _ => return Vec::new(),
        };
        vec![Violation { field: field.to_owned(), description: description.to_owned() }]
    }
}

impl From<MultipartError> for Status {
    fn from(error: MultipartError) -> Self {
        to_status(&error)
    }
}
