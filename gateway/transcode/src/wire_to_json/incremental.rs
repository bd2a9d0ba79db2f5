//! Writes the JSON of a message as its bytes arrive, so that memory holds one element of a list and not the message. It
//! relies on the order that every encoder keeps: fields by number, the elements of a list together. A message in another
//! order is an error ([`ReplyProblem::Order`]), since what is out cannot be taken back.

mod arriving;

use std::sync::Arc;

use super::occurrences::fits;
use super::{JsonWriter, ReplyProblem, Result, Style, Suspended, WireToJsonError};
use crate::schema::{Cardinality, Field, FieldId, MessageId, Schema};
use crate::wire::{WireError, WireType};

use arriving::Arriving;

/// A message from this size on is written member by member; a smaller one as a whole.
const LARGE: usize = if cfg!(test) { 16 } else { 64 * 1024 };

/// The most bytes of fields that are held back, such as the entries of a map, which are sorted.
const MAX_HELD: usize = 8 * 1024 * 1024;

/// Writes the JSON of one message as its bytes arrive.
#[derive(Debug)]
pub struct IncrementalWriter {
    schema: Arc<Schema>,
    writer: Suspended,
    /// What has arrived and is not written.
    buffer: Vec<u8>,
    /// The messages that are being written, the innermost last.
    open: Vec<Open>,
    /// The field that is the only value; none for the whole message.
    only: Option<FieldId>,
    /// Bytes of the whole message that have not been consumed; the largest number if its length is unknown.
    left: usize,
}

/// A message that is being written.
#[derive(Debug)]
struct Open {
    id: MessageId,
    /// How many bytes of the whole message come after it.
    left_after: usize,
    /// The fields before this index are written.
    written: usize,
    /// The field whose elements are being written.
    list: Option<usize>,
    /// Fields that are held back, on the wire, and the index of the last one.
    held: Vec<u8>,
    last_held: usize,
    /// The members of oneofs that are written.
    of_oneofs: Vec<usize>,
    /// The nesting that a message may still have.
    depth: usize,
}

// === impl IncrementalWriter ===

impl IncrementalWriter {
    /// A writer of a message of `length` bytes, or of one of its fields. A message of unknown length ends when that is
    /// said. No message in it that is written as a whole has
    /// more than `max_bytes` of JSON.
    pub fn new(
        schema: Arc<Schema>,
        id: MessageId,
        only: Option<FieldId>,
        length: Option<usize>,
        style: Style,
        max_bytes: usize,
    ) -> Self {
        let mut writer = JsonWriter::new(&schema, style, max_bytes);
        if only.is_none() {
            writer.begin(b'{');
        }
        let writer = writer.suspend();
        let open = vec![Open::new(id, 0, crate::MAX_DEPTH)];
        Self { schema, writer, buffer: Vec::new(), open, only, left: length.unwrap_or(usize::MAX) }
    }

    /// Takes the next bytes of the message.
    ///
    /// # Errors
    ///
    /// If they are not those of such a message, or in another order.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        let schema = Arc::clone(&self.schema);
        let mut writer = JsonWriter::resume(&schema, std::mem::take(&mut self.writer));
        let mut at = 0;
        let fed = self.consume(&mut writer, &mut at);
        self.buffer.drain(..at);
        self.writer = writer.suspend();
        fed
    }

    /// Ends a message of unknown length.
    ///
    /// # Errors
    ///
    /// If it ends within a field.
    pub fn finish(&mut self) -> Result<()> {
        if !self.buffer.is_empty() || self.open.len() > 1 {
            return Err(WireError::Truncated.into());
        }
        self.left = 0;
        self.feed(b"")
    }

    /// What was written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.writer.out)
    }

    /// How many bytes were written since the last time.
    pub fn written(&self) -> usize {
        self.writer.out.len()
    }

    /// Whether all of the message is written.
    pub fn is_finished(&self) -> bool {
        self.open.is_empty()
    }

    fn consume(&mut self, writer: &mut JsonWriter<'_>, at: &mut usize) -> Result<()> {
        while let Some(open) = self.open.last() {
            if self.left == open.left_after {
                self.close(writer)?;
                continue;
            }
            let available = &self.buffer[*at..];
            let Some(arriving) = Arriving::read(available)? else {
                let is_all = available.len() >= self.left - open.left_after;
                return if is_all { Err(WireError::Truncated.into()) } else { Ok(()) };
            };
            let consumed = self.field(writer, *at, &arriving)?;
            if consumed == 0 {
                return Ok(());
            }
            *at += consumed;
            let open_end = self.open.last().map_or(0, |open| open.left_after);
            self.left = self
                .left
                .checked_sub(consumed)
                .filter(|left| *left >= open_end)
                .ok_or(WireError::Truncated)?;
        }
        Ok(())
    }

    /// Writes or holds back the field that begins at `at`, or opens it. Returns how much of it is consumed; 0 if more of
    /// it must arrive.
    fn field(&mut self, writer: &mut JsonWriter<'_>, at: usize, arriving: &Arriving) -> Result<usize> {
        let is_root = self.open.len() == 1;
        let open = self.open.last_mut().expect("a message is open");
        let message = &writer.schema[open.id];
        let known = message.index_numbered(arriving.number);
        let known = known.filter(|index| fits(&message.fields()[*index], arriving.wire_type));
        let index = known.filter(|index| !is_root || self.only.is_none_or(|only| only.index() == *index));
        let whole = arriving.head.saturating_add(arriving.length);
        let end_of_open = self.left - open.left_after;
        if whole > end_of_open {
            return Err(WireError::Truncated.into());
        }
        if let Some(index) = index {
            let field = &message.fields()[index];
            let opens = arriving.length >= LARGE
                && arriving.wire_type == WireType::LengthDelimited
                && !matches!(field.cardinality(), Cardinality::Map { .. })
                && field.kind().message().is_some_and(|id| writer.schema[id].is_plain());
            if opens {
                let id = field.kind().message().expect("it is a message");
                open.begin(writer, index, !(is_root && self.only.is_some()))?;
                if is_list(field) {
                    writer.separate();
                }
                writer.begin(b'{');
                let (depth, left_after) = (super::deeper(open.depth)?, self.left - whole);
                self.open.push(Open::new(id, left_after, depth));
                return Ok(arriving.head);
            }
        }
        let available = &self.buffer[at..];
        let Some(length) = arriving.whole(available, open.depth)? else {
            return if available.len() >= end_of_open { Err(WireError::Truncated.into()) } else { Ok(0) };
        };
        if let Some(index) = index {
            let is_only = is_root && self.only.is_some();
            open.field(writer, index, arriving, &available[..length], is_only)?;
        }
        Ok(length)
    }

    /// Ends the innermost message.
    fn close(&mut self, writer: &mut JsonWriter<'_>) -> Result<()> {
        let mut open = self.open.pop().expect("a message is open");
        if self.open.is_empty()
            && let Some(only) = self.only
        {
            return open.finish_only(writer, only);
        }
        let fields = writer.schema[open.id].fields().len();
        open.flush(writer, fields)?;
        writer.end(b'}');
        Ok(())
    }
}

