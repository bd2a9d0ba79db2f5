//! A message that is being written as it arrives.

use std::ops::Range;

use super::super::{JsonWriter, ReplyProblem, Result, WireToJsonError};
use crate::schema::{Cardinality, Field, FieldId, MessageId};
use crate::wire::WireType;

/// With more bytes than these, the fields that are held back are written, as far as they can be.
const FLUSHED_ABOVE: usize = 64 * 1024;

/// The most bytes of fields that are held back, such as the entries of a map, which are sorted.
const MAX_HELD: usize = 8 * 1024 * 1024;

/// A message that is being written.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) id: MessageId,
    /// How many bytes of the whole message come after it.
    pub(super) left_after: usize,
    /// The nesting that a message may still have.
    pub(super) depth: usize,
    /// The fields before this index are written.
    written: usize,
    /// The field whose elements are being written.
    list: Option<usize>,
    /// Fields that are held back, by their indices, on the wire, in the order in which they came.
    held: Vec<(usize, Vec<u8>)>,
    held_bytes: usize,
    /// The members of oneofs that are written.
    of_oneofs: Vec<usize>,
}

/// A field that has arrived as a whole.
pub(super) struct Whole<'a> {
    /// With its tag.
    pub(super) bytes: &'a [u8],
    /// Where its value is in them.
    pub(super) value: Range<usize>,
    pub(super) wire_type: WireType,
}

// === impl Open ===

impl Open {
    pub(super) fn new(id: MessageId, left_after: usize, depth: usize) -> Self {
        let (held, of_oneofs) = (Vec::new(), Vec::new());
        Self { id, left_after, depth, written: 0, list: None, held, held_bytes: 0, of_oneofs }
    }

    /// Writes a field, or holds it back.
    pub(super) fn field(
        &mut self,
        writer: &mut JsonWriter<'_>,
        index: usize,
        whole: &Whole<'_>,
        is_only: bool,
    ) -> Result<()> {
        let field = &writer.schema[self.id].fields()[index];
        if is_list(field) {
            self.begin(writer, index, !is_only)?;
            let is_packed =
                whole.wire_type == WireType::LengthDelimited && field.kind().wire_type() != whole.wire_type;
            let value = &whole.bytes[whole.value.clone()];
            let written =
                writer.by_order(|writer| writer.elements(field.kind(), value, is_packed, &mut 0, self.depth));
            return written.map_err(|error| error.within(field.json_name()));
        }
        if index < self.written {
            return Err(order(field));
        }
        self.replace_oneof(writer, index)?;
        if self.held_bytes + whole.bytes.len() > FLUSHED_ABOVE && !is_only {
            self.flush(writer, index)?;
        }
        if self.held_bytes + whole.bytes.len() > MAX_HELD.max(whole.bytes.len()) {
            let problem = ReplyProblem::TooLarge { limit: MAX_HELD };
            return Err(WireToJsonError::from(problem).within(field.json_name()));
        }
        self.held_bytes += whole.bytes.len();
        match self.held.last_mut() {
            Some((last, held)) if *last == index => held.extend_from_slice(whole.bytes),
            _ => self.held.push((index, whole.bytes.to_vec())),
        }
        Ok(())
    }

    /// Begins the value of a list's element, or of a message that is opened. It is a member, unless it is the only
    /// value.
    pub(super) fn begin(&mut self, writer: &mut JsonWriter<'_>, index: usize, is_member: bool) -> Result<()> {
        let field = &writer.schema[self.id].fields()[index];
        let is_list = is_list(field);
        if is_list && self.list == Some(index) {
            return Ok(());
        }
        // What is held back of a message cannot be merged with one that is opened.
        if index < self.written || self.held.iter().any(|(held, _)| *held == index) {
            return Err(order(field));
        }
        self.replace_oneof(writer, index)?;
        if is_member {
            self.flush(writer, index)?;
            writer.key(field);
        }
        if field.oneof.is_some() {
            self.of_oneofs.push(index);
        }
        self.written = index + 1;
        if is_list {
            writer.begin(b'[');
            self.list = Some(index);
        }
        Ok(())
    }

    /// Writes the fields before this index: what is held back of them, and their defaults.
    pub(super) fn flush(&mut self, writer: &mut JsonWriter<'_>, before: usize) -> Result<()> {
        if self.list.take().is_some() {
            writer.end(b']');
        }
        if self.written >= before {
            return Ok(());
        }
        let mut wire = Vec::new();
        let fields = writer.schema[self.id].fields();
        for (index, held) in self.held.extract_if(.., |(index, _)| *index < before) {
            wire.extend_from_slice(&held);
            if fields[index].oneof.is_some() {
                self.of_oneofs.push(index);
            }
        }
        self.held_bytes -= wire.len();
        writer.some_members(self.id, self.written..before, &wire, self.depth)?;
        self.written = before;
        Ok(())
    }

    /// A member of a oneof replaces another one, which must not be out already.
    fn replace_oneof(&mut self, writer: &JsonWriter<'_>, index: usize) -> Result<()> {
        let fields = writer.schema[self.id].fields();
        let Some(oneof) = fields[index].oneof else { return Ok(()) };
        let is_other = |other: usize| other != index && fields[other].oneof == Some(oneof);
        if self.of_oneofs.iter().any(|other| is_other(*other)) {
            return Err(order(&fields[index]));
        }
        for (_, replaced) in self.held.extract_if(.., |(other, _)| is_other(*other)) {
            self.held_bytes -= replaced.len();
        }
        Ok(())
    }

    /// Ends a message of which only one field is written.
    pub(super) fn finish_only(&mut self, writer: &mut JsonWriter<'_>, only: FieldId) -> Result<()> {
        if self.list.take().is_some() {
            writer.end(b']');
        } else if self.written == 0 {
            let held: Vec<u8> = self.held.drain(..).flat_map(|(_, held)| held).collect();
            writer.field(only, &held)?;
        }
        Ok(())
    }
}

/// Whether the elements of a field are written one by one, as they arrive.
pub(super) fn is_list(field: &Field) -> bool {
    matches!(field.cardinality(), Cardinality::Repeated { .. })
}

fn order(field: &Field) -> WireToJsonError {
    WireToJsonError::from(ReplyProblem::Order).within(field.json_name())
}
