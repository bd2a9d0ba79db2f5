//! Values that are texts: a string, a number as written, or an object with one text for each language.

use std::io::Read;

use crate::error::ParseError;
use crate::json::{Json, Value};

/// What is written where a text is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// One text, which is [`Json::text`].
    One,
    /// An object, whose members follow.
    ByLanguage,
    /// `null`, which counts as absent.
    Absent,
    /// Something else, which was passed.
    Other(Value),
}

/// Reads the value of a member that has one text.
pub(super) fn one<R: Read>(json: &mut Json<R>) -> Result<Text, ParseError> {
    match one_or_more(json)? {
        Text::ByLanguage => json.skip_content(Value::Object).map(|()| Text::Other(Value::Object)),
        other => Ok(other),
    }
}

/// Reads the value of a member that may have a text for each language.
pub(super) fn one_or_more<R: Read>(json: &mut Json<R>) -> Result<Text, ParseError> {
    match json.value()? {
        Value::String | Value::Number => Ok(Text::One),
        Value::Object => Ok(Text::ByLanguage),
        Value::Null => Ok(Text::Absent),
        other => json.skip_content(other).map(|()| Text::Other(other)),
    }
}

/// A value, for a message.
pub(super) fn shown(value: Value) -> &'static str {
    match value {
        Value::Object => "an object",
        Value::Array => "an array",
        Value::String => "a string",
        Value::Number => "a number",
        Value::Bool(_) => "a boolean",
        Value::Null => "null",
    }
}
