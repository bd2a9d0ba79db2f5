//! Values of types that are not messages, from JSON and from the text of a URL, to the wire without their tags.

use std::borrow::Cow;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};

use crate::json::{JsonReader, Result, number};
use crate::schema::{EnumId, Kind, Schema};
use crate::wire::{close_delimited, open_delimited, put_varint, zigzag};

/// Base64 as JSON may have it: with or without padding, and with any bits after the last byte.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Reads a value from JSON.
pub(crate) fn from_json(
    schema: &Schema,
    kind: Kind,
    json: &mut JsonReader<'_>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let first = json.peek();
    let start = json.clone();
    let written = match (kind, first) {
        (Kind::String, b'"') => {
            let start = open_delimited(out);
            json.string_into(out)?;
            close_delimited(start, out);
            Some(())
        }
        (Kind::Bool, b't') => json.literal("true").map(|()| out.push(1)).ok(),
        (Kind::Bool, b'f') => json.literal("false").map(|()| out.push(0)).ok(),
        (Kind::String | Kind::Bool, _) => None,
        (Kind::Bytes, b'"') => bytes(&json.string()?, out),
        (Kind::Bytes, _) => None,
        (Kind::Enum(id), b'"') => named(schema, id, &json.string()?, out),
        (kind, b'"') => {
            let text = json.string()?;
            number::is_number_or_name(&text).then(|| numeric(schema, kind, &text, out)).flatten()
        }
        (kind, b'-' | b'0'..=b'9') => numeric(schema, kind, json.number()?, out),
        _ => None,
    };
    written.ok_or_else(|| {
        *json = start;
        json.unexpected(expected(schema, kind))
    })
}

/// Reads a value from a text, such as that of a path or of a query. None if the text is no such value.
pub(crate) fn from_text(schema: &Schema, kind: Kind, text: &str, out: &mut Vec<u8>) -> Option<()> {
    match kind {
        Kind::String => {
            let start = open_delimited(out);
            out.extend_from_slice(text.as_bytes());
            close_delimited(start, out);
            Some(())
        }
        Kind::Bool => {
            out.push(match text {
                "true" => 1,
                "false" => 0,
                _ => return None,
            });
            Some(())
        }
        Kind::Bytes => bytes(text, out),
        Kind::Enum(id) if schema[id].number(text).is_some() => named(schema, id, text, out),
        kind => number::is_number_or_name(text).then(|| numeric(schema, kind, text, out)).flatten(),
    }
}

/// What a field of a type takes, for an error message.
pub(crate) fn expected(schema: &Schema, kind: Kind) -> Cow<'static, str> {
    Cow::Borrowed(match kind {
        Kind::Double | Kind::Float => "a number",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "an integer from -2^31 to 2^31 - 1",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "an integer from -2^63 to 2^63 - 1",
        Kind::Uint32 | Kind::Fixed32 => "an integer from 0 to 2^32 - 1",
        Kind::Uint64 | Kind::Fixed64 => "an integer from 0 to 2^64 - 1",
        Kind::Bool => "true or false",
        Kind::String => "a string",
        Kind::Bytes => "base64",
        Kind::Enum(id) => return Cow::Owned(schema[id].expectation()),
        Kind::Message(_) | Kind::Group(_) => "an object",
    })
}

fn numeric(schema: &Schema, kind: Kind, text: &str, out: &mut Vec<u8>) -> Option<()> {
    match kind {
        Kind::Double => out.extend_from_slice(&number::double(text)?.to_le_bytes()),
        Kind::Float => out.extend_from_slice(&number::float(text)?.to_le_bytes()),
        Kind::Int32 => put_varint(i64::from(integer::<i32>(text)?) as u64, out),
        Kind::Int64 => put_varint(integer::<i64>(text)? as u64, out),
        Kind::Uint32 => put_varint(u64::from(integer::<u32>(text)?), out),
        Kind::Uint64 => put_varint(integer(text)?, out),
        Kind::Sint32 => put_varint(zigzag(i64::from(integer::<i32>(text)?)), out),
        Kind::Sint64 => put_varint(zigzag(integer(text)?), out),
        Kind::Fixed32 => out.extend_from_slice(&integer::<u32>(text)?.to_le_bytes()),
        Kind::Fixed64 => out.extend_from_slice(&integer::<u64>(text)?.to_le_bytes()),
        Kind::Sfixed32 => out.extend_from_slice(&integer::<i32>(text)?.to_le_bytes()),
        Kind::Sfixed64 => out.extend_from_slice(&integer::<i64>(text)?.to_le_bytes()),
        Kind::Enum(id) => {
            let number = integer::<i32>(text).filter(|number| schema[id].accepts(*number))?;
            put_varint(i64::from(number) as u64, out);
        }
        Kind::Bool | Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Group(_) => return None,
    }
    Some(())
}

fn integer<T: TryFrom<i128>>(text: &str) -> Option<T> {
    T::try_from(number::integer(text)?).ok()
}

fn named(schema: &Schema, id: EnumId, name: &str, out: &mut Vec<u8>) -> Option<()> {
    put_varint(i64::from(schema[id].number(name)?) as u64, out);
    Some(())
}

fn bytes(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let is_url_safe = memchr::memchr2(b'-', b'_', text.as_bytes()).is_some();
    let engine = if is_url_safe { URL_SAFE } else { STANDARD };
    let start = open_delimited(out);
    out.resize(start + base64::decoded_len_estimate(text.len()), 0);
    let length = engine.decode_slice(text, &mut out[start..]).ok()?;
    out.truncate(start + length);
    close_delimited(start, out);
    Some(())
}
