//! Values that are texts: a string, a number as written, or an object with one text for each language.

use std::io::Read;

use crate::error::ParseError;
use crate::excerpt::excerpt;
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

/// Bytes of text that a message about an error quotes from.
const WORDS_BYTES: usize = 200;

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

/// Appends the texts in a value to `words`, as many as a message quotes.
pub(super) fn words<R: Read>(json: &mut Json<R>, words: &mut String) -> Result<(), ParseError> {
    // The open objects and arrays within the value: whether each is an object.
    let mut open = Vec::new();
    loop {
        match json.value()? {
            Value::Object => open.push(true),
            Value::Array => open.push(false),
            Value::String | Value::Number if words.len() < WORDS_BYTES => {
                words.push(' ');
                words.push_str(json.text());
            }
            _ => {}
        }
        loop {
            let more = match open.last() {
                Some(true) => json.member()?,
                Some(false) => json.element()?,
                None => {
                    *words = excerpt(words);
                    return Ok(());
                }
            };
            if more {
                break;
            }
            open.pop();
        }
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
