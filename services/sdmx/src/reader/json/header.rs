//! The header of a message: `meta`, or `header` in drafts.

use std::io::Read;

use super::document::{self, Evidence};
use super::text;
use crate::error::ParseError;
use crate::json::{Json, Value};
use crate::reader::Header;
use crate::reader::flow::LANGUAGE_BYTES;
use crate::reader::header::HEADER_TEXT_BYTES;

/// Reads the value of the member whose name was read last. The first of the content languages is the main one.
pub(super) fn read<R: Read>(
    json: &mut Json<R>,
    header: &mut Header,
    language: &mut String,
    evidence: &mut Evidence,
) -> Result<(), ParseError> {
    let value = json.value()?;
    if value != Value::Object {
        return json.skip_content(value);
    }
    while json.member()? {
        match json.text() {
            "id" => set(json, &mut header.id)?,
            "prepared" => set(json, &mut header.prepared)?,
            "sender" => sender(json, header)?,
            "schema" => match json.value()? {
                Value::String => document::check_schema(json, evidence)?,
                other => json.skip_content(other)?,
            },
            "contentLanguages" => languages(json, language)?,
            _ => json.skip()?,
        }
    }
    Ok(())
}

/// Reads the sender, or the first of several.
fn sender<R: Read>(json: &mut Json<R>, header: &mut Header) -> Result<(), ParseError> {
    let value = json.value()?;
    if value != Value::Object {
        return json.skip_content(value);
    }
    while json.member()? {
        match json.text() {
            "id" => set(json, &mut header.sender)?,
            _ => json.skip()?,
        }
    }
    Ok(())
}

fn languages<R: Read>(json: &mut Json<R>, language: &mut String) -> Result<(), ParseError> {
    let value = json.value()?;
    if value != Value::Array {
        return json.skip_content(value);
    }
    while json.element()? {
        let is_text = text::one(json)? == text::Text::One;
        if is_text && language.is_empty() && json.text().len() <= LANGUAGE_BYTES {
            language.push_str(json.text().trim());
        }
    }
    Ok(())
}

/// Sets a field to a text, unless it is longer than any.
fn set<R: Read>(json: &mut Json<R>, field: &mut String) -> Result<(), ParseError> {
    if text::one(json)? == text::Text::One && json.text().len() <= HEADER_TEXT_BYTES {
        json.text().trim().clone_into(field);
    }
    Ok(())
}