// === impl Open ===

impl Open {
    fn new(id: MessageId, left_after: usize, depth: usize) -> Self {
        Self {
            id,
            left_after,
            written: 0,
            list: None,
            held: Vec::new(),
            last_held: 0,
            of_oneofs: Vec::new(),
            depth,
        }
    }

    /// A field that is in the buffer as a whole.
    fn field(
        &mut self,
        writer: &mut JsonWriter<'_>,
        index: usize,
        arriving: &Arriving,
        whole: &[u8],
        is_only: bool,
    ) -> Result<()> {
        let field = &writer.schema[self.id].fields()[index];
        if is_list(field) {
            self.begin(writer, index, !is_only)?;
            let value = &whole[arriving.head..];
            let is_packed = arriving.wire_type == WireType::LengthDelimited
                && field.kind().wire_type() != arriving.wire_type;
            // Where a group ends, its tag follows.
            let value = match arriving.wire_type {
                WireType::StartGroup => &value[..value.len() - arriving.head],
                _ => value,
            };
            let written = writer.elements(field.kind(), value, is_packed, &mut 0, self.depth);
            return written.map_err(|error| error.within(field.json_name()));
        }
        let is_new = self.held.is_empty() || self.last_held != index;
        if is_new && !self.held.is_empty() && !is_only {
            self.flush(writer, index.max(self.last_held))?;
        }
        if index < self.written || self.list.is_some_and(|list| list >= index) {
            return Err(order(field));
        }
        if self.held.len() + whole.len() > MAX_HELD.max(whole.len()) {
            let problem = ReplyProblem::TooLarge { limit: MAX_HELD };
            return Err(WireToJsonError::from(problem).within(field.json_name()));
        }
        self.held.extend_from_slice(whole);
        self.last_held = index;
        Ok(())
    }

    /// Begins the value of a list's element, or of a message that is opened.
    fn begin(&mut self, writer: &mut JsonWriter<'_>, index: usize, is_member: bool) -> Result<()> {
        let field = &writer.schema[self.id].fields()[index];
        let is_list = is_list(field);
        if is_list && self.list == Some(index) {
            return Ok(());
        }
        if index < self.written || self.list.is_some_and(|list| list >= index) {
            return Err(order(field));
        }
        if is_member {
            self.flush(writer, index)?;
            writer.key(field);
        }
        self.claim_oneof(writer, index)?;
        self.written = index + 1;
        if is_list {
            writer.begin(b'[');
            self.list = Some(index);
        }
        Ok(())
    }

    /// Writes what is held back, and the defaults of the fields before this index.
    fn flush(&mut self, writer: &mut JsonWriter<'_>, before: usize) -> Result<()> {
        if self.list.take().is_some() {
            writer.end(b']');
        }
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() && self.last_held >= before {
            return Err(order(&writer.schema[self.id].fields()[self.last_held]));
        }
        if !held.is_empty() {
            self.claim_oneof(writer, self.last_held)?;
        }
        if self.written < before {
            writer.some_members(self.id, self.written..before, &held, self.depth)?;
            self.written = before;
        }
        Ok(())
    }

    /// A member of a oneof replaces another one, which must not be out already.
    fn claim_oneof(&mut self, writer: &JsonWriter<'_>, index: usize) -> Result<()> {
        let fields = writer.schema[self.id].fields();
        let Some(oneof) = fields[index].oneof else { return Ok(()) };
        if self.of_oneofs.iter().any(|other| *other != index && fields[*other].oneof == Some(oneof)) {
            return Err(order(&fields[index]));
        }
        self.of_oneofs.push(index);
        Ok(())
    }

    /// Ends a message of which only one field is written.
    fn finish_only(&mut self, writer: &mut JsonWriter<'_>, only: FieldId) -> Result<()> {
        if self.list.take().is_some() {
            writer.end(b']');
        } else if self.written == 0 {
            let held = std::mem::take(&mut self.held);
            writer.field(only, &held)?;
        }
        Ok(())
    }
}

/// Whether the elements of a field are written one by one, as they arrive.
fn is_list(field: &Field) -> bool {
    matches!(field.cardinality(), Cardinality::Repeated { .. })
}

fn order(field: &Field) -> WireToJsonError {
    WireToJsonError::from(ReplyProblem::Order).within(field.json_name())
}
