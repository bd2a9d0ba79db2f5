//! The well-known types, each in the JSON of its own.

use super::{JsonWriter, ReplyProblem, Result, deeper};
use crate::mask;
use crate::schema::{Form, Kind, MessageId};
use crate::time;
use crate::wire::{WireReader, WireType};

impl JsonWriter<'_> {
    pub(super) fn well_known(&mut self, form: Form, id: MessageId, wire: &[u8], depth: usize) -> Result<()> {
        match form {
            Form::Timestamp => {
                let (seconds, nanos) = seconds_and_nanos(wire, depth)?;
                let written = time::write_timestamp(seconds, nanos, &mut self.out);
                written.ok_or_else(|| ReplyProblem::OutOfRange("Timestamp").into())
            }
            Form::Duration => {
                let (seconds, nanos) = seconds_and_nanos(wire, depth)?;
                let written = time::write_duration(seconds, nanos, &mut self.out);
                written.ok_or_else(|| ReplyProblem::OutOfRange("Duration").into())
            }
            Form::FieldMask => self.mask(wire, depth),
            Form::Wrapper(kind) => {
                let message = &self.schema[id];
                let index = self.occurrences.index(self.schema, message, wire, depth)?;
                match self.occurrences.last(index, 0) {
                    Some(last) => self.scalar(kind, &wire[last.range()])?,
                    None => self.default(kind),
                }
                self.occurrences.release(index);
                Ok(())
            }
            Form::Struct | Form::ListValue => {
                let message = &self.schema[id];
                let index = self.occurrences.index(self.schema, message, wire, depth)?;
                self.member_value(&message.fields()[0], 0, index, wire, depth)?;
                self.occurrences.release(index);
                Ok(())
            }
            Form::Value => self.value(id, wire, depth),
            Form::Any => self.any(wire, depth),
            Form::Object | Form::Empty => unreachable!("these are written as objects"),
        }
    }

    fn value(&mut self, id: MessageId, wire: &[u8], depth: usize) -> Result<()> {
        let message = &self.schema[id];
        let index = self.occurrences.index(self.schema, message, wire, depth)?;
        let set = (0..message.fields().len()).find(|at| self.occurrences.last(index, *at).is_some());
        match set.map(|at| (at, &message.fields()[at])) {
            Some((at, field)) if field.kind() == Kind::Double => {
                let last = self.occurrences.last(index, at).expect("it was found");
                let number = f64::from_le_bytes(WireReader::new(&wire[last.range()]).fixed64()?);
                if !number.is_finite() {
                    return Err(ReplyProblem::OutOfRange("Value").into());
                }
                self.double(number);
            }
            Some((at, field)) => self.singular(field, at, index, wire, depth)?,
            None => self.literal("null"),
        }
        self.occurrences.release(index);
        Ok(())
    }

    fn mask(&mut self, wire: &[u8], depth: usize) -> Result<()> {
        let (mut reader, mut paths) = (WireReader::new(wire), String::new());
        while !reader.is_at_end() {
            let (number, wire_type) = reader.tag()?;
            let range = reader.value(number, wire_type, depth)?;
            if (number, wire_type) == (1, WireType::LengthDelimited) {
                let path = std::str::from_utf8(&wire[range]).map_err(|_| ReplyProblem::Utf8)?;
                if !paths.is_empty() {
                    paths.push(',');
                }
                let camel = mask::camel_case(path);
                paths.push_str(&camel.ok_or_else(|| ReplyProblem::MaskPath(path.to_owned()))?);
            }
        }
        self.text(&paths);
        Ok(())
    }

    fn any(&mut self, wire: &[u8], depth: usize) -> Result<()> {
        let (mut reader, mut url, mut value) = (WireReader::new(wire), "", &wire[..0]);
        while !reader.is_at_end() {
            let (number, wire_type) = reader.tag()?;
            let range = reader.value(number, wire_type, depth)?;
            match (number, wire_type) {
                (1, WireType::LengthDelimited) => {
                    url = std::str::from_utf8(&wire[range]).map_err(|_| ReplyProblem::Utf8)?;
                }
                (2, WireType::LengthDelimited) => value = &wire[range],
                _ => {}
            }
        }
        self.begin(b'{');
        if !url.is_empty() || !value.is_empty() {
            let id = url.rsplit_once('/').and_then(|(_, name)| self.schema.message_named(name));
            let id = id.ok_or_else(|| ReplyProblem::UnknownType(url.chars().take(100).collect()))?;
            self.key_named("@type");
            self.text(url);
            let depth = deeper(depth)?;
            if self.schema[id].is_plain() {
                self.members(id, value, depth)?;
            } else {
                self.key_named("value");
                self.nested(id, value, depth)?;
            }
        }
        self.end(b'}');
        Ok(())
    }
}

/// The two fields that timestamps and durations have.
fn seconds_and_nanos(wire: &[u8], depth: usize) -> Result<(i64, i32)> {
    let (mut reader, mut seconds, mut nanos) = (WireReader::new(wire), 0, 0);
    while !reader.is_at_end() {
        match reader.tag()? {
            (1, WireType::Varint) => seconds = reader.varint()? as i64,
            (2, WireType::Varint) => nanos = reader.varint()? as i32,
            (number, wire_type) => {
                reader.value(number, wire_type, depth)?;
            }
        }
    }
    Ok((seconds, nanos))
}
