//! The index of a message: where each field occurs. It makes every legal order the same: repeated fields that do not
//! stand together, singular fields that occur twice, members of a oneof that replace each other.

use std::ops::Range;

use super::{ReplyProblem, Result};
use crate::schema::{Cardinality, Field, Kind, Message, Schema};
use crate::wire::{WireReader, WireType};

/// No occurrence, or no further one.
const NONE: u32 = u32::MAX;

/// Whether a value is one of the field. One that a closed enum does not define counts as an unknown field, so that it
/// replaces no other member of a oneof either.
pub(super) fn accepts(schema: &Schema, field: &Field, value: &[u8], wire_type: WireType) -> Result<bool> {
    Ok(match field.kind() {
        Kind::Enum(id) if wire_type == WireType::Varint => {
            schema[id].accepts(WireReader::new(value).varint()? as i32)
        }
        _ => true,
    })
}

/// The occurrences of the fields of all messages that are being written, the innermost last.
#[derive(Debug, Default)]
pub(super) struct Occurrences {
    all: Vec<Occurrence>,
    /// The first and the last occurrence of each field.
    spans: Vec<Span>,
    /// The member of each oneof that was set last, by its index, plus one.
    members: Vec<u32>,
}

/// The part of [`Occurrences`] that belongs to one message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Index {
    all: usize,
    spans: usize,
    members: usize,
}

/// A value of a field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occurrence {
    start: u32,
    end: u32,
    next: u32,
    wire_type: WireType,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    first: u32,
    last: u32,
}

// === impl Occurrences ===

impl Occurrences {
    /// Indexes a message, until the index is released.
    pub(super) fn index(
        &mut self,
        schema: &Schema,
        message: &Message,
        wire: &[u8],
        depth: usize,
    ) -> Result<Index> {
        if u32::try_from(wire.len()).is_err() {
            return Err(ReplyProblem::TooLarge { limit: u32::MAX as usize }.into());
        }
        let index = self.innermost();
        self.spans.resize(index.spans + message.fields().len(), Span { first: NONE, last: NONE });
        self.members.resize(index.members + message.oneofs.len(), 0);
        let mut reader = WireReader::new(wire);
        while !reader.is_at_end() {
            let (number, wire_type) = reader.tag()?;
            let Some(at) = message.index_numbered(number) else {
                reader.value(number, wire_type, depth)?;
                continue;
            };
            let field = &message.fields()[at];
            let range = reader.value(number, wire_type, depth).map_err(|error| within(error, field))?;
            // As every parser of protobuf does, a value of another wire type counts as an unknown field.
            if !fits(field, wire_type) || !accepts(schema, field, &wire[range.clone()], wire_type)? {
                continue;
            }
            self.add(index, at, field, range, wire_type);
        }
        Ok(index)
    }

    /// The index of a message that would be the next one.
    pub(super) fn innermost(&self) -> Index {
        Index { all: self.all.len(), spans: self.spans.len(), members: self.members.len() }
    }

    /// Forgets a message, and those within it.
    pub(super) fn release(&mut self, index: Index) {
        self.all.truncate(index.all);
        self.spans.truncate(index.spans);
        self.members.truncate(index.members);
    }

    fn add(&mut self, index: Index, at: usize, field: &Field, range: Range<usize>, wire_type: WireType) {
        if let Some(oneof) = field.oneof {
            let member = &mut self.members[index.members + usize::from(oneof)];
            let earlier = std::mem::replace(member, at as u32 + 1);
            if earlier != 0 && earlier != at as u32 + 1 {
                self.spans[index.spans + earlier as usize - 1] = Span { first: NONE, last: NONE };
            }
        }
        let new = self.all.len() as u32;
        // The length of the message, which is no more than u32 holds, bounds them all.
        self.all.push(Occurrence { start: range.start as u32, end: range.end as u32, next: NONE, wire_type });
        let span = &mut self.spans[index.spans + at];
        if span.first == NONE {
            span.first = new;
        } else {
            self.all[span.last as usize].next = new;
        }
        span.last = new;
    }

    /// The last occurrence of the field at this index of its message.
    pub(super) fn last(&self, index: Index, at: usize) -> Option<Occurrence> {
        self.all.get(self.spans[index.spans + at].last as usize).copied()
    }

    /// Whether the field occurs once.
    pub(super) fn is_single(&self, index: Index, at: usize) -> bool {
        let span = self.spans[index.spans + at];
        span.first == span.last
    }

    /// The first occurrence of a field, and the place of the next one.
    pub(super) fn first(&self, index: Index, at: usize) -> Option<(Occurrence, u32)> {
        self.following(self.spans[index.spans + at].first)
    }

    /// The occurrence at a place, and the place of the next one.
    pub(super) fn following(&self, place: u32) -> Option<(Occurrence, u32)> {
        let found = self.all.get(place as usize)?;
        Some((*found, found.next))
    }
}

// === impl Occurrence ===

impl Occurrence {
    /// Where the value is in the message: without its length and without the end of its group.
    pub(super) fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Whether it is a list of values of this type.
    pub(super) fn is_packed(&self, kind: Kind) -> bool {
        self.wire_type == WireType::LengthDelimited && kind.wire_type() != WireType::LengthDelimited
    }
}

/// Whether a value of this wire type is one of the field.
pub(super) fn fits(field: &Field, found: WireType) -> bool {
    let expected = field.kind().wire_type();
    match field.cardinality() {
        Cardinality::Map { .. } => found == WireType::LengthDelimited,
        Cardinality::Singular => found == expected,
        Cardinality::Repeated { .. } => {
            let is_packed = found == WireType::LengthDelimited && expected != WireType::StartGroup;
            found == expected || is_packed
        }
    }
}

fn within(problem: impl Into<ReplyProblem>, field: &Field) -> super::WireToJsonError {
    super::WireToJsonError::from(problem.into()).within(field.json_name())
}
