//! Members whose fields stand in the order of their numbers, the values of each together, as encoders write them. They
//! are written in one pass, without an index. Where a message is otherwise, all is written again by the index, which
//! takes any legal order: twice at most, however deep the message is nested.

use super::occurrences::fits;
use super::{JsonWriter, ReplyProblem, Result, deeper};
use crate::schema::{Cardinality, Field, Kind, MessageId};
use crate::wire::{WireReader, WireType};

/// Oneofs of a message that are noticed when two of their members are set.
const MAX_ONEOFS: u16 = 64;

impl JsonWriter<'_> {
    /// Writes by order what can be written so, and everything by index otherwise.
    pub(super) fn by_order(&mut self, write: impl Fn(&mut Self) -> Result<()>) -> Result<()> {
        let (length, level, is_first, index) =
            (self.out.len(), self.level, self.is_first, self.occurrences.innermost());
        self.is_ordered = true;
        let written = write(self);
        self.is_ordered = false;
        if written.is_ok() {
            return written;
        }
        // Also after another error: a value that is not valid may be replaced by a later one.
        self.out.truncate(length);
        (self.level, self.is_first, self.merged_bytes) = (level, is_first, 0);
        self.occurrences.release(index);
        write(self)
    }

    /// The members of a message.
    pub(super) fn members_in_order(&mut self, id: MessageId, wire: &[u8], depth: usize) -> Result<()> {
        let message = &self.schema[id];
        let (mut reader, mut next, mut oneofs) = (WireReader::new(wire), 0, 0);
        while !reader.is_at_end() {
            let (number, wire_type) = reader.tag()?;
            let Some(at) = message.index_numbered(number) else {
                reader.value(number, wire_type, depth)?;
                continue;
            };
            let field = &message.fields()[at];
            if at < next || !fits(field, wire_type) || !is_first_of_oneof(field, &mut oneofs) {
                return Err(ReplyProblem::Order.into());
            }
            self.absent(&message.fields()[next..at]);
            next = at + 1;
            self.key(field);
            match field.cardinality() {
                Cardinality::Singular => self.one(field.kind(), number, wire_type, &mut reader, depth)?,
                Cardinality::Repeated { .. } => {
                    self.begin(b'[');
                    self.values(field, wire_type, &mut reader, depth)?;
                    self.end(b']');
                }
                Cardinality::Map { key } => {
                    let entries = entries(field, &mut reader, depth)?;
                    self.entries(field, key, &entries, depth)?;
                }
            }
        }
        self.absent(&message.fields()[next..]);
        Ok(())
    }

    /// Fields that do not stand in the message.
    fn absent(&mut self, fields: &[Field]) {
        if self.style.skips_defaults {
            return;
        }
        for field in fields.iter().filter(|field| !field.has_presence) {
            self.key(field);
            match field.cardinality() {
                Cardinality::Singular => self.default(field.kind()),
                Cardinality::Repeated { .. } => {
                    self.begin(b'[');
                    self.end(b']');
                }
                Cardinality::Map { .. } => {
                    self.begin(b'{');
                    self.end(b'}');
                }
            }
        }
    }

    /// The value of a singular field.
    fn one(
        &mut self,
        kind: Kind,
        number: u32,
        wire_type: WireType,
        reader: &mut WireReader<'_>,
        depth: usize,
    ) -> Result<()> {
        match kind {
            Kind::Message(id) | Kind::Group(id) => {
                let value = reader.bytes(number, wire_type, depth)?;
                self.nested(id, value, deeper(depth)?)
            }
            Kind::String | Kind::Bytes => self.scalar(kind, reader.bytes(number, wire_type, depth)?),
            Kind::Enum(id) => {
                let value = reader.varint()? as i32;
                if !self.schema[id].accepts(value) {
                    return Err(ReplyProblem::Order.into());
                }
                self.enumerated(id, value);
                Ok(())
            }
            kind => self.number(kind, reader),
        }
    }

    /// The elements of a repeated field that stand together.
    fn values(
        &mut self,
        field: &Field,
        mut wire_type: WireType,
        reader: &mut WireReader<'_>,
        depth: usize,
    ) -> Result<()> {
        let (kind, mut element) = (field.kind(), 0);
        loop {
            let bytes = reader.bytes(field.number(), wire_type, depth)?;
            let is_packed = wire_type == WireType::LengthDelimited && kind.wire_type() != wire_type;
            // Such a value counts as an unknown field, and a list of nothing else as absent.
            if let Kind::Enum(id) = kind
                && !is_packed
                && !self.schema[id].accepts(WireReader::new(bytes).varint()? as i32)
            {
                return Err(ReplyProblem::Order.into());
            }
            self.elements(kind, bytes, is_packed, &mut element, depth)?;
            match following(field, reader) {
                Some(next) => wire_type = next,
                None => return Ok(()),
            }
        }
    }
}

/// The entries of a map that stand together.
fn entries<'a>(field: &Field, reader: &mut WireReader<'a>, depth: usize) -> Result<Vec<&'a [u8]>> {
    let mut entries = Vec::new();
    loop {
        entries.push(reader.bytes(field.number(), WireType::LengthDelimited, depth)?);
        if following(field, reader).is_none() {
            return Ok(entries);
        }
    }
}

/// Reads the tag of a further value of a field; none if another field or the end follows.
fn following(field: &Field, reader: &mut WireReader<'_>) -> Option<WireType> {
    let mut ahead = reader.clone();
    let (number, wire_type) = ahead.tag().ok()?;
    let is_further = number == field.number() && fits(field, wire_type);
    is_further.then(|| {
        *reader = ahead;
        wire_type
    })
}

/// Whether no other member of its oneof was set before.
fn is_first_of_oneof(field: &Field, seen: &mut u64) -> bool {
    let Some(oneof) = field.oneof else { return true };
    if oneof >= MAX_ONEOFS {
        return false;
    }
    let (bit, before) = (1 << oneof, *seen);
    *seen |= bit;
    before & bit == 0
}
