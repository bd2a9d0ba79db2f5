//! A pull parser for JSON over any `Read`, one value at a time. It validates all that it passes, enforces limits, and
//! types and positions every error. It has no knowledge of dataflows.
//!
//! It shares the input with the XML reader, because positions count bytes as they were sent, and because the limit of
//! one string must hold below the parser: libraries that read JSON from a stream have neither.

use std::io::{BufRead, Read};
use std::mem;

use super::error::{Fault, ParseError, Position};
use super::input::Input;
use super::limits::Limits;

mod number;
mod string;
mod words;

/// The reader.
#[derive(Debug)]
pub(super) struct Json<R: Read> {
    input: Input<R>,
    /// The last name, string or number.
    text: String,
    /// A string that has escapes or several chunks, while it is read. Validated up to `valid`.
    bytes: Vec<u8>,
    valid: usize,
    /// The open objects and arrays, outermost first.
    open: Vec<Open>,
    depth_limit: usize,
    /// The innermost one was opened last: no comma precedes what follows.
    is_first: bool,
    /// The name of a member was read: its colon and value follow.
    after_name: bool,
}

/// A value without its content: that of an object or array follows, that of a string or number is [`Json::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Object,
    Array,
    String,
    Number,
    Bool(bool),
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Object,
    Array,
}

/// Open objects and arrays per open element of the limit: what XML writes as one element within another is an object in
/// an array in an object.
const DEPTH_PER_ELEMENT: usize = 2;

/// Longer than any word of JSON.
const WORD_BYTES: usize = 16;

impl<R: Read> Json<R> {
    /// A reader of the document that `input` has, from which nothing was consumed yet.
    pub(super) fn new(input: Input<R>, limits: &Limits) -> Self {
        Self {
            input,
            text: String::new(),
            bytes: Vec::new(),
            valid: 0,
            open: Vec::new(),
            depth_limit: limits.depth.saturating_mul(DEPTH_PER_ELEMENT),
            is_first: false,
            after_name: false,
        }
    }

    /// Position of the start of the last name or value.
    pub(super) fn position(&mut self) -> Position {
        self.input.event_position()
    }

    /// Creates an error at that position.
    #[cold]
    pub(super) fn error(&mut self, fault: Fault) -> ParseError {
        ParseError { fault, position: self.position() }
    }

    /// The last name, or the last value if it is a string or a number, which is as written.
    #[inline]
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Reads the name of the next member of the innermost object; false at its end, which leaves it. The value must be
    /// read before the next member.
    #[inline]
    pub(super) fn member(&mut self) -> Result<bool, ParseError> {
        self.read_member(true)
    }

    /// Whether the innermost array has another element, which must be read; at its end, leaves it.
    #[inline]
    pub(super) fn element(&mut self) -> Result<bool, ParseError> {
        self.follows(b']')
    }

    /// Reads a value: the root, that of the member whose name was read, or the next element.
    #[inline]
    pub(super) fn value(&mut self) -> Result<Value, ParseError> {
        self.read_value(true)
    }

    /// Passes a value.
    pub(super) fn skip(&mut self) -> Result<(), ParseError> {
        let value = self.read_value(false)?;
        self.skip_content(value)
    }

    /// Passes the content of the value that was read last.
    pub(super) fn skip_content(&mut self, value: Value) -> Result<(), ParseError> {
        self.content(value).map(drop)
    }

    /// Passes the content of a value, and returns the number of values in it.
    pub(super) fn content(&mut self, value: Value) -> Result<u64, ParseError> {
        let mut values = 0;
        if !matches!(value, Value::Object | Value::Array) {
            return Ok(values);
        }
        let depth = self.open.len();
        while self.open.len() >= depth {
            let more = match self.open.last() {
                Some(Open::Object) => self.read_member(false)?,
                Some(Open::Array) => self.element()?,
                None => false,
            };
            if more {
                self.read_value(false)?;
                values += 1;
            }
        }
        Ok(values)
    }

    /// Checks that nothing follows the root.
    pub(super) fn end(&mut self) -> Result<(), ParseError> {
        match self.peek()? {
            None => Ok(()),
            Some(_) => Err(self.error(Fault::ContentAfterRoot)),
        }
    }

