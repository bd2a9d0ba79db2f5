//! The byte input of the readers of XML and JSON: decompresses, transcodes to UTF-8, counts and limits.
//!
//! These readers buffer a whole text, tag or string before they return it, so a limit above them would take effect too
//! late. This `BufRead` therefore never exposes more of an event than its limit, and always knows its position in the
//! document.

use std::io::{self, BufRead, Read};
use std::mem;

use memchr::memchr_iter;

use super::encoding::Encoding;
use super::error::{Fault, ParseError, Position};
use super::limits::Limits;

mod buf_read;
mod chunk;
mod decode;
mod encoding;
mod source;
mod white_space;

use chunk::Chunk;
use source::Source;
use white_space::white_space;

/// Bytes requested from the source per read.
const CHUNK_BYTES: usize = 64 << 10;

/// A document as UTF-8, in whatever encoding it was sent. Errors are reported in two steps, because `BufRead` only has
/// `io::Error`: quick-xml gets a placeholder, and its caller gets the typed error from [`Input::take_error`].
#[derive(Debug)]
pub(super) struct Input<R> {
    source: Source<R>,
    encoding: Encoding,
    /// Bytes as received: the first `filled` are valid, the rest is spare capacity.
    undecoded: Vec<u8>,
    filled: usize,
    /// The current chunk, consumed up to `at`.
    chunk: Chunk,
    at: usize,
    /// End of the part of `chunk` that the current event may read.
    window: usize,
    event: EventStart,
    /// The position of the first byte of `chunk`, and a later one that was requested last, so that lines are counted
    /// only once.
    base: Position,
    cursor: (usize, Position),
    /// Bytes received from the source, after decompression.
    received: u64,
    document_bytes: u64,
    event_bytes: usize,
    started: bool,
    error: Option<ParseError>,
    /// An error in the bytes after `chunk`; `chunk` is returned first.
    pending: Option<ParseError>,
    /// The first byte that the declared encoding has as a control character, and the one in use as a character.
    mislabeled: Option<Position>,
}

/// Start of the current event.
#[derive(Debug)]
struct EventStart {
    /// Index in `chunk`; 0 if the event started in an earlier chunk.
    at: usize,
    /// Bytes of the event in earlier chunks.
    before: usize,
    /// Its position, if it started in an earlier chunk.
    position: Option<Position>,
}

impl<R: Read> Input<R> {
    /// Wraps `read`, from which nothing has been read yet.
    pub(super) fn new(read: R, limits: &Limits) -> Self {
        Self::of(Source::new(read), limits)
    }

    fn of(source: Source<R>, limits: &Limits) -> Self {
        Self {
            source,
            encoding: Encoding::Utf8,
            undecoded: Vec::new(),
            filled: 0,
            chunk: Chunk::default(),
            at: 0,
            window: 0,
            event: EventStart { at: 0, before: 0, position: None },
            base: Position::START,
            cursor: (0, Position::START),
            received: 0,
            document_bytes: limits.document_bytes,
            event_bytes: limits.event_bytes,
            started: false,
            error: None,
            pending: None,
            mislabeled: None,
        }
    }

    /// Counts positions as those of the document with this number. To be called before anything is read.
    pub(super) fn set_document(&mut self, document: u32) {
        self.base = Position::start_of(document);
        self.cursor = (0, self.base);
    }

    /// Starts a new event at the current byte and resets its byte count.
    #[inline]
    pub(super) fn begin_event(&mut self) {
        self.event = EventStart { at: self.at, before: 0, position: None };
        self.window =
            self.chunk.bytes().len().min(self.at.saturating_add(self.event_bytes).saturating_add(1));
    }

    /// Skips white space and starts a new event after it. Skipping it here costs a fraction of its cost as an event,
    /// and in catalogues every other event is white space. A run of white space has the same limit as any text.
    #[inline]
    pub(super) fn skip_white_space(&mut self) {
        match white_space(&self.chunk.bytes()[self.at..]) {
            Some(count) if count <= self.event_bytes => {
                self.at += count;
                self.begin_event();
            }
            _ => self.skip_white_space_slow(),
        }
    }

    /// Slow path of [`Input::skip_white_space`]: up to the end of the chunk or beyond.
    #[cold]
    fn skip_white_space_slow(&mut self) {
        self.begin_event();
        loop {
            let ahead = &self.chunk.bytes()[self.at..self.window];
            if let Some(count) = white_space(ahead) {
                self.at += count;
                return self.begin_event();
            }
            self.at = self.window;
            // The error stays stored; the next read returns it.
            if !self.fill_buf().is_ok_and(|ahead| !ahead.is_empty()) {
                return;
            }
        }
    }

    /// The bytes that the current event may read and that have arrived.
    #[inline]
    pub(super) fn available(&self) -> &[u8] {
        &self.chunk.bytes()[self.at..self.window]
    }

    /// Whether the current chunk is valid UTF-8, so that [`Input::consumed`] has text.
    #[inline]
    pub(super) fn is_text(&self) -> bool {
        self.chunk.text().is_some()
    }

    /// The last bytes that were consumed; "" if the chunk is not valid.
    #[inline]
    pub(super) fn consumed(&self, bytes: usize) -> &str {
        self.chunk.text().map_or("", |text| &text[self.at - bytes..self.at])
    }

