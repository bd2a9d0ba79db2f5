//! Splits CSV into fields, as RFC 4180 defines them, in the pieces in which they arrive.
//!
//! Libraries for CSV take what follows a quote that is not closed as one field, and report no position in the document as
//! it was sent. Here both are errors of the document; the limit of one text holds for one field.

use std::io::{BufRead, Read};

use memchr::{memchr, memchr3};

use crate::error::{Fault, ParseError};
use crate::input::Input;

/// The reader. An event of its input is one field.
#[derive(Debug)]
pub(super) struct Fields<R> {
    input: Input<R>,
}

/// What follows a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// The next field of the row.
    Field,
    /// The next row, if the document does not end.
    Row,
    /// The end of the document.
    Document,
}

// === impl Fields ===

impl<R: Read> Fields<R> {
    pub(super) fn new(input: Input<R>) -> Self {
        Self { input }
    }

    /// Reads a field, and passes its text on piece by piece.
    pub(super) fn read(&mut self, take: impl FnMut(&[u8])) -> Result<After, ParseError> {
        self.input.begin_event();
        match self.next()? {
            Some(b'"') => self.quoted(take),
            _ => self.plain(take),
        }
    }

    /// Creates an error at the start of the last field.
    #[cold]
    pub(super) fn error(&mut self, fault: Fault) -> ParseError {
        ParseError { fault, position: self.input.event_position() }
    }

    /// The error of a row that has too many or too few fields, at the last of them.
    #[cold]
    pub(super) fn wrong_count(&mut self, count: usize, expected: usize, after: After) -> ParseError {
        let fault = match after {
            After::Document => Fault::Truncated {
                inside: format!("in a row, after {count} of {expected} fields"),
                expected: "the rest of the row".to_owned(),
            },
            After::Field => {
                malformed("found more fields in a row than in the first one", &expected.to_string())
            }
            After::Row => malformed(
                &format!("found {count} fields in a row"),
                &format!("{expected}, as in the first row"),
            ),
        };
        self.error(fault)
    }

    fn plain(&mut self, mut take: impl FnMut(&[u8])) -> Result<After, ParseError> {
        // The last byte so far is a carriage return, which belongs to the line end if a line feed follows.
        let mut has_return = false;
        loop {
            let Some(first) = self.next()? else {
                if has_return {
                    take(b"\r");
                }
                return Ok(After::Document);
            };
            if has_return && first != b'\n' {
                take(b"\r");
            }
            let ahead = self.input.ahead();
            let end = memchr3(b',', b'\n', b'"', ahead);
            let text = &ahead[..end.unwrap_or(ahead.len())];
            let is_return = text.last() == Some(&b'\r');
            match end.map(|end| ahead[end]) {
                None | Some(b'\n') if is_return => take(&text[..text.len() - 1]),
                _ => take(text),
            }
            let Some(end) = end else {
                has_return = is_return;
                let length = ahead.len();
                self.input.consume(length);
                continue;
            };
            let after = match ahead[end] {
                b',' => After::Field,
                b'\n' => After::Row,
                _ => {
                    self.input.consume(end);
                    let found = "found a quote within a field that does not start with one";
                    return Err(
                        self.error_here(malformed(found, "quotes around the field, and each in it twice"))
                    );
                }
            };
            self.input.consume(end + 1);
            return Ok(after);
        }
    }

    fn quoted(&mut self, mut take: impl FnMut(&[u8])) -> Result<After, ParseError> {
        self.input.consume(1);
        loop {
            if self.next()?.is_none() {
                return Err(self.error(Fault::UnclosedQuote));
            }
            let ahead = self.input.ahead();
            let end = memchr(b'"', ahead);
            take(&ahead[..end.unwrap_or(ahead.len())]);
            let length = end.map_or(ahead.len(), |end| end + 1);
            self.input.consume(length);
            if end.is_none() {
                continue;
            }
            match self.next()? {
                None => return Ok(After::Document),
                Some(b'"') => {
                    take(b"\"");
                    self.input.consume(1);
                }
                Some(b',') => {
                    self.input.consume(1);
                    return Ok(After::Field);
                }
                Some(b'\n') => {
                    self.input.consume(1);
                    return Ok(After::Row);
                }
                Some(b'\r') => {
                    self.input.consume(1);
                    match self.next()? {
                        None => return Ok(After::Document),
                        Some(b'\n') => {
                            self.input.consume(1);
                            return Ok(After::Row);
                        }
                        Some(_) => return Err(self.after_quote()),
                    }
                }
                Some(_) => return Err(self.after_quote()),
            }
        }
    }

