//! Query strings: names and values, decoded as forms (`application/x-www-form-urlencoded`), and the errors of
//! parameters. Separate from the dialects, because all of them parse queries in the same way.

use std::borrow::Cow;

use dataflow_mesh::status::{Describe, Kind, Violation, to_status};
use percent_encoding::percent_decode_str;
use tonic::Status;

/// The error of a parameter of the path or the query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParameterError {
    /// The request has no field of this name, or it is set elsewhere.
    #[error("there is no query parameter {name:?}; this path takes {known}")]
    Unknown {
        /// As it was sent.
        name: String,
        /// The names of those that there are.
        known: String,
    },
    /// A value is invalid for its field.
    #[error("{name}: {problem}")]
    Invalid {
        /// The field as it was sent.
        name: String,
        /// The error.
        problem: String,
    },
}

/// Names and values of a query, still encoded.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pieces = query.split('&').filter(|piece| !piece.is_empty());
    pieces.map(|piece| piece.split_once('=').unwrap_or((piece, "")))
}

/// A decoded name or value; invalid UTF-8 is rejected.
pub(crate) fn decode(text: &str) -> Result<String, ParameterError> {
    let decoded = percent_decode_str(&spaced(text)).decode_utf8().map(Cow::into_owned);
    decoded.map_err(|_| ParameterError::invalid(text, &"it is not UTF-8 once decoded"))
}

/// A decoded name or value; invalid UTF-8 becomes U+FFFD.
pub(crate) fn decode_lossy(text: &str) -> String {
    percent_decode_str(&spaced(text)).decode_utf8_lossy().into_owned()
}

fn spaced(text: &str) -> String {
    text.replace('+', " ")
}

// === impl ParameterError ===

impl ParameterError {
    /// A parameter whose value is wrong.
    pub(crate) fn invalid(name: &str, problem: &impl ToString) -> Self {
        Self::Invalid { name: name.to_owned(), problem: problem.to_string() }
    }
}

impl Describe for ParameterError {
    fn domain(&self) -> &'static str {
        "dataflow.gateway.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            ParameterError::Unknown { .. } | ParameterError::Invalid { .. } => Kind::Invalid,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            ParameterError::Unknown { .. } => "PARAMETER_UNKNOWN",
            ParameterError::Invalid { .. } => "PARAMETER_INVALID",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        let (field, description) = match self {
            ParameterError::Unknown { name, .. } => (name.clone(), "there is no such field".to_owned()),
            ParameterError::Invalid { name, problem } => (name.clone(), problem.clone()),
        };
        vec![Violation { field, description }]
    }
}

impl From<ParameterError> for Status {
    fn from(error: ParameterError) -> Self {
        to_status(&error)
    }
}
