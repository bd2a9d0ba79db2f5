//! Texts, and values of the expected type.

use std::io::Read;

use crate::error::{Fault, ParseError};
use crate::json::{Json, Value};

/// Longer than any text that is kept.
const TEXT_BYTES: usize = 1 << 10;

/// Enough of an error message to tell what is wrong.
const WORDS_BYTES: usize = 200;

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

/// Appends the texts and numbers of a value, at any depth.
pub(super) fn words<R: Read>(json: &mut Json<R>, words: &mut String) -> Result<(), ParseError> {
    let mut open = Vec::new();
    let mut value = json.value()?;
    loop {
        match value {
            Value::Object | Value::Array => open.push(value),
            Value::String | Value::Number if words.len() < WORDS_BYTES => {
                words.push(' ');
                words.extend(json.text().chars().take(WORDS_BYTES));
            }
            _ => {}
        }
        loop {
            let more = match open.last() {
                None => return Ok(()),
                Some(Value::Object) => json.member()?,
                Some(_) => json.element()?,
            };
            if more {
                break;
            }
            open.pop();
        }
        value = json.value()?;
    }
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
