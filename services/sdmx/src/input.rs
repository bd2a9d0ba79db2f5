//! The bytes below the XML reader: unpacked, in UTF-8, counted, and bounded.
//!
//! The XML reader gathers a whole text or tag before it hands it out, so a bound above it would come too late. This
//! `BufRead` therefore lets no event see more than its bound, and knows at any time where in the document it stands.

use std::io::{self, BufRead, Read};
use std::mem;

use memchr::memchr_iter;

use super::error::{Fault, ParseError, Position};
use super::limits::Limits;

mod encoding;
mod source;

pub use encoding::Encoding;
use source::Source;

/// How much is asked of the source at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Enough to hold any XML declaration, and with it the name of the encoding.
const HEAD_BYTES: usize = 1 << 10;

/// A document as UTF-8, whatever it was sent as. Errors come in two steps, because `BufRead` only knows `io::Error`:
/// the reader above gets a stand-in, and asks [`Input::take_error`] for the fact.
#[derive(Debug)]
pub(super) struct Input<R> {
    source: Source<R>,
    encoding: Encoding,
    /// As it came: `held` bytes, the rest is room.
    undecoded: Vec<u8>,
    held: usize,
    /// The current chunk in UTF-8: `end` bytes, the rest is room; consumed up to `at`.
    chunk: Vec<u8>,
    end: usize,
    at: usize,
    /// How far into `chunk` the current event may see.
    window: usize,
    event: EventStart,
    /// The first byte of `chunk`, and a later one that was asked for, so that lines are counted once only.
    base: Position,
    cursor: (usize, Position),
    /// Bytes taken from the source, after unpacking.
    taken: u64,
    document_bytes: u64,
    event_bytes: usize,
    started: bool,
    error: Option<ParseError>,
    /// A fault in the bytes after `chunk`, which is handed out first.
    pending: Option<ParseError>,
}

/// Where the current event began.
#[derive(Debug)]
struct EventStart {
    /// In `chunk`; 0 when it began earlier.
    at: usize,
    /// Its bytes in earlier chunks.
    before: usize,
    /// Its place, when it began in an earlier chunk.
    place: Option<Position>,
}

impl<R: Read> Input<R> {
    /// Wraps `read`, of which nothing is read yet.
    pub(super) fn new(read: R, limits: &Limits) -> Self {
        Self {
            source: Source::new(read),
            encoding: Encoding::Utf8,
            undecoded: Vec::new(),
            held: 0,
            chunk: Vec::new(),
            end: 0,
            at: 0,
            window: 0,
            event: EventStart { at: 0, before: 0, place: None },
            base: Position::START,
            cursor: (0, Position::START),
            taken: 0,
            document_bytes: limits.document_bytes,
            event_bytes: limits.event_bytes,
            started: false,
            error: None,
            pending: None,
        }
    }

    /// Starts a new event at the current byte: its count begins at zero.
    #[inline]
    pub(super) fn begin_event(&mut self) {
        self.event = EventStart { at: self.at, before: 0, place: None };
        self.window = self.end.min(self.at.saturating_add(self.event_bytes).saturating_add(1));
    }

    /// Passes over white space, and starts a new event behind it. To skip it here costs a fraction of what it costs as
    /// an event, and in catalogues every other event is white space. A run of it is bounded like any text.
    #[inline]
    pub(super) fn skip_white_space(&mut self) {
        match white_space(&self.chunk[self.at..self.end]) {
            Some(count) if count <= self.event_bytes => {
                self.at += count;
                self.begin_event();
            }
            _ => self.skip_far(),
        }
    }

    /// [`Input::skip_white_space`] to the end of the chunk or beyond.
    #[cold]
    fn skip_far(&mut self) {
        self.begin_event();
        loop {
            let ahead = &self.chunk[self.at..self.window];
            if let Some(count) = white_space(ahead) {
                self.at += count;
                return self.begin_event();
            }
            self.at = self.window;
            // An error waits for whoever reads on.
            if !self.fill_buf().is_ok_and(|ahead| !ahead.is_empty()) {
                return;
            }
        }
    }

    /// Where the current event began.
    pub(super) fn event_position(&mut self) -> Position {
        match self.event.place {
            Some(place) => place,
            None => self.locate(self.event.at),
        }
    }

    /// The encoding found; UTF-8 before the first byte was read.
    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Why the last `io::Error` came. To be asked once: there is nothing to read after it.
    pub(super) fn take_error(&mut self) -> Option<ParseError> {
        self.error.take()
    }

    /// Counts on from the last place asked for, or from the start of the chunk when asked to go back.
    fn locate(&mut self, index: usize) -> Position {
        let (from, known) = if self.cursor.0 <= index { self.cursor } else { (0, self.base) };
        let position = known.after(&self.chunk[from..index], self.encoding);
        self.cursor = (index, position);
        position
    }

