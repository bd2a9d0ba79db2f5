//! Strings: UTF-8, escapes, surrogates. Most are within one chunk and have no escapes, so that they are copied at once.

use std::io::{BufRead, Read};
use std::mem;

use memchr::memchr2;

use super::{Json, malformed, shown};
use crate::error::{Fault, ParseError, Position};

/// Stands for a surrogate without the other one of its pair, which no text can have. Like control characters it is none
/// that XML allows, so that texts show U+FFFD in its place and report it.
const UNPAIRED: char = '\u{ffff}';

impl<R: Read> Json<R> {
    /// Reads a string, at its opening quote. Its text is kept on request.
    #[inline]
    pub(super) fn string(&mut self, keep: bool) -> Result<(), ParseError> {
        let Some(text) = plain(self.input.ahead()) else { return self.string_with_escapes() };
        if keep {
            self.text.clear();
            self.text.push_str(text);
        }
        let length = text.len();
        self.input.consume(length + 2);
        Ok(())
    }

    /// Reads a string that has escapes, crosses chunks, or is invalid.
    #[cold]
    fn string_with_escapes(&mut self) -> Result<(), ParseError> {
        self.bytes.clear();
        self.valid = 0;
        self.input.consume(1);
        // The first surrogate of a pair whose second one may follow.
        let mut high = None;
        loop {
            let Some(_) = self.current()? else {
                let expected = "its closing quote, and the end of the root object".to_owned();
                return Err(self.error(Fault::Truncated { inside: "inside a string".to_owned(), expected }));
            };
            let ahead = self.input.ahead();
            let run = ahead.iter().position(|&byte| is_special(byte)).unwrap_or(ahead.len());
            let special = ahead.get(run).copied();
            if run > 0 {
                push_unpaired(&mut high, &mut self.bytes, &mut self.valid);
                self.bytes.extend_from_slice(&self.input.ahead()[..run]);
                self.input.consume(run);
            }
            self.check_utf8(special.is_some())?;
            match special {
                None => {}
                Some(b'"') => break,
                Some(b'\\') => self.escape(&mut high)?,
                Some(control) => {
                    let expected = "an escape, since strings have no control characters";
                    return Err(self.error_here(format!("found {}", shown(control)), expected));
                }
            }
        }
        self.input.consume(1);
        push_unpaired(&mut high, &mut self.bytes, &mut self.valid);
        self.text.clear();
        self.text.push_str(str::from_utf8(&self.bytes).expect("each run of the string was checked"));
        Ok(())
    }

    /// Checks the bytes that were not checked yet. An incomplete character may be completed by the next chunk, if the
    /// run of bytes is not `complete`.
    fn check_utf8(&mut self, complete: bool) -> Result<(), ParseError> {
        let Err(error) = str::from_utf8(&self.bytes[self.valid..]) else {
            self.valid = self.bytes.len();
            return Ok(());
        };
        self.valid += error.valid_up_to();
        if !complete && error.error_len().is_none() {
            return Ok(());
        }
        // They are as they were sent, because only UTF-8 is not validated before, and without line ends.
        let unchecked = (self.bytes.len() - self.valid) as u64;
        let here = self.input.here();
        let position = Position { offset: here.offset - unchecked, ..here };
        Err(ParseError { fault: Fault::InvalidEncoding { encoding: self.input.encoding() }, position })
    }

    /// Reads an escape, at its backslash.
    fn escape(&mut self, high: &mut Option<u32>) -> Result<(), ParseError> {
        self.input.consume(1);
        let character = match self.current()? {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unit(high),
            // The string reports its end.
            None => return Ok(()),
            Some(byte) => {
                let found = format!("found the escape of {}", shown(byte));
                return Err(self.error_here(found, "one of \" \\ / b f n r t u after a backslash"));
            }
        };
        self.input.consume(1);
        push_unpaired(high, &mut self.bytes, &mut self.valid);
        self.push(character);
        Ok(())
    }

    /// Reads the UTF-16 unit of an escape, at its `u`.
    fn unit(&mut self, high: &mut Option<u32>) -> Result<(), ParseError> {
        self.input.consume(1);
        let mut unit = 0;
        for _ in 0..4 {
            let Some(byte) = self.current()? else { return Ok(()) };
            let Some(digit) = char::from(byte).to_digit(16) else {
                let found = format!("found {} in an escape", shown(byte));
                return Err(self.error_here(found, "four hexadecimal digits after \\u"));
            };
            unit = unit << 4 | digit;
            self.input.consume(1);
        }
        if let (Some(first), 0xdc00..0xe000) = (*high, unit) {
            *high = None;
            let character = 0x1_0000 + ((first - 0xd800) << 10) + (unit - 0xdc00);
            self.push(char::from_u32(character).unwrap_or(UNPAIRED));
            return Ok(());
        }
        push_unpaired(high, &mut self.bytes, &mut self.valid);
        match unit {
            0xd800..0xdc00 => *high = Some(unit),
            unit => self.push(char::from_u32(unit).unwrap_or(UNPAIRED)),
        }
        Ok(())
    }

    fn push(&mut self, character: char) {
        push(character, &mut self.bytes, &mut self.valid);
    }

    /// An error at the next byte.
    fn error_here(&mut self, found: String, expected: &str) -> ParseError {
        ParseError { fault: malformed(found, expected), position: self.input.here() }
    }
}

/// The string that starts here, if it is complete, valid, and without escapes.
#[inline]
fn plain(ahead: &[u8]) -> Option<&str> {
    let ahead = ahead.get(1..)?;
    let end = memchr2(b'"', b'\\', ahead)?;
    let text = &ahead[..end];
    // Not `any`, which would stop at the first and so check one byte at a time.
    let has_controls = text.iter().fold(false, |found, &byte| found | (byte < b' '));
    if ahead[end] == b'"' && !has_controls { str::from_utf8(text).ok() } else { None }
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | ..b' ')
}

/// Appends a character to bytes that are all checked.
fn push(character: char, bytes: &mut Vec<u8>, valid: &mut usize) {
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    *valid = bytes.len();
}

/// The second surrogate of the pair did not follow.
fn push_unpaired(high: &mut Option<u32>, bytes: &mut Vec<u8>, valid: &mut usize) {
    if mem::take(high).is_some() {
        push(UNPAIRED, bytes, valid);
    }
}
