//! The errors of the analysis service.

use std::collections::HashMap;
use std::time::Duration;

use dataflow_mesh::status::{Describe, Kind, Violation};
use dataflow_sdmx::ParseError;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The upload fails.
    #[error(transparent)]
    Upload(#[from] dataflow_uploads::Error),
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
}

/// Maps an error of the stream of an upload.
impl From<tonic::Status> for Error {
    fn from(received: tonic::Status) -> Self {
        Error::Upload(received.into())
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Error::Upload(dataflow_uploads::Error::Document(error))
    }
}

impl Describe for Error {
    fn domain(&self) -> &'static str {
        let foreign = match self {
            Error::Upload(error) => error.foreign_domain(),
            _ => None,
        };
        foreign.unwrap_or("dataflow.analysis.v1")
    }

    fn kind(&self) -> Kind {
        match self {
            Error::Upload(error) => error.kind(),
            Error::FieldInvalid { .. } => Kind::Invalid,
            Error::RulesetNotFound { .. } => Kind::NotFound,
            Error::RulesetUnusable { .. } => Kind::Precondition,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::Upload(error) => error.reason(),
            Error::RulesetNotFound { .. } => "RULESET_NOT_FOUND",
            Error::RulesetUnusable { .. } => "RULESET_UNUSABLE",
            Error::FieldInvalid { .. } => "FIELD_INVALID",
        }
    }

    fn metadata(&self) -> HashMap<String, String> {
        match self {
            Error::Upload(error) => error.metadata(),
            Error::RulesetNotFound { name } | Error::RulesetUnusable { name, .. } => {
                HashMap::from([("ruleset".to_owned(), name.clone())])
            }
            Error::FieldInvalid { .. } => HashMap::new(),
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Error::Upload(error) => error.violations(),
            Error::FieldInvalid { field, problem } => {
                vec![Violation { field: field.clone(), description: problem.clone() }]
            }
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Upload(error) => error.retry_after(),
            _ => None,
        }
    }
}