    /// Position of the start of the current event.
    pub(super) fn event_position(&mut self) -> Position {
        match self.event.position {
            Some(position) => position,
            None => self.locate(self.event.at),
        }
    }

    /// Position of the next byte.
    pub(super) fn here(&mut self) -> Position {
        self.locate(self.at)
    }

    /// The bytes that `fill_buf` returned last, without those that were consumed since.
    #[inline]
    pub(super) fn ahead(&self) -> &[u8] {
        self.available()
    }

    /// The first byte that is not white space, if the first bytes have one. Nothing is consumed; an error is returned
    /// when the document is read. To be called before anything is read.
    pub(super) fn first_byte(&mut self) -> Option<u8> {
        self.begin_event();
        let head = self.fill_buf().ok()?;
        white_space(head).map(|count| head[count])
    }

    /// Moves the document out, if another reader than expected is needed. What is left is an empty document.
    pub(super) fn take(&mut self, limits: &Limits) -> Self {
        mem::replace(self, Self::of(Source::empty(), limits))
    }

    /// The detected encoding; UTF-8 before the first byte was read.
    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The first byte that shows that the document is not in the part of ISO 8859 that it declares.
    pub(super) fn mislabeled(&self) -> Option<Position> {
        self.mislabeled
    }

    /// The cause of the last `io::Error`. Call it once: nothing can be read after it.
    pub(super) fn take_error(&mut self) -> Option<ParseError> {
        self.error.take()
    }

    /// Position of a byte of `chunk`. Counts from the last requested one, or from the start of the chunk if that one is
    /// later.
    fn locate(&mut self, index: usize) -> Position {
        let (from, known) = if self.cursor.0 <= index { self.cursor } else { (0, self.base) };
        let position = known.after(&self.chunk.bytes()[from..index], self.encoding);
        self.cursor = (index, position);
        position
    }

    /// Replaces the consumed chunk with the next one; with an empty one at the end of the document.
    #[cold]
    fn refill(&mut self) -> Result<(), ParseError> {
        let used = self.event.before + self.at - self.event.at;
        if used > self.event_bytes {
            let position = self.event_position();
            return Err(ParseError { fault: Fault::EventTooLarge { limit: self.event_bytes }, position });
        }
        let position = self.event_position();
        self.base = self.locate(self.at);
        self.cursor = (0, self.base);
        self.recycle();
        self.event = EventStart { at: 0, before: used, position: Some(position) };
        self.next_chunk()?;
        self.window = self.chunk.bytes().len().min((self.event_bytes - used).saturating_add(1));
        Ok(())
    }

    fn next_chunk(&mut self) -> Result<(), ParseError> {
        if !mem::replace(&mut self.started, true) {
            self.start()?;
        }
        while self.chunk.bytes().is_empty() {
            if let Some(error) = self.pending.take() {
                return Err(error);
            }
            let at_end = self.read_more()? == 0;
            self.decode(at_end);
            if at_end && self.pending.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Detects the encoding from the first bytes, and strips the byte order mark.
    fn start(&mut self) -> Result<(), ParseError> {
        let mut blank = 0;
        while !white_space::is_enough(&self.undecoded[..self.filled], &mut blank) && self.read_more()? > 0 {}
        let (encoding, mark) = Encoding::detect(&self.undecoded[..self.filled])
            .map_err(|fault| ParseError { fault, position: self.base })?;
        self.encoding = encoding;
        self.undecoded.copy_within(mark..self.filled, 0);
        self.filled -= mark;
        self.base.offset = mark as u64;
        self.cursor = (0, self.base);
        self.event.position = Some(self.base);
        self.decode(false);
        Ok(())
    }

    /// Reads more bytes from the source. Returns their number, 0 at the end.
    fn read_more(&mut self) -> Result<usize, ParseError> {
        let left = usize::try_from(self.document_bytes - self.received).unwrap_or(CHUNK_BYTES);
        // At the limit, one more byte is requested: a document that ends exactly there is not too large.
        let want = CHUNK_BYTES.min(left).max(1);
        if self.undecoded.len() < self.filled + want {
            self.undecoded.resize(self.filled + CHUNK_BYTES, 0);
        }
        let room = &mut self.undecoded[self.filled..self.filled + want];
        let read = loop {
            match self.source.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let fault = match read {
            Ok(read) if left > 0 || read == 0 => {
                self.filled += read;
                self.received += read as u64;
                return Ok(read);
            }
            Ok(_) => Fault::DocumentTooLarge { limit: self.document_bytes },
            Err(error) => self.source.fault(error),
        };
        Err(ParseError { fault, position: Position { offset: self.received, ..self.base } })
    }

    /// Empties the chunk, and keeps its memory.
    fn recycle(&mut self) {
        self.chunk.fill(&[]);
        (self.at, self.window) = (0, 0);
    }
}

impl Position {
    /// The position after `text`, which is UTF-8 now and was sent in `encoding`.
    fn after(self, text: &[u8], encoding: Encoding) -> Self {
        Self {
            offset: self.offset + encoding.bytes_of(text),
            line: self.line + memchr_iter(b'\n', text).count() as u64,
            ..self
        }
    }
}