    #[inline]
    fn read_member(&mut self, keep: bool) -> Result<bool, ParseError> {
        if !self.follows(b'}')? {
            return Ok(false);
        }
        match self.peek()? {
            Some(b'"') => self.string(keep)?,
            other => return Err(self.unexpected(other, "the name of a member, in quotes")),
        }
        self.after_name = true;
        Ok(true)
    }

    #[inline]
    fn read_value(&mut self, keep: bool) -> Result<Value, ParseError> {
        if mem::take(&mut self.after_name) {
            match self.peek()? {
                Some(b':') => self.input.consume(1),
                other => return Err(self.unexpected(other, "':'")),
            }
        }
        match self.peek()? {
            Some(b'"') => self.string(keep).map(|()| Value::String),
            Some(b'{') => self.enter(Open::Object).map(|()| Value::Object),
            Some(b'[') => self.enter(Open::Array).map(|()| Value::Array),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| Value::Number),
            Some(byte) if byte.is_ascii_alphabetic() => self.word(),
            other => Err(self.unexpected(other, "a value")),
        }
    }

    /// Passes the comma before the next member or element. Returns false at the `end` of the innermost object or array,
    /// and leaves it.
    #[inline]
    fn follows(&mut self, end: u8) -> Result<bool, ParseError> {
        match self.peek()? {
            Some(byte) if byte == end => {
                self.input.consume(1);
                self.open.pop();
                self.is_first = false;
                Ok(false)
            }
            // What follows checks itself.
            _ if mem::take(&mut self.is_first) => Ok(true),
            Some(b',') => {
                self.input.consume(1);
                Ok(true)
            }
            other => Err(self.unexpected(other, if end == b'}' { "',' or '}'" } else { "',' or ']'" })),
        }
    }

    fn enter(&mut self, open: Open) -> Result<(), ParseError> {
        if self.open.len() == self.depth_limit {
            return Err(self.error(Fault::NestedTooDeep { limit: self.depth_limit }));
        }
        self.input.consume(1);
        self.open.push(open);
        self.is_first = true;
        Ok(())
    }

    /// `true`, `false` or `null`.
    fn word(&mut self) -> Result<Value, ParseError> {
        self.text.clear();
        while self.text.len() < WORD_BYTES
            && let Some(byte) = self.current()?
            && byte.is_ascii_alphanumeric()
        {
            self.text.push(char::from(byte));
            self.input.consume(1);
        }
        match self.text.as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "null" => Ok(Value::Null),
            word => {
                let found = format!("found {word}");
                Err(self.error(malformed(found, "a value")))
            }
        }
    }

    /// Skips white space, and starts an event at the byte after it; `None` at the end of the document.
    #[inline]
    fn peek(&mut self) -> Result<Option<u8>, ParseError> {
        self.input.skip_white_space();
        self.current()
    }

    /// The next byte; `None` at the end of the document.
    #[inline]
    fn current(&mut self) -> Result<Option<u8>, ParseError> {
        match self.input.fill_buf().map(|ahead| ahead.first().copied()) {
            Ok(byte) => Ok(byte),
            Err(_) => Err(self.input.take_error().expect("the input fails only with an error")),
        }
    }

    /// The error of a byte that the grammar does not allow at the start of the event.
    #[cold]
    fn unexpected(&mut self, byte: Option<u8>, expected: &str) -> ParseError {
        let fault = match byte {
            None => self.truncated(),
            Some(byte) => malformed(format!("found {}", shown(byte)), expected),
        };
        self.error(fault)
    }

    /// The document ended within an object or array.
    fn truncated(&self) -> Fault {
        let inside = match self.open.len() {
            0 => "before any value".to_owned(),
            depth => format!("{depth} objects and arrays deep"),
        };
        Fault::Truncated { inside, expected: "the end of the root object".to_owned() }
    }
}

fn malformed(found: String, expected: &str) -> Fault {
    Fault::MalformedJson { found, expected: expected.to_owned() }
}

/// A byte, for a message.
fn shown(byte: u8) -> String {
    if byte.is_ascii_graphic() { format!("'{}'", char::from(byte)) } else { format!("byte {byte:#04x}") }
}

#[cfg(test)]
mod tests;
