//! The update mask of a PATCH without one: the fields in its body change. Separate from the request, because it parses
//! the body a second time, for the members that are present.

use dataflow_mesh::status::{Describe, Kind, Violation, to_status};
use prost_reflect::{DynamicMessage, FieldDescriptor, Value};
use tonic::Status;

use super::etag::ETAG;
use crate::fields::{self, message_of};
use crate::json::reader;

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

/// Fills an empty mask. The fields that identify the resource and its version are not changes.
pub(super) fn fill(
    mask: &FieldDescriptor,
    body: &FieldDescriptor,
    in_path: &[Vec<FieldDescriptor>],
    json: &[u8],
    message: &mut DynamicMessage,
) -> Result<(), MaskError> {
    let (Some(kind), Some(resource)) = (message_of(mask), message_of(body)) else { return Ok(()) };
    let is_empty = |mask: &Value| mask.as_message().is_none_or(|mask| mask.fields().next().is_none());
    if !is_empty(&message.get_field(mask)) {
        return Ok(());
    }
    let names_it =
        |field: &FieldDescriptor| in_path.iter().any(|path| path[..] == [body.clone(), field.clone()]);
    let changed = reader::given(&resource, json).into_iter();
    let changed = changed.filter(|field| field.name() != ETAG && !names_it(field));
    let paths: Vec<String> = changed.map(|field| field.name().to_owned()).collect();
    if paths.is_empty() {
        return Err(MaskError::NothingToChange { field: body.name().to_owned() });
    }
    message.set_field(mask, Value::Message(fields::mask(&kind, paths)));
    Ok(())
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
