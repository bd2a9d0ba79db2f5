//! Values that are one text, also messages that are one text in JSON.

use std::borrow::Cow;

use crate::mask;
use crate::scalar;
use crate::schema::{Cardinality, Field, Form, Kind, Schema};
use crate::time;
use crate::wire::{WireType, is_default, put_tag, put_varint};

/// Whether a value of this type can be one text.
pub(super) fn is_settable(schema: &Schema, kind: Kind) -> bool {
    kind.message().is_none_or(|id| schema[id].is_scalar())
}

/// Writes a value of a field, with its tag; nothing for the default of a singular field without presence. None if the
/// text is no such value.
pub(super) fn put_field(schema: &Schema, field: &Field, text: &str, out: &mut Vec<u8>) -> Option<()> {
    if let Some(id) = field.kind().message() {
        let mut written = None;
        super::put_message(field, out, |out| written = put_message(schema, schema[id].form, text, out));
        return written;
    }
    put_tag(field.number(), field.kind().wire_type(), out);
    let tag = out.len();
    scalar::from_text(schema, field.kind(), text, out)?;
    let is_singular = field.cardinality() == Cardinality::Singular;
    if is_singular && !field.has_presence && is_default(&out[tag..]) {
        out.clear();
    }
    Some(())
}

/// What a value of this type is, for an error message.
pub(super) fn expected(schema: &Schema, kind: Kind) -> Cow<'static, str> {
    let Some(id) = kind.message() else { return scalar::expected(schema, kind) };
    expected_message(schema, schema[id].form)
}

/// Writes the content of a message that is one text in JSON.
pub(crate) fn put_message(schema: &Schema, form: Form, text: &str, out: &mut Vec<u8>) -> Option<()> {
    match form {
        Form::Timestamp => put_time(time::parse_timestamp(text)?, out),
        Form::Duration => put_time(time::parse_duration(text)?, out),
        Form::FieldMask => {
            for path in text.split(',').filter(|path| !path.is_empty()) {
                // A path of a URL may be in the case of the `.proto` file, as people write it.
                let path = mask::snake_case(path).unwrap_or_else(|| path.to_owned());
                super::put_bytes(1, path.as_bytes(), out);
            }
        }
        Form::Wrapper(kind) => {
            let start = out.len();
            put_tag(1, kind.wire_type(), out);
            let value = out.len();
            scalar::from_text(schema, kind, text, out)?;
            if is_default(&out[value..]) {
                out.truncate(start);
            }
        }
        _ => return None,
    }
    Some(())
}

/// What a message that is one text takes, for an error message.
pub(crate) fn expected_message(schema: &Schema, form: Form) -> Cow<'static, str> {
    Cow::Borrowed(match form {
        Form::Timestamp => "a time of RFC 3339 from the year 1 to 9999, such as 2024-02-29T12:30:00Z",
        Form::Duration => "a number of seconds with an s, such as 1.5s",
        Form::FieldMask => "a list of paths in camel case, separated by commas",
        Form::Wrapper(kind) => return scalar::expected(schema, kind),
        _ => "an object",
    })
}

/// Writes seconds and nanoseconds.
pub(crate) fn put_time((seconds, nanos): (i64, i32), out: &mut Vec<u8>) {
    for (number, value) in [(1, seconds), (2, i64::from(nanos))] {
        if value != 0 {
            put_tag(number, WireType::Varint, out);
            put_varint(value as u64, out);
        }
    }
}
