//! The error of a JSON body, which names field and position.

use std::collections::HashMap;

use dataflow_mesh::status::{Describe, Kind, Violation, to_status};
use dataflow_transcode::JsonToWireError;
use tonic::Status;

/// Why a body is not the JSON of its message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    /// It is not JSON, or not that of the message.
    #[error("{problem} at line {line}, column {column} of the body")]
    Invalid {
        /// The field's path, empty for the body as a whole.
        field: String,
        /// The error.
        problem: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
    },
}

// === impl JsonError ===

impl JsonError {
    pub(crate) fn new(error: &JsonToWireError, json: &[u8]) -> Self {
        let (line, column) = error.position(json);
        Self::Invalid { field: error.field(), problem: error.to_string(), line, column }
    }
}

impl Describe for JsonError {
    fn domain(&self) -> &'static str {
        "dataflow.gateway.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            JsonError::Invalid { .. } => Kind::Invalid,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            JsonError::Invalid { .. } => "JSON_INVALID",
        }
    }

    fn metadata(&self) -> HashMap<String, String> {
        let Self::Invalid { line, column, .. } = self;
        let facts = [("line", line), ("column", column)];
        facts.into_iter().map(|(key, value)| (key.to_owned(), value.to_string())).collect()
    }

    fn violations(&self) -> Vec<Violation> {
        let Self::Invalid { field, problem, .. } = self;
        let is_named = !field.is_empty();
        let violation = is_named.then(|| Violation { field: field.clone(), description: problem.clone() });
        violation.into_iter().collect()
    }
}

impl From<JsonError> for Status {
    fn from(error: JsonError) -> Self {
        to_status(&error)
    }
}
