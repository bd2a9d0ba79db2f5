//! Writes the JSON of a message on the wire, in one pass over its bytes if its fields stand in the order of their
//! numbers (`ordered`), by an index of them otherwise (`occurrences`): they may come in any order that the wire format
//! allows. They are written by number, and the entries of maps by key, so that equal messages give equal bytes.

mod error;
mod incremental;
mod layout;
mod map;
mod occurrences;
mod ordered;
mod scalar;
mod well_known;

use std::ops::Range;

use crate::escape::Unsafe;
use crate::schema::{Cardinality, Field, FieldId, Form, Kind, MessageId, Schema};
use crate::wire::WireReader;

pub use error::{ReplyProblem, WireToJsonError};
pub use incremental::IncrementalWriter;
use occurrences::{Index, Occurrences};

/// The most bytes that are reserved for the JSON of a message by its size.
const MAX_RESERVED: usize = 64 * 1024;

/// How JSON is laid out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// One member or element a line, indented by two spaces, instead of no space at all.
    pub is_indented: bool,
    /// Whether absent fields without presence are left out, instead of written with their defaults.
    pub skips_defaults: bool,
    /// Characters that are escaped in addition to those that JSON requires.
    pub is_unsafe: Option<fn(char) -> bool>,
}

/// Writes the JSON of messages. Its buffers are reused from one message to the next.
#[derive(Debug)]
pub struct JsonWriter<'s> {
    schema: &'s Schema,
    style: Style,
    escapes: Option<Unsafe>,
    max_bytes: usize,
    out: Vec<u8>,
    /// The nesting of objects and arrays, for the indentation.
    level: usize,
    /// Whether nothing was written yet in the innermost object or array.
    is_first: bool,
    /// Whether the fields are expected in their order.
    is_ordered: bool,
    occurrences: Occurrences,
    /// Bytes of messages that were merged, and are being written.
    merged_bytes: usize,
}

/// A writer between two parts of what it writes.
#[derive(Debug, Default)]
struct Suspended {
    style: Style,
    escapes: Option<Unsafe>,
    max_bytes: usize,
    out: Vec<u8>,
    level: usize,
    is_first: bool,
    occurrences: Occurrences,
}

type Result<T> = std::result::Result<T, WireToJsonError>;

// === impl JsonWriter ===

impl<'s> JsonWriter<'s> {
    /// A writer of at most `max_bytes`, since a message has a fraction of the bytes of its JSON: an absent field is
    /// written with its default value.
    pub fn new(schema: &'s Schema, style: Style, max_bytes: usize) -> Self {
        Self {
            schema,
            style,
            escapes: style.is_unsafe.map(Unsafe::new),
            max_bytes,
            out: Vec::new(),
            level: 0,
            is_first: true,
            is_ordered: false,
            occurrences: Occurrences::default(),
            merged_bytes: 0,
        }
    }

    /// Writes a message.
    ///
    /// # Errors
    ///
    /// If the bytes are not such a message, or it has no JSON.
    pub fn message(&mut self, id: MessageId, wire: &[u8]) -> Result<()> {
        // Names, quotes and commas take about as many bytes as the values.
        self.out.reserve((2 * wire.len()).min(MAX_RESERVED));
        self.by_order(|writer| writer.nested(id, wire, crate::MAX_DEPTH))
    }

    /// Writes a message by its index, whatever its order.
    #[cfg(test)]
    pub(crate) fn message_by_index(&mut self, id: MessageId, wire: &[u8]) -> Result<()> {
        self.nested(id, wire, crate::MAX_DEPTH)
    }

    /// Writes one field of a message, as the only value; `null` if it is absent.
    ///
    /// # Errors
    ///
    /// If the bytes are not such a message, or the field has no JSON.
    pub fn field(&mut self, id: FieldId, wire: &[u8]) -> Result<()> {
        let (message, field) = (&self.schema[id.message], &self.schema[id]);
        let index = self.occurrences.index(self.schema, message, wire, crate::MAX_DEPTH)?;
        if self.occurrences.last(index, id.index()).is_none() && field.has_presence {
            self.literal("null");
        } else {
            let written = self.member_value(field, id.index(), index, wire, crate::MAX_DEPTH);
            written.map_err(|error| error.within(field.json_name()))?;
        }
        self.occurrences.release(index);
        Ok(())
    }

    /// What was written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// What was written since it was taken or cleared.
    pub fn written(&self) -> &[u8] {
        &self.out
    }

