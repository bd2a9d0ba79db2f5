//! Writes the JSON of a message as its bytes arrive, so that memory holds one element of a list and not the message. It
//! relies on the order that encoders keep: fields by number, except those of a oneof, which may come earlier; the
//! elements of a list together. A message in another order is an error, since what is out cannot be taken back.

mod arriving;
mod open;

use std::sync::Arc;

use super::occurrences::{accepts, fits};
use super::{JsonWriter, Result, Style, Suspended};
use crate::schema::{Cardinality, FieldId, MessageId, Schema};
use crate::wire::{WireError, WireType};

use arriving::Arriving;
use open::{Open, Whole, is_list};

/// A message from this size on is written member by member; a smaller one as a whole.
const LARGE: usize = if cfg!(test) { 16 } else { 64 * 1024 };

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
    /// How much of a group must have arrived before its end is looked for again.
    retry_at: usize,
}

// === impl IncrementalWriter ===

impl IncrementalWriter {
    /// A writer of a message of `length` bytes, or of one of its fields. A message of unknown length ends with
    /// [`Self::finish`]. What is written at once, such as an element of a list, has at most `max_bytes` of JSON.
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
        Self {
            schema,
            writer,
            buffer: Vec::new(),
            open,
            only,
            left: length.unwrap_or(usize::MAX),
            retry_at: 0,
        }
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
        // The next part is about as long as this one.
        let next = Vec::with_capacity(self.writer.out.len().min(LARGE));
        std::mem::replace(&mut self.writer.out, next)
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

    /// Writes or holds back the field that begins at `at`, or opens it. Returns how much of it is consumed; 0 if more
    /// of it must arrive.
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
        // A group has no length: its end is looked for again when twice as much of it has arrived.
        if available.len() < self.retry_at.min(end_of_open) {
            return Ok(0);
        }
        self.retry_at = 0;
        let Some((length, value)) = arriving.whole(available, open.depth)? else {
            self.retry_at = if arriving.wire_type == WireType::StartGroup { available.len() * 2 } else { 0 };
            return if available.len() >= end_of_open { Err(WireError::Truncated.into()) } else { Ok(0) };
        };
        let fields = writer.schema[open.id].fields();
        let is_of_field = |index: usize| {
            accepts(writer.schema, &fields[index], &available[value.clone()], arriving.wire_type)
        };
        if let Some(index) = index
            && is_of_field(index)?
        {
            let is_only = is_root && self.only.is_some();
            let whole = Whole { bytes: &available[..length], value, wire_type: arriving.wire_type };
            open.field(writer, index, &whole, is_only)?;
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
