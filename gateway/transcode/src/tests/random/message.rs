//! Random messages on the wire.

use prost_reflect::{Cardinality, FieldDescriptor, Kind, MessageDescriptor, Syntax};

use super::Entropy;
use crate::wire::{WireType, close_delimited, open_delimited, put_tag, put_varint};

/// A message on the wire, whose fields come in any order and as often as the wire format allows.
pub(in crate::tests) fn wire(
    entropy: &mut Entropy<'_>,
    message: &MessageDescriptor,
    depth: usize,
) -> Vec<u8> {
    let mut out = Vec::new();
    let fields: Vec<FieldDescriptor> = message.fields().collect();
    if well_known(entropy, message, depth, &mut out) || fields.is_empty() {
        return out;
    }
    for _ in 0..entropy.below(10) {
        if entropy.chance(16) {
            put_tag(77_777, WireType::Varint, &mut out);
            put_varint(entropy.number(), &mut out);
        }
        let field = &fields[entropy.below(fields.len())];
        put_field(entropy, field, depth, &mut out);
    }
    out
}

fn put_field(entropy: &mut Entropy<'_>, field: &FieldDescriptor, depth: usize, out: &mut Vec<u8>) {
    let kind = field.kind();
    if matches!(kind, Kind::Message(_)) && depth == 0 {
        return;
    }
    let is_packable = field.cardinality() == Cardinality::Repeated
        && !matches!(kind, Kind::Message(_) | Kind::String | Kind::Bytes);
    if is_packable && entropy.chance(2) {
        put_tag(field.number(), WireType::LengthDelimited, out);
        let start = open_delimited(out);
        for _ in 0..entropy.below(4) {
            put_value(entropy, &kind, depth, out);
        }
        close_delimited(start, out);
        return;
    }
    put_tag(field.number(), wire_type(&kind), out);
    put_value(entropy, &kind, depth, out);
}

fn put_value(entropy: &mut Entropy<'_>, kind: &Kind, depth: usize, out: &mut Vec<u8>) {
    match kind {
        Kind::Message(message) => {
            let message = wire(entropy, message, depth - 1);
            put_varint(message.len() as u64, out);
            out.extend_from_slice(&message);
        }
        Kind::String => {
            let text = entropy.text();
            put_varint(text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
        Kind::Bytes => {
            let bytes: Vec<u8> = (0..entropy.below(6)).map(|_| entropy.byte()).collect();
            put_varint(bytes.len() as u64, out);
            out.extend_from_slice(&bytes);
        }
        Kind::Double => {
            let number = entropy.number() as i64 as f64 / 64.0;
            out.extend_from_slice(&number.to_le_bytes());
        }
        Kind::Float => {
            let number = entropy.number() as i64 as f32 / 64.0;
            out.extend_from_slice(&number.to_le_bytes());
        }
        Kind::Enum(values) => {
            const VALUES: [i32; 4] = [0, 1, i32::MAX, -1];
            let known = VALUES[entropy.below(VALUES.len())];
            // The oracle takes unknown values also where the enum is closed.
            let is_open = values.parent_file().syntax() == Syntax::Proto3;
            let number = if is_open && entropy.chance(4) { entropy.number() as i32 } else { known };
            put_varint(number as i64 as u64, out);
        }
        Kind::Fixed64 | Kind::Sfixed64 => out.extend_from_slice(&entropy.number().to_le_bytes()),
        Kind::Fixed32 | Kind::Sfixed32 => out.extend_from_slice(&(entropy.number() as u32).to_le_bytes()),
        Kind::Bool => put_varint(u64::from(entropy.chance(2)), out),
        // Encoders extend negative numbers to 64 bits.
        Kind::Int32 => put_varint(entropy.number() as i32 as i64 as u64, out),
        Kind::Uint32 | Kind::Sint32 => put_varint(u64::from(entropy.number() as u32), out),
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 => put_varint(entropy.number(), out),
    }
}

/// Messages whose JSON does not have all values that the wire has, with values that it has.
fn well_known(
    entropy: &mut Entropy<'_>,
    message: &MessageDescriptor,
    depth: usize,
    out: &mut Vec<u8>,
) -> bool {
    let mut put = |number: u32, value: i64| {
        put_tag(number, WireType::Varint, out);
        put_varint(value as u64, out);
    };
    match message.full_name() {
        "google.protobuf.Timestamp" => {
            put(1, (entropy.number() % 253_402_300_800) as i64);
            put(2, (entropy.number() % 1_000_000_000) as i64);
        }
        "google.protobuf.Duration" => {
            let sign = if entropy.chance(2) { -1 } else { 1 };
            put(1, sign * (entropy.number() % 315_576_000_000) as i64);
            put(2, sign * (entropy.number() % 1_000_000_000) as i64);
        }
        "google.protobuf.FieldMask" => {
            for path in ["a", "b_c.d", "long_name_of_field"].iter().take(entropy.below(4)) {
                crate::put_bytes(1, path.as_bytes(), out);
            }
        }
        "google.protobuf.Any" => {
            let types = ["random.M0", "google.protobuf.Duration", "google.protobuf.StringValue"];
            let name = types[entropy.below(types.len())];
            let pool = message.parent_pool();
            let inner = pool.get_message_by_name(name).expect("it is in the pool");
            let value = if depth > 0 { wire(entropy, &inner, depth - 1) } else { Vec::new() };
            crate::put_bytes(1, format!("type.googleapis.com/{name}").as_bytes(), out);
            crate::put_bytes(2, &value, out);
        }
        // One of its fields must be set.
        "google.protobuf.Value" => {
            let fields: Vec<FieldDescriptor> = message.fields().collect();
            let scalars = if depth == 0 { 4 } else { 6 };
            let field = &fields[entropy.below(scalars)];
            put_field(entropy, field, depth, out);
        }
        _ => return false,
    }
    true
}

pub(in crate::tests) fn wire_type(kind: &Kind) -> WireType {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireType::SixtyFourBit,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireType::ThirtyTwoBit,
        Kind::String | Kind::Bytes | Kind::Message(_) => WireType::LengthDelimited,
        _ => WireType::Varint,
    }
}
