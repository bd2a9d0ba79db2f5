//! Texts, and values of the expected type.

use std::io::Read;

use crate::error::{Fault, ParseError};
use crate::json::{Json, Value};

/// Longer than any text that is kept.
const TEXT_BYTES: usize = 1 << 10;

/// Reads the value of the member whose name was read last into `text`, if it is a short text.
pub(super) fn read<R: Read>(json: &mut Json<R>, text: &mut String) -> Result<(), ParseError> {
    match json.value()? {
        Value::String if json.text().len() <= TEXT_BYTES => {
            json.text().trim().clone_into(text);
            Ok(())
        }
        other => json.skip_content(other),
    }
}

/// Enters the value of the member whose name was read last, or the next element; false if it is null.
///
/// # Errors
///
/// A value of another type: what it counts for is not defined.
pub(super) fn enter<R: Read>(json: &mut Json<R>, expected: Value) -> Result<bool, ParseError> {
    let value = json.value()?;
    if value == expected || value == Value::Null {
        return Ok(value == expected);
    }
    let found = format!("found {}", shown(value));
    let expected = format!("{} of SDMX-JSON, or null", shown(expected));
    Err(json.error(Fault::MalformedJson { found, expected }))
}

/// The error of a member that was read before: which one counts is not defined.
pub(super) fn twice<R: Read>(json: &mut Json<R>) -> ParseError {
    let name = json.text().chars().take(40).collect::<String>();
    json.error(Fault::MalformedJson {
        found: format!("found the member {name:?} twice"),
        expected: "it once".to_owned(),
    })
}

fn shown(value: Value) -> &'static str {
    match value {
        Value::Object => "an object",
        Value::Array => "an array",
        Value::String => "a string",
        Value::Number => "a number",
        Value::Bool(_) => "a boolean",
        Value::Null => "null",
    }
}