    /// Drops what was written; the buffer stays.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    fn suspend(self) -> Suspended {
        let Self { style, escapes, max_bytes, out, level, is_first, occurrences, .. } = self;
        Suspended { style, escapes, max_bytes, out, level, is_first, occurrences }
    }

    fn resume(schema: &'s Schema, suspended: Suspended) -> Self {
        let Suspended { style, escapes, max_bytes, out, level, is_first, occurrences } = suspended;
        let (is_ordered, merged_bytes) = (false, 0);
        Self {
            schema,
            style,
            escapes,
            max_bytes,
            out,
            level,
            is_first,
            is_ordered,
            occurrences,
            merged_bytes,
        }
    }

    /// A message in the form of its type. `depth` is how many levels it may have.
    fn nested(&mut self, id: MessageId, wire: &[u8], depth: usize) -> Result<()> {
        self.check_size()?;
        match self.schema[id].form {
            Form::Object | Form::Empty => {
                self.begin(b'{');
                self.members(id, wire, depth)?;
                self.end(b'}');
                Ok(())
            }
            form => self.well_known(form, id, wire, depth),
        }
    }

    /// The members of a message.
    fn members(&mut self, id: MessageId, wire: &[u8], depth: usize) -> Result<()> {
        match self.is_ordered {
            true => self.members_in_order(id, wire, depth),
            false => self.some_members(id, 0..self.schema[id].fields().len(), wire, depth),
        }
    }

    /// The members of a message for some of its fields.
    fn some_members(&mut self, id: MessageId, fields: Range<usize>, wire: &[u8], depth: usize) -> Result<()> {
        let message = &self.schema[id];
        let index = self.occurrences.index(self.schema, message, wire, depth)?;
        for at in fields {
            let field = &message.fields()[at];
            let is_optional = field.has_presence || self.style.skips_defaults;
            if is_optional && self.occurrences.last(index, at).is_none() {
                continue;
            }
            self.key(field);
            self.member_value(field, at, index, wire, depth)
                .map_err(|error| error.within(field.json_name()))?;
        }
        self.occurrences.release(index);
        Ok(())
    }

    /// The value of a field that stands in an indexed message.
    fn member_value(
        &mut self,
        field: &Field,
        at: usize,
        index: Index,
        wire: &[u8],
        depth: usize,
    ) -> Result<()> {
        match field.cardinality() {
            Cardinality::Singular => self.singular(field, at, index, wire, depth),
            Cardinality::Repeated { .. } => {
                self.begin(b'[');
                let mut element = 0;
                let mut next = self.occurrences.first(index, at);
                while let Some((occurrence, following)) = next {
                    let bytes = &wire[occurrence.range()];
                    self.elements(
                        field.kind(),
                        bytes,
                        occurrence.is_packed(field.kind()),
                        &mut element,
                        depth,
                    )
                    .map_err(|error| error.at_index(element))?;
                    next = self.occurrences.following(following);
                }
                self.end(b']');
                Ok(())
            }
            Cardinality::Map { key } => self.map(field, key, at, index, wire, depth),
        }
    }

    fn singular(&mut self, field: &Field, at: usize, index: Index, wire: &[u8], depth: usize) -> Result<()> {
        let Some(last) = self.occurrences.last(index, at) else {
            self.default(field.kind());
            return Ok(());
        };
        match field.kind() {
            Kind::Message(id) | Kind::Group(id) => {
                let depth = deeper(depth)?;
                if self.occurrences.is_single(index, at) {
                    return self.nested(id, &wire[last.range()], depth);
                }
                let mut parts = Vec::new();
                let mut next = self.occurrences.first(index, at);
                while let Some((occurrence, following)) = next {
                    parts.push(&wire[occurrence.range()]);
                    next = self.occurrences.following(following);
                }
                self.merged(id, parts, depth)
            }
            kind => self.scalar(kind, &wire[last.range()]),
        }
    }

    /// A message of several parts: the concatenation of two messages on the wire is their merger.
    fn merged(&mut self, id: MessageId, mut parts: Vec<&[u8]>, depth: usize) -> Result<()> {
        parts.retain(|part| !part.is_empty());
        if let [] | [_] = parts[..] {
            return self.nested(id, parts.first().copied().unwrap_or_default(), depth);
        }
        // Copies within copies: each level of a message may have one of all below it.
        let merged = parts.concat();
        self.merged_bytes += merged.len();
        if self.merged_bytes > self.max_bytes {
            return Err(ReplyProblem::TooLarge { limit: self.max_bytes }.into());
        }
        let written = self.nested(id, &merged, depth);
        self.merged_bytes -= merged.len();
        written
    }

    /// The elements of one occurrence of a repeated field: one, or all that are packed.
    fn elements(
        &mut self,
        kind: Kind,
        bytes: &[u8],
        is_packed: bool,
        element: &mut usize,
        depth: usize,
    ) -> Result<()> {
        self.check_size()?;
        if !is_packed {
            if let Kind::Enum(id) = kind
                && !self.schema[id].accepts(WireReader::new(bytes).varint()? as i32)
            {
                return Ok(());
            }
            self.separate();
            match kind {
                Kind::Message(id) | Kind::Group(id) => self.nested(id, bytes, deeper(depth)?)?,
                kind => self.scalar(kind, bytes)?,
            }
            *element += 1;
            return Ok(());
        }
        let mut reader = WireReader::new(bytes);
        while !reader.is_at_end() {
            let mut value = reader.clone();
            if let Kind::Enum(id) = kind
                && !self.schema[id].accepts(reader.varint()? as i32)
            {
                continue;
            }
            self.check_size()?;
            self.separate();
            self.number(kind, &mut value)?;
            reader = value;
            *element += 1;
        }
        Ok(())
    }

    fn check_size(&self) -> Result<()> {
        if self.out.len() <= self.max_bytes {
            return Ok(());
        }
        Err(ReplyProblem::TooLarge { limit: self.max_bytes }.into())
    }
}

/// The depth within a message.
fn deeper(depth: usize) -> Result<usize> {
    depth.checked_sub(1).ok_or_else(|| crate::wire::WireError::Depth.into())
}
