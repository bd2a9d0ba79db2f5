//! Random messages on the wire: fields in any order, as often as the wire allows, packed or not whatever the
//! declaration says, with unknown ones between them.

use fastrand::Rng;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::{Field, File, Kind, Shape, VALUES, number, text};

impl File {
    pub(super) fn wire(&self, message: usize, depth: usize, rng: &mut Rng) -> Vec<u8> {
        let (fields, mut out) = (&self.messages[message], Vec::new());
        for _ in 0..rng.usize(..10) {
            if rng.u8(..16) == 0 {
                encode_key(77_777, WireType::Varint, &mut out);
                encode_varint(rng.u64(..), &mut out);
            }
            let field = &fields[rng.usize(..fields.len())];
            if depth > 0 || !matches!(field.kind, Kind::Message(_)) {
                self.put_field(field, depth, rng, &mut out);
            }
        }
        out
    }

    fn put_field(&self, field: &Field, depth: usize, rng: &mut Rng, out: &mut Vec<u8>) {
        let number = u32::try_from(field.number).unwrap();
        match (field.shape, field.kind) {
            (Shape::Map(key), kind) => {
                let mut entry = Vec::new();
                // Either may be absent.
                if rng.u8(..8) > 0 {
                    self.put_tagged(1, Kind::Scalar(key), depth, rng, &mut entry);
                }
                if rng.u8(..8) > 0 {
                    self.put_tagged(2, kind, depth, rng, &mut entry);
                }
                put_delimited(number, &entry, out);
            }
            (Shape::Repeated, kind) if wire_type(kind) != WireType::LengthDelimited && rng.bool() => {
                let mut values = Vec::new();
                (0..rng.usize(..4)).for_each(|_| put_scalar(kind, rng, &mut values));
                put_delimited(number, &values, out);
            }
            (_, Kind::Message(message)) if field.is_delimited => {
                encode_key(number, WireType::StartGroup, out);
                out.extend(self.wire(message, depth - 1, rng));
                encode_key(number, WireType::EndGroup, out);
            }
            (_, kind) => self.put_tagged(number, kind, depth, rng, out),
        }
    }

    fn put_tagged(&self, number: u32, kind: Kind, depth: usize, rng: &mut Rng, out: &mut Vec<u8>) {
        match kind {
            Kind::Message(message) => put_delimited(number, &self.wire(message, depth - 1, rng), out),
            Kind::Scalar("string") => put_delimited(number, text(rng).as_bytes(), out),
            Kind::Scalar("bytes") => {
                let bytes: Vec<u8> = (0..rng.usize(..5)).map(|_| rng.u8(..)).collect();
                put_delimited(number, &bytes, out);
            }
            _ => {
                encode_key(number, wire_type(kind), out);
                put_scalar(kind, rng, out);
            }
        }
    }
}

fn put_delimited(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_scalar(kind: Kind, rng: &mut Rng, out: &mut Vec<u8>) {
    let value = number(rng);
    match kind {
        Kind::Scalar("fixed32" | "sfixed32") => out.extend((value as u32).to_le_bytes()),
        Kind::Scalar("fixed64" | "sfixed64") => out.extend(value.to_le_bytes()),
        Kind::Scalar("float") => out.extend((value as f32 / 64.0).to_le_bytes()),
        Kind::Scalar("double") => out.extend((value as f64 / 64.0).to_le_bytes()),
        Kind::Scalar("bool") => encode_varint(value as u64 & 1, out),
        Kind::Scalar("int32") => encode_varint(i64::from(value as i32) as u64, out),
        Kind::Scalar("uint32" | "sint32") => encode_varint((value as u32).into(), out),
        Kind::Enum(_) => {
            let known = VALUES[rng.usize(..VALUES.len())].1;
            let value = if rng.u8(..4) == 0 { value as i32 } else { known };
            encode_varint(i64::from(value) as u64, out);
        }
        _ => encode_varint(value as u64, out),
    }
}

fn wire_type(kind: Kind) -> WireType {
    match kind {
        Kind::Scalar("fixed32" | "sfixed32" | "float") => WireType::ThirtyTwoBit,
        Kind::Scalar("fixed64" | "sfixed64" | "double") => WireType::SixtyFourBit,
        Kind::Scalar("string" | "bytes") | Kind::Message(_) => WireType::LengthDelimited,
        _ => WireType::Varint,
    }
}
