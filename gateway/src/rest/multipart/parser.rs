//! Splits a body into its parts (RFC 2046, 5.1.1) as its bytes arrive. Separate from the stream of the body, so that every
//! way of arriving can be tested without one.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem::{self, Finder};

use super::PartLimits;
use super::boundary::Boundary;
use super::error::MultipartError;
use super::head;

/// The most bytes before the first part and after the last one, which are ignored. No client sends them: text for
/// readers of mail that do not know parts.
pub(super) const MAX_IGNORED: usize = 1024;

/// The end of the headers of a part: that of the last line, and a blank one. The end of the line before the first
/// header counts as one, so that it is the same without headers.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// What has been found in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// A part begins, with this media type.
    Part(String),
    /// Some bytes of it.
    Data(Bytes),
}

/// A body that is being split. It keeps the bytes of which it is not clear yet what they are: a beginning of a delimiter, or
/// of the head of a part.
#[derive(Debug)]
pub(super) struct Parser {
    delimiter: Finder<'static>,
    limits: PartLimits,
    state: State,
    buffer: BytesMut,
    /// The parts that have begun.
    parts: usize,
}

/// What the buffer begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Text before the first part, of which so many bytes were ignored.
    Preamble { ignored: usize },
    /// What follows a delimiter on its line.
    Delimited,
    /// The head of a part, with the end of the line before it.
    Head,
    /// Data of a part, after so many bytes that belong to its head.
    Data { skipped: usize },
    /// Text after the last part, of which so many bytes were ignored.
    Epilogue { ignored: usize },
}

/// Where a delimiter is in the buffer.
enum Found {
    At(usize),
    /// Not before here.
    NotBefore(usize),
}

// === impl Parser ===

impl Parser {
    pub(super) fn new(boundary: &Boundary, limits: PartLimits) -> Self {
        Self {
            delimiter: Finder::new(boundary.delimiter().as_bytes()).into_owned(),
            limits,
            state: State::Preamble { ignored: 0 },
            // As if a line ended before the body: only the first delimiter may lack that.
            buffer: BytesMut::from("\r\n"),
            parts: 0,
        }
    }

    /// Adds bytes that have arrived. There are no more events of those before.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event in what has arrived, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<Event>, MultipartError> {
        loop {
            match self.state {
                State::Preamble { ignored } => match self.find() {
                    Found::At(at) => {
                        self.ignore(ignored + at)?;
                        self.delimited(at);
                    }
                    Found::NotBefore(at) => {
                        self.ignore(ignored + at)?;
                        self.buffer.advance(at);
                        self.state = State::Preamble { ignored: ignored + at };
                        return Ok(None);
                    }
                },
                State::Delimited => match self.after_delimiter()? {
                    Some(state) => self.state = state,
                    None => return Ok(None),
                },
                State::Head => {
                    let Some(media_type) = self.head()? else { return Ok(None) };
                    return Ok(Some(Event::Part(media_type)));
                }
                State::Data { skipped } => {
                    let (at, ends) = match self.find() {
                        Found::At(at) => (at, true),
                        Found::NotBefore(at) => (at, false),
                    };
                    if at > 0 {
                        let mut data = self.buffer.split_to(at).freeze();
                        data.advance(skipped);
                        self.state = State::Data { skipped: 0 };
                        if !data.is_empty() {
                            return Ok(Some(Event::Data(data)));
                        }
                    }
                    if !ends {
                        return Ok(None);
                    }
                    self.delimited(0);
                }
                State::Epilogue { ignored } => {
                    let ignored = ignored + self.buffer.len();
                    self.buffer.clear();
                    self.state = State::Epilogue { ignored };
                    if ignored > MAX_IGNORED {
                        return Err(MultipartError::EpilogueTooLong { limit: MAX_IGNORED });
                    }
                    return Ok(None);
                }
            }
        }
    }

    /// Whether the body may end here.
    pub(super) fn finish(&self) -> Result<(), MultipartError> {
        match self.state {
            State::Epilogue { .. } => Ok(()),
            _ => Err(MultipartError::Truncated { part: self.parts }),
        }
    }

    /// Looks for a delimiter. The last bytes may be its beginning.
    fn find(&self) -> Found {
        if let Some(at) = self.delimiter.find(&self.buffer) {
            return Found::At(at);
        }
        let delimiter = self.delimiter.needle();
        let length = self.buffer.len();
        let mut possible = length.saturating_sub(delimiter.len() - 1)..length;
        Found::NotBefore(possible.find(|at| delimiter.starts_with(&self.buffer[*at..])).unwrap_or(length))
    }

    /// Passes over a delimiter that is here.
    fn delimited(&mut self, at: usize) {
        self.buffer.advance(at + self.delimiter.needle().len());
        self.state = State::Delimited;
    }

    /// Checks the text before the first part, of so many bytes with the end of a line before it.
    fn ignore(&self, bytes: usize) -> Result<(), MultipartError> {
        match bytes.saturating_sub(2) > MAX_IGNORED {
            true => Err(MultipartError::DelimiterMissing { limit: MAX_IGNORED }),
            false => Ok(()),
        }
    }

    /// What begins after a delimiter; none if that is not clear yet. A line that goes on may belong to a longer boundary:
    /// programs disagree on it.
    fn after_delimiter(&mut self) -> Result<Option<State>, MultipartError> {
        let padding = self.buffer.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let rest = &self.buffer[padding..];
        if padding > self.limits.head_bytes {
            return Err(MultipartError::DelimiterMalformed { part: self.parts });
        }
        if rest.starts_with(b"\r\n") {
            self.buffer.advance(padding);
            self.parts += 1;
            return match self.parts > self.limits.parts {
                true => Err(MultipartError::TooManyParts { limit: self.limits.parts }),
                false => Ok(Some(State::Head)),
            };
        }
        if padding == 0 && rest.starts_with(b"--") {
            self.buffer.advance(2);
            return match self.parts {
                0 => Err(MultipartError::NoParts),
                _ => Ok(Some(State::Epilogue { ignored: 0 })),
            };
        }
        let is_open = b"\r\n".starts_with(rest) || padding == 0 && b"--".starts_with(rest);
        if is_open { Ok(None) } else { Err(MultipartError::DelimiterMalformed { part: self.parts }) }
    }

    /// The media type in the head of a part, once that is complete.
    fn head(&mut self) -> Result<Option<String>, MultipartError> {
        let (part, limit) = (self.parts, self.limits.head_bytes);
        let end = memmem::find(&self.buffer, HEAD_END);
        // The last bytes may be a beginning of its end.
        let at_least = end.unwrap_or_else(|| self.buffer.len().saturating_sub(HEAD_END.len() - 1));
        if at_least.saturating_sub(2) > limit {
            return Err(MultipartError::HeadTooLarge { part, limit });
        }
        let Some(end) = end else { return Ok(None) };
        let head = self.buffer.get(2..end).unwrap_or_default();
        let media_type =
            head::media_type(head).map_err(|error| MultipartError::HeadInvalid { part, error })?;
        // A delimiter may follow at once, which begins with the end of the blank line.
        self.buffer.advance(end + 2);
        self.state = State::Data { skipped: 2 };
        Ok(Some(media_type))
    }
}
