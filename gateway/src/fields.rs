//! Fields of messages: their types, the field of a dotted path, and values parsed from text. Separate from the schema,
//! because templates, queries, JSON bodies and the schema all need it.

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde::de::IntoDeserializer;
use serde::de::value::{Error as TextError, StrDeserializer};

/// The message that names fields.
pub(crate) const FIELD_MASK: &str = "google.protobuf.FieldMask";

/// Maximum depth of a path: message types may be recursive, so the length of the path would be the only bound.
const MAX_DEPTH: usize = 32;

/// A path that leads to no field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} has no field {name:?}")]
pub(crate) struct UnknownField {
    message: String,
    name: String,
}

/// Why a text is not a value of a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {expected}")]
pub(crate) struct InvalidText {
    found: String,
    expected: String,
}

/// The message type of a field, if it has one.
pub(crate) fn message_of(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(message) if !field.is_list() && !field.is_map() => Some(message),
        _ => None,
    }
}

/// The fields that a dotted path names, outermost first. Each is named as in the `.proto` file or as in JSON.
pub(crate) fn resolve(message: &MessageDescriptor, path: &str) -> Result<Vec<FieldDescriptor>, UnknownField> {
    let mut fields: Vec<FieldDescriptor> = Vec::new();
    let mut inside = Some(message.clone());
    for name in path.split('.') {
        let unknown = |message: &str| UnknownField { message: message.to_owned(), name: name.to_owned() };
        let Some(message) = inside.take().filter(|_| fields.len() < MAX_DEPTH) else {
            return Err(unknown(fields.last().map_or("", |field| field.name())));
        };
        let field = message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name));
        let field = field.ok_or_else(|| unknown(message.full_name()))?;
        inside = message_of(&field);
        fields.push(field);
    }
    Ok(fields)
}

/// Whether a field's value, or each of a list's, can be written as one text.
pub(crate) fn is_scalar(field: &FieldDescriptor) -> bool {
    match field.kind() {
        Kind::Message(message) => is_text(&message),
        _ => true,
    }
}

/// Whether the JSON of a message is a text, by the mapping of proto3.
fn is_text(message: &MessageDescriptor) -> bool {
    let named = ["google.protobuf.Timestamp", "google.protobuf.Duration", FIELD_MASK];
    named.contains(&message.full_name()) || wrapped(message).is_some()
}

/// The field of a message that wraps one value, so that it may be absent.
fn wrapped(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    let name = message.full_name().strip_prefix("google.protobuf.")?;
    let structs = ["Value", "ListValue", "NullValue"];
    (name.ends_with("Value") && !structs.contains(&name)).then(|| message.get_field(1)).flatten()
}

/// Sets the field at the end of `path`; appends to a list. False if a singular field is already set.
pub(crate) fn set(
    message: &mut DynamicMessage,
    path: &[FieldDescriptor],
    text: &str,
) -> Result<bool, InvalidText> {
    let Some((field, outer)) = path.split_last() else { return Ok(true) };
    let mut inside = message;
    for field in outer {
        inside = inside.get_field_mut(field).as_message_mut().expect("resolve goes through messages only");
    }
    let value = value(&field.kind(), text)?;
    if field.is_list() {
        inside.get_field_mut(field).as_list_mut().expect("it is a list").push(value);
        return Ok(true);
    }
    // A field without presence that was set to its default does not show: a second value replaces it unseen.
    if inside.has_field(field) {
        return Ok(false);
    }
    inside.set_field(field, value);
    Ok(true)
}

/// Empties the field at the end of a path, if it is there.
pub(crate) fn clear(message: &mut DynamicMessage, path: &[FieldDescriptor]) {
    let Some((field, outer)) = path.split_last() else { return };
    let mut inside = message;
    for field in outer {
        if !inside.has_field(field) {
            return;
        }
        inside = inside.get_field_mut(field).as_message_mut().expect("resolve goes through messages only");
    }
    inside.clear_field(field);
}

/// A value parsed from its text in a URL, by the JSON mapping of proto3.
fn value(kind: &Kind, text: &str) -> Result<Value, InvalidText> {
    let invalid = |expected: &str| InvalidText { found: excerpt(text), expected: expected.to_owned() };
    Ok(match kind {
        Kind::String => Value::String(text.to_owned()),
        Kind::Bool => match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(invalid("true or false")),
        },
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            Value::I32(text.parse().map_err(|_| invalid("an integer from -2^31 to 2^31 - 1"))?)
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            Value::I64(text.parse().map_err(|_| invalid("an integer from -2^63 to 2^63 - 1"))?)
        }
        Kind::Uint32 | Kind::Fixed32 => {
            Value::U32(text.parse().map_err(|_| invalid("an integer from 0 to 2^32 - 1"))?)
        }
        Kind::Uint64 | Kind::Fixed64 => {
            Value::U64(text.parse().map_err(|_| invalid("an integer from 0 to 2^64 - 1"))?)
        }
        Kind::Float => Value::F32(text.parse().map_err(|_| invalid("a number"))?),
        Kind::Double => Value::F64(text.parse().map_err(|_| invalid("a number"))?),
        Kind::Bytes => Value::Bytes(base64(text).ok_or_else(|| invalid("base64"))?.into()),
        Kind::Enum(values) => {
            let by_number = || text.parse().ok().and_then(|number| values.get_value(number));
            let value = values.get_value_by_name(text).or_else(by_number);
            Value::EnumNumber(value.ok_or_else(|| invalid(&names(values)))?.number())
        }
        Kind::Message(message) => {
            if let Some(field) = wrapped(message) {
                let mut wrapper = DynamicMessage::new(message.clone());
                wrapper.set_field(&field, value(&field.kind(), text)?);
                return Ok(Value::Message(wrapper));
            }
            if message.full_name() == FIELD_MASK {
                let paths = text.split(',').filter(|path| !path.is_empty()).map(snake_case);
                return Ok(Value::Message(mask(message, paths)));
            }
            let text: StrDeserializer<'_, TextError> = text.into_deserializer();
            let value = DynamicMessage::deserialize(message.clone(), text);
            Value::Message(value.map_err(|_| invalid(&format!("a {}", message.full_name())))?)
        }
    })
}

/// A field mask of these paths.
pub(crate) fn mask(message: &MessageDescriptor, paths: impl IntoIterator<Item = String>) -> DynamicMessage {
    let mut mask = DynamicMessage::new(message.clone());
    mask.set_field_by_name("paths", Value::List(paths.into_iter().map(Value::String).collect()));
    mask
}

/// A path as JSON or the `.proto` file spells it, as the latter does.
fn snake_case(path: &str) -> String {
    let mut snake = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// The values of an enum, for an error message.
fn names(values: &prost_reflect::EnumDescriptor) -> String {
    let names: Vec<String> = values.values().skip(1).take(20).map(|value| value.name().to_owned()).collect();
    format!("one of {}", names.join(", "))
}

/// Bytes as JSON writes them: base64, standard or for URLs, with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    const ANY_PADDING: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let standard = text.replace('-', "+").replace('_', "/");
    GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING).decode(standard).ok()
}

fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}
