//! The error of the update mask of a PATCH without one, which is made of the members of its body.

use dataflow_mesh::status::{Describe, Kind, Violation, to_status};
use tonic::Status;

/// Why there is no update mask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum MaskError {
    /// The body has no mutable field.
    #[error("{field} has no field to change")]
    NothingToChange {
        /// The field of the request that the body is.
        field: String,
    },
}

// === impl MaskError ===

impl Describe for MaskError {
    fn domain(&self) -> &'static str {
        "dataflow.gateway.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            MaskError::NothingToChange { .. } => Kind::Invalid,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            MaskError::NothingToChange { .. } => "NOTHING_TO_CHANGE",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        let Self::NothingToChange { field } = self;
        vec![Violation { field: field.clone(), description: "must have a field to change".to_owned() }]
    }
}

impl From<MaskError> for Status {
    fn from(error: MaskError) -> Self {
        to_status(&error)
    }
}
