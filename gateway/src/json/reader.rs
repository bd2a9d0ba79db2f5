//! JSON in, a message out; every mistake named by its field and its place.

use std::collections::BTreeMap;

use prost_reflect::{DeserializeOptions, DynamicMessage, FieldDescriptor, MessageDescriptor, Value};
use serde::de::IgnoredAny;

use crate::error::Error;
use crate::fields::message_of;

/// How prost-reflect begins to say that a message lacks a field; its name follows in quotes.
const UNKNOWN_FIELD: &str = "unrecognized field name '";

/// Reads the JSON of a message that stands at `at` in the request.
pub(crate) fn read(message: MessageDescriptor, json: &[u8], at: &str) -> Result<DynamicMessage, Error> {
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
        invalid(&error, steps.join("."))
    })
}

fn invalid(error: &serde_json::Error, field: String) -> Error {
    let said = error.to_string();
    let problem = said.split(" at line ").next().unwrap_or_default().to_owned();
    Error::JsonInvalid { field, problem, line: error.line(), column: error.column() }
}

/// Reads the JSON of one field. One that is no message is read as the only field of its message, since only messages
/// can be read.
pub(crate) fn read_field(field: &FieldDescriptor, json: &[u8]) -> Result<Value, Error> {
    if let Some(message) = message_of(field) {
        return read(message, json, field.name()).map(Value::Message);
    }
    // One value and no more, or what follows it would pass for further fields.
    serde_json::from_slice::<IgnoredAny>(json).map_err(|error| invalid(&error, field.name().to_owned()))?;
    let wrapped = [b"{\"", field.json_name().as_bytes(), b"\":\n", json, b"}"].concat();
    let message = read(field.parent_message().clone(), &wrapped, "").map_err(|error| match error {
        Error::JsonInvalid { field, problem, line, column } => {
            Error::JsonInvalid { field, problem, line: line - 1, column }
        }
        other => other,
    })?;
    Ok(message.get_field(field).into_owned())
}

/// The fields of a message that its JSON, which was read before, has members for.
pub(crate) fn given(message: &MessageDescriptor, json: &[u8]) -> Vec<FieldDescriptor> {
    let members: BTreeMap<String, IgnoredAny> = serde_json::from_slice(json).unwrap_or_default();
    let field =
        |name: &String| message.get_field_by_json_name(name).or_else(|| message.get_field_by_name(name));
    members.keys().filter_map(field).collect()
}
