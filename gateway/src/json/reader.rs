//! Parses JSON to a message; every error names field and position. Separate from the writer, because the errors are a
//! contract by themselves.

use std::collections::{BTreeMap, HashMap};

use dataflow_mesh::status::{Describe, Kind, Violation, to_status};
use prost_reflect::{DeserializeOptions, DynamicMessage, FieldDescriptor, MessageDescriptor, Value};
use serde::de::IgnoredAny;
use tonic::Status;

use crate::fields::message_of;

/// The start of prost-reflect's error for an unknown field; the quoted name follows.
const UNKNOWN_FIELD: &str = "unrecognized field name '";

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
        /// From 1; 0 before the first character of a line.
        column: usize,
    },
}

/// Reads the JSON of a message that stands at `at` in the request.
pub(crate) fn read(message: MessageDescriptor, json: &[u8], at: &str) -> Result<DynamicMessage, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let read = DynamicMessage::deserialize_with_options(message, tracked, &options);
    let read = read.and_then(|message| reader.end().map(|()| message));
    read.map_err(|error| {
        let path = track.path().to_string();
        let inside = if path == "." { "" } else { &path };
        // The path ends at the message whose field it is not.
        let said = error.to_string();
        let unknown = said.strip_prefix(UNKNOWN_FIELD).and_then(|rest| rest.split('\'').next());
        let steps = [at, inside, unknown.unwrap_or_default()];
        let steps: Vec<&str> = steps.into_iter().filter(|step| !step.is_empty()).collect();
        JsonError::new(&error, steps.join("."))
    })
}

/// Parses the JSON of one field. A field that is not a message is parsed as the only field of its message, since only
/// messages can be parsed.
pub(crate) fn read_field(field: &FieldDescriptor, json: &[u8]) -> Result<Value, JsonError> {
    if let Some(message) = message_of(field) {
        return read(message, json, field.name()).map(Value::Message);
    }
    // Exactly one value; otherwise trailing data would count as further fields.
    let one_value = serde_json::from_slice::<IgnoredAny>(json);
    one_value.map_err(|error| JsonError::new(&error, field.name().to_owned()))?;
    let wrapped = [b"{\"", field.json_name().as_bytes(), b"\":\n", json, b"}"].concat();
    let message = read(field.parent_message().clone(), &wrapped, "").map_err(JsonError::one_line_up)?;
    Ok(message.get_field(field).into_owned())
}

/// The fields of a message that its JSON, which was read before, has members for.
pub(crate) fn given(message: &MessageDescriptor, json: &[u8]) -> Vec<FieldDescriptor> {
    let members: BTreeMap<String, IgnoredAny> = serde_json::from_slice(json).unwrap_or_default();
    let field =
        |name: &String| message.get_field_by_json_name(name).or_else(|| message.get_field_by_name(name));
    members.keys().filter_map(field).collect()
}

// === impl JsonError ===

impl JsonError {
    fn new(error: &serde_json::Error, field: String) -> Self {
        let said = error.to_string();
        let problem = said.split(" at line ").next().unwrap_or_default().to_owned();
        Self::Invalid { field, problem, line: error.line(), column: error.column() }
    }

    /// The same mistake in a text that lacks the first line.
    fn one_line_up(self) -> Self {
        let Self::Invalid { field, problem, line, column } = self;
        Self::Invalid { field, problem, line: line - 1, column }
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
