//! Values that are one text, number or literal in JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{JsonWriter, ReplyProblem, Result};
use crate::schema::{EnumId, Kind};
use crate::wire::{WireReader, unzigzag};

impl JsonWriter<'_> {
    /// A value of a type that is not a message, from its bytes.
    pub(super) fn scalar(&mut self, kind: Kind, bytes: &[u8]) -> Result<()> {
        match kind {
            Kind::String => {
                let text = std::str::from_utf8(bytes).map_err(|_| ReplyProblem::Utf8)?;
                self.text(text);
            }
            Kind::Bytes => self.bytes(bytes),
            kind => self.number(kind, &mut WireReader::new(bytes))?,
        }
        Ok(())
    }

    /// The next number, flag or enum value.
    pub(super) fn number(&mut self, kind: Kind, reader: &mut WireReader<'_>) -> Result<()> {
        // As protobuf does, integers of 32 bits are cut out of longer ones, and integers of 64 bits are texts, since
        // many readers of JSON know only doubles.
        match kind {
            Kind::Double => self.double(f64::from_le_bytes(reader.fixed64()?)),
            Kind::Float => self.float(f32::from_le_bytes(reader.fixed32()?)),
            Kind::Int32 => self.integer(reader.varint()? as i32),
            Kind::Uint32 => self.integer(reader.varint()? as u32),
            Kind::Sint32 => self.integer(unzigzag(reader.varint()? & 0xffff_ffff) as i32),
            Kind::Fixed32 => self.integer(u32::from_le_bytes(reader.fixed32()?)),
            Kind::Sfixed32 => self.integer(i32::from_le_bytes(reader.fixed32()?)),
            Kind::Int64 => self.quoted_integer(reader.varint()? as i64),
            Kind::Uint64 => self.quoted_integer(reader.varint()?),
            Kind::Sint64 => self.quoted_integer(unzigzag(reader.varint()?)),
            Kind::Fixed64 => self.quoted_integer(u64::from_le_bytes(reader.fixed64()?)),
            Kind::Sfixed64 => self.quoted_integer(i64::from_le_bytes(reader.fixed64()?)),
            Kind::Bool => self.literal(if reader.varint()? != 0 { "true" } else { "false" }),
            Kind::Enum(id) => {
                let number = reader.varint()? as i32;
                self.enumerated(id, number);
            }
            Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Group(_) => {
                unreachable!("a value of this type is delimited by its length")
            }
        }
        Ok(())
    }

    /// The value of an absent field without presence.
    pub(super) fn default(&mut self, kind: Kind) {
        match kind {
            Kind::Double | Kind::Float => self.literal("0.0"),
            Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Fixed32 | Kind::Sfixed32 => self.literal("0"),
            Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 => {
                self.literal("\"0\"");
            }
            Kind::Bool => self.literal("false"),
            Kind::String | Kind::Bytes => self.literal("\"\""),
            Kind::Enum(id) => self.enumerated(id, 0),
            Kind::Message(_) | Kind::Group(_) => self.literal("null"),
        }
    }

    pub(super) fn double(&mut self, value: f64) {
        if value.is_finite() {
            self.literal(zmij::Buffer::new().format_finite(value));
        } else {
            self.infinite(value);
        }
    }

    fn float(&mut self, value: f32) {
        if value.is_finite() {
            self.literal(zmij::Buffer::new().format_finite(value));
        } else {
            self.infinite(f64::from(value));
        }
    }

    fn infinite(&mut self, value: f64) {
        self.literal(match value {
            f64::INFINITY => "\"Infinity\"",
            f64::NEG_INFINITY => "\"-Infinity\"",
            _ => "\"NaN\"",
        });
    }

    fn integer(&mut self, value: impl itoa::Integer) {
        self.literal(itoa::Buffer::new().format(value));
    }

    fn quoted_integer(&mut self, value: impl itoa::Integer) {
        self.out.push(b'"');
        self.integer(value);
        self.out.push(b'"');
    }

    pub(super) fn enumerated(&mut self, id: EnumId, number: i32) {
        let values = &self.schema[id];
        if values.is_null {
            self.literal("null");
        } else if let Some(name) = values.quoted_name(number) {
            self.literal(name);
        } else {
            self.integer(number);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        let start = self.out.len();
        self.out.resize(start + bytes.len().div_ceil(3) * 4, 0);
        STANDARD.encode_slice(bytes, &mut self.out[start..]).expect("the buffer has the length of the text");
        self.out.push(b'"');
    }

    pub(super) fn literal(&mut self, literal: &str) {
        self.out.extend_from_slice(literal.as_bytes());
    }
}
