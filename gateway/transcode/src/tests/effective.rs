//! What counts of a message on the wire. Without values of another wire type, which protobuf takes for unknown fields and
//! the oracle rejects; and without values that later ones replace, into which ours does not look. Where the oracle
//! rejects the message and accepts what counts of it, one of these differences is why.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use super::random::wire_type;
use crate::wire::{WireError, WireReader, WireType};
use crate::{MAX_DEPTH, put_bytes};

/// A field of a message, or an entry of a map by its key.
struct Slot {
    field: FieldDescriptor,
    key: Option<Value>,
    /// Its last value, or what is merged to it, if it is a message.
    value: Vec<u8>,
}

/// What counts of a message that ours accepts.
pub(super) fn effective(message: &MessageDescriptor, wire: &[u8]) -> Result<Vec<u8>, WireError> {
    let (mut slots, mut out) = (Vec::<Slot>::new(), Vec::new());
    let mut reader = WireReader::new(wire);
    while !reader.is_at_end() {
        let start = reader.at();
        let (number, found) = reader.tag()?;
        let bytes = reader.bytes(number, found, MAX_DEPTH)?;
        let raw = &wire[start..reader.at()];
        let Some(field) = message.get_field(number) else {
            out.extend_from_slice(raw);
            continue;
        };
        let is_packed = field.is_list() && found == WireType::LengthDelimited;
        if wire_type(&field.kind()) != found && !is_packed {
            continue;
        }
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let value = effective(&entry, bytes)?;
                let key = key(&entry, &value);
                slots.retain(|slot| key.is_none() || slot.field != field || slot.key != key);
                slots.push(Slot { field, key, value });
            }
            Kind::Message(inner) if field.is_list() => {
                put_bytes(number, &effective(&inner, bytes)?, &mut out)
            }
            _ if field.is_list() => out.extend_from_slice(raw),
            kind => {
                let oneof = field.containing_oneof();
                slots.retain(|slot| {
                    oneof.is_none() || slot.field == field || slot.field.containing_oneof() != oneof
                });
                let known =
                    slots.iter().position(|slot| slot.field == field).map(|at| slots.remove(at).value);
                let value = match kind {
                    Kind::Message(_) => [&known.unwrap_or_default(), bytes].concat(),
                    _ => raw.to_vec(),
                };
                slots.push(Slot { field, key: None, value });
            }
        }
    }
    for Slot { field, value, .. } in slots {
        match field.kind() {
            Kind::Message(inner) if !field.is_map() => {
                put_bytes(field.number(), &effective(&inner, &value)?, &mut out)
            }
            Kind::Message(_) => put_bytes(field.number(), &value, &mut out),
            _ => out.extend(value),
        }
    }
    if message.full_name() == "google.protobuf.Any" { any(message, &out) } else { Ok(out) }
}

/// The key of an entry; none if it is malformed.
fn key(entry: &MessageDescriptor, effective: &[u8]) -> Option<Value> {
    let entry = DynamicMessage::decode(entry.clone(), effective).ok()?;
    Some(entry.get_field_by_number(1)?.into_owned())
}

/// What counts of an `Any`: what counts of the message within it, if its type is known.
fn any(message: &MessageDescriptor, effective: &[u8]) -> Result<Vec<u8>, WireError> {
    let Ok(found) = DynamicMessage::decode(message.clone(), effective) else { return Ok(effective.to_vec()) };
    let (url, value) = (found.get_field_by_number(1), found.get_field_by_number(2));
    let (Some(url), Some(value)) = (url, value) else { return Ok(effective.to_vec()) };
    let (Some(url), Some(value)) = (url.as_str(), value.as_bytes()) else { return Ok(effective.to_vec()) };
    let name = url.rsplit('/').next().unwrap_or(url);
    let Some(inner) = message.parent_pool().get_message_by_name(name) else { return Ok(effective.to_vec()) };
    let mut out = Vec::new();
    put_bytes(1, url.as_bytes(), &mut out);
    put_bytes(2, &self::effective(&inner, value)?, &mut out);
    Ok(out)
}
