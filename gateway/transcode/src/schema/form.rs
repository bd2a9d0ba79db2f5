//! The well-known types, whose JSON is not an object with a member for each field
//! (protobuf.dev/programming-guides/json).

use super::{Cardinality, Field, Kind};

/// How the JSON of a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// An object with a member for each field.
    Object,
    /// A text of RFC 3339.
    Timestamp,
    /// A text of seconds.
    Duration,
    /// A text of paths, separated by commas.
    FieldMask,
    /// An object of any members.
    Struct,
    /// Any JSON.
    Value,
    /// An array of any JSON.
    ListValue,
    /// The value that it wraps.
    Wrapper(Kind),
    /// An object with the member `@type` and those of its message.
    Any,
    /// An object without members. Within an `Any` it has the form of a well-known type.
    Empty,
}

impl Form {
    /// The form of the message of this name, if its fields are those of the well-known type.
    pub(super) fn of(full_name: &str, fields: &[Field]) -> Self {
        let Some(name) = full_name.strip_prefix("google.protobuf.") else { return Form::Object };
        let is = |expected: &[(u32, Kind)]| {
            fields.len() == expected.len()
                && fields.iter().zip(expected).all(|(field, (number, kind))| {
                    field.number == *number
                        && field.kind == *kind
                        && field.cardinality == Cardinality::Singular
                })
        };
        let one = match fields {
            [field] if field.number == 1 => Some((field.kind, field.cardinality)),
            _ => None,
        };
        match name {
            "Timestamp" if is(&[(1, Kind::Int64), (2, Kind::Int32)]) => Form::Timestamp,
            "Duration" if is(&[(1, Kind::Int64), (2, Kind::Int32)]) => Form::Duration,
            "FieldMask" if matches!(one, Some((Kind::String, Cardinality::Repeated { .. }))) => {
                Form::FieldMask
            }
            "Struct" if matches!(one, Some((Kind::Message(_), Cardinality::Map { key: Kind::String }))) => {
                Form::Struct
            }
            "ListValue" if matches!(one, Some((Kind::Message(_), Cardinality::Repeated { .. }))) => {
                Form::ListValue
            }
            "Value" if is_value(fields) => Form::Value,
            "Any" if is(&[(1, Kind::String), (2, Kind::Bytes)]) => Form::Any,
            "Empty" if fields.is_empty() => Form::Empty,
            _ => match wrapped(name) {
                Some(kind) if is(&[(1, kind)]) => Form::Wrapper(kind),
                _ => Form::Object,
            },
        }
    }
}

/// Null, number, text, flag, object, array.
fn is_value(fields: &[Field]) -> bool {
    let kinds = fields.iter().map(|field| field.kind);
    let are_numbered = fields.iter().zip(1..).all(|(field, number)| field.number == number);
    let kinds: Vec<Kind> = kinds.collect();
    are_numbered
        && matches!(
            kinds[..],
            [Kind::Enum(_), Kind::Double, Kind::String, Kind::Bool, Kind::Message(_), Kind::Message(_)]
        )
}

fn wrapped(name: &str) -> Option<Kind> {
    Some(match name {
        "DoubleValue" => Kind::Double,
        "FloatValue" => Kind::Float,
        "Int64Value" => Kind::Int64,
        "UInt64Value" => Kind::Uint64,
        "Int32Value" => Kind::Int32,
        "UInt32Value" => Kind::Uint32,
        "BoolValue" => Kind::Bool,
        "StringValue" => Kind::String,
        "BytesValue" => Kind::Bytes,
        _ => return None,
    })
}