    /// Replaces the consumed chunk by the next one; an empty one at the end of the document.
    #[cold]
    fn refill(&mut self) -> Result<(), ParseError> {
        let used = self.event.before + self.at - self.event.at;
        if used > self.event_bytes {
            let position = self.event_position();
            return Err(ParseError { fault: Fault::EventTooLarge { limit: self.event_bytes }, position });
        }
        let place = self.event_position();
        self.base = self.locate(self.at);
        self.cursor = (0, self.base);
        (self.end, self.at, self.window) = (0, 0, 0);
        self.event = EventStart { at: 0, before: used, place: Some(place) };
        self.next_chunk()?;
        self.window = self.end.min((self.event_bytes - used).saturating_add(1));
        Ok(())
    }

    fn next_chunk(&mut self) -> Result<(), ParseError> {
        let first = !mem::replace(&mut self.started, true);
        if first {
            self.start()?;
        }
        while self.end == 0 {
            if let Some(error) = self.pending.take() {
                return Err(error);
            }
            let at_end = !(first && self.held > 0) && self.take()? == 0;
            self.decode(at_end);
            if at_end && self.pending.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Finds out the encoding from the first bytes, and leaves out the byte order mark.
    fn start(&mut self) -> Result<(), ParseError> {
        while self.held < HEAD_BYTES && !self.undecoded[..self.held].contains(&b'>') {
            if self.take()? == 0 {
                break;
            }
        }
        let (encoding, mark) = Encoding::detect(&self.undecoded[..self.held])
            .map_err(|fault| ParseError { fault, position: Position::START })?;
        self.encoding = encoding;
        self.undecoded.copy_within(mark..self.held, 0);
        self.held -= mark;
        self.base.offset = mark as u64;
        self.cursor = (0, self.base);
        self.event.place = Some(self.base);
        self.decode(false);
        Ok(())
    }

    /// Takes more bytes from the source; how many came, 0 at the end.
    fn take(&mut self) -> Result<usize, ParseError> {
        let left = usize::try_from(self.document_bytes - self.taken).unwrap_or(CHUNK_BYTES);
        // At the bound one byte more is asked for: a document that ends there is not too large.
        let want = CHUNK_BYTES.min(left).max(1);
        if self.undecoded.len() < self.held + want {
            self.undecoded.resize(self.held + CHUNK_BYTES, 0);
        }
        let room = &mut self.undecoded[self.held..self.held + want];
        let read = loop {
            match self.source.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let fault = match read {
            Ok(read) if left > 0 || read == 0 => {
                self.held += read;
                self.taken += read as u64;
                return Ok(read);
            }
            Ok(_) => Fault::DocumentTooLarge { limit: self.document_bytes },
            Err(error) => self.source.fault(error),
        };
        let line = self.base.line;
        Err(ParseError { fault, position: Position { offset: self.taken, line } })
    }

    /// Makes a chunk of what was taken. Half a character is kept for the next one.
    fn decode(&mut self, at_end: bool) {
        if self.encoding == Encoding::Utf8 {
            // The XML reader checks it event by event, so it is not checked twice.
            mem::swap(&mut self.chunk, &mut self.undecoded);
            self.end = mem::take(&mut self.held);
            return;
        }
        self.chunk.clear();
        let (used, valid) = self.encoding.decode(&self.undecoded[..self.held], &mut self.chunk);
        self.end = self.chunk.len();
        self.undecoded.copy_within(used..self.held, 0);
        self.held -= used;
        if !valid || (at_end && self.held > 0) {
            let position = self.base.after(&self.chunk, self.encoding);
            self.pending =
                Some(ParseError { fault: Fault::InvalidEncoding { encoding: self.encoding }, position });
        }
    }
}

/// How much white space `text` begins with; none when it is nothing else. Indentation is a line end and many spaces,
/// so these are taken eight at a time.
#[inline]
fn white_space(text: &[u8]) -> Option<usize> {
    const SPACES: [u8; 8] = [b' '; 8];
    let mut count = 0;
    loop {
        while text[count..].first_chunk() == Some(&SPACES) {
            count += SPACES.len();
        }
        match text.get(count)? {
            b' ' | b'\n' | b'\r' | b'\t' => count += 1,
            _ => return Some(count),
        }
    }
}

impl Position {
    /// The place behind `text`, which is in UTF-8 now and was sent in `encoding`.
    fn after(self, text: &[u8], encoding: Encoding) -> Self {
        Self {
            offset: self.offset + encoding.bytes_of(text),
            line: self.line + memchr_iter(b'\n', text).count() as u64,
        }
    }
}

// === impl BufRead ===

impl<R: Read> BufRead for Input<R> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.window {
            // An error stays until it is taken: who looks ahead must not read past it.
            if self.error.is_none() {
                self.error = self.refill().err();
            }
            if self.error.is_some() {
                return Err(io::Error::other("see Input::take_error"));
            }
        }
        Ok(&self.chunk[self.at..self.window])
    }

    #[inline]
    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(into.len());
        into[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}
