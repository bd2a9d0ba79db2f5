//! Numbers: validated, and kept as written.

use std::io::{BufRead, Read};

use super::{Json, malformed};
use crate::error::ParseError;

impl<R: Read> Json<R> {
    /// Reads a number, up to the first byte that no number has.
    pub(super) fn number(&mut self) -> Result<(), ParseError> {
        self.text.clear();
        while let Some(byte @ (b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) = self.current()? {
            self.text.push(char::from(byte));
            self.input.consume(1);
        }
        if is_number(self.text.as_bytes()) {
            return Ok(());
        }
        let found = format!("found {:?}", self.text.chars().take(40).collect::<String>());
        Err(self.error(malformed(found, "a number")))
    }
}

/// Whether a text is a number by the grammar of JSON: an integer without leading zeros, a fraction, an exponent.
fn is_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (integer, text) = digits(text);
    let (fraction, text) = match text.strip_prefix(b".") {
        Some(text) => digits(text),
        None => (&b"0"[..], text),
    };
    let (exponent, rest) = match text.strip_prefix(b"e").or_else(|| text.strip_prefix(b"E")) {
        Some(text) => digits(text.strip_prefix(b"+").or_else(|| text.strip_prefix(b"-")).unwrap_or(text)),
        None => (&b"0"[..], text),
    };
    let is_integer = integer == b"0" || integer.first().is_some_and(|digit| *digit != b'0');
    is_integer && !fraction.is_empty() && !exponent.is_empty() && rest.is_empty()
}

/// The leading digits, and what follows them.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}