    /// The error of what follows a closing quote.
    #[cold]
    fn after_quote(&mut self) -> ParseError {
        let found = "found a field that continues after its closing quote";
        self.error_here(malformed(found, "',' or the end of the line, or one more quote"))
    }

    #[cold]
    fn error_here(&mut self, fault: Fault) -> ParseError {
        ParseError { fault, position: self.input.here() }
    }

    /// The next byte; `None` at the end of the document.
    #[inline]
    fn next(&mut self) -> Result<Option<u8>, ParseError> {
        match self.input.fill_buf().map(|ahead| ahead.first().copied()) {
            Ok(byte) => Ok(byte),
            Err(_) => Err(self.input.take_error().expect("the input fails only with an error")),
        }
    }
}

fn malformed(found: &str, expected: &str) -> Fault {
    Fault::MalformedCsv { found: found.to_owned(), expected: expected.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    /// Returns at most so many bytes at a time.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let most = self.1.min(into.len());
            self.0.read(&mut into[..most])
        }
    }

    /// The rows of a document, in pieces of this size.
    fn rows(document: &str, size: usize) -> Result<Vec<Vec<String>>, String> {
        let input = Input::new(Pieces(document.as_bytes(), size), &Limits::default());
        let mut fields = Fields::new(input);
        let mut rows = vec![Vec::new()];
        loop {
            let mut field = Vec::new();
            let after = fields.read(|piece| field.extend_from_slice(piece));
            let after = after.map_err(|error| format!("{} {error}", error.reason()))?;
            rows.last_mut().unwrap().push(String::from_utf8(field).unwrap());
            match after {
                After::Field => {}
                After::Row => rows.push(Vec::new()),
                After::Document => return Ok(rows),
            }
        }
    }

    #[test]
    fn fields_of_every_shape() {
        let check = |document: &str, expected: &[&[&str]]| {
            // The input gathers the first bytes, so that later ones cross pieces.
            let before = "x".repeat(1_100);
            for size in [1, 2, 3, 5_000] {
                let rows = rows(&format!("{before}\n{document}"), size).unwrap();
                assert_eq!(rows[0], [before.as_str()]);
                assert_eq!(rows[1..], *expected, "{document:?} in pieces of {size}");
            }
        };
        check("a,b\nc,d", &[&["a", "b"], &["c", "d"]]);
        check("a,b\r\nc,\r\n", &[&["a", "b"], &["c", ""], &[""]]);
        check("a\rb,\r,c\r", &[&["a\rb", "\r", "c\r"]]);
        check("a\r\r\nb", &[&["a\r"], &["b"]]);
        check("\"a,\"\"b\"\"\r\nc\",\"\"\r\n\"d\"\r", &[&["a,\"b\"\r\nc", ""], &["d"]]);
        check("\"a\"\n\n\"\"\"\"", &[&["a"], &[""], &["\""]]);
        check(" a , é", &[&[" a ", " é"]]);
    }

    #[test]
    fn malformed_fields_have_a_position() {
        let check = |document: &str, expected: &str| {
            for size in [1, 2, 5_000] {
                let error = rows(document, size).unwrap_err();
                assert!(error.starts_with(expected), "{error}");
            }
        };
        check("a,\"b\nc", "UNCLOSED_QUOTE byte 2, line 1: found a quote that is not closed");
        check("a\n\"b\"\"", "UNCLOSED_QUOTE byte 2, line 2: ");
        check("\"", "UNCLOSED_QUOTE byte 0, line 1: ");
        check("a\nb\"c\"", "MALFORMED_CSV byte 3, line 2: found a quote within a field");
        check("\"a\"b", "MALFORMED_CSV byte 3, line 1: found a field that continues after its closing quote");
        check("\"a\"\rb", "MALFORMED_CSV byte 4, line 1: ");
        check("\"a\" ,b", "MALFORMED_CSV byte 3, line 1: ");
    }
}
