//! Reads the tokens of JSON (RFC 8259) one by one.

mod error;
pub(crate) mod number;

use std::borrow::Cow;

pub use error::{JsonProblem, JsonToWireError};

/// Bytes that end a run of a text's plain characters.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut control = 0;
    while control < 0x20 {
        special[control] = true;
        control += 1;
    }
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special
};

/// The most arrays and objects within each other where a value is skipped.
const MAX_SKIPPED_DEPTH: usize = 1000;

/// Reads tokens from a position on.
#[derive(Debug, Clone)]
pub(crate) struct JsonReader<'a> {
    text: &'a str,
    at: usize,
}

pub(crate) type Result<T> = std::result::Result<T, JsonToWireError>;

// === impl JsonReader ===

impl<'a> JsonReader<'a> {
    /// A reader of a text, which must be UTF-8.
    pub(crate) fn new(json: &'a [u8]) -> Result<Self> {
        let text = std::str::from_utf8(json).map_err(|error| {
            JsonToWireError::new(JsonProblem::Syntax("the text is not UTF-8"), error.valid_up_to())
        })?;
        Ok(Self { text, at: 0 })
    }

    /// The length of the whole text.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// The position, for errors.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// A reader of the same text from another position on.
    pub(crate) fn at_offset(&self, at: usize) -> Self {
        Self { text: self.text, at }
    }

    /// The first byte of the next token; 0 at the end.
    #[inline]
    pub(crate) fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return *byte,
                None => return 0,
            }
        }
    }

    /// Consumes the next token if it is this byte.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    pub(crate) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<()> {
        if self.take(byte) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// Consumes a literal, which is the next token.
    pub(crate) fn literal(&mut self, literal: &'static str) -> Result<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let ends = !rest.get(literal.len()).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        if !rest.starts_with(literal.as_bytes()) || !ends {
            return Err(self.syntax("a word that is not true, false or null"));
        }
        self.at += literal.len();
        Ok(())
    }

    /// Consumes `null`, if it is the next token.
    pub(crate) fn null(&mut self) -> Result<bool> {
        if self.peek() != b'n' {
            return Ok(false);
        }
        self.literal("null").map(|()| true)
    }

    /// The text that is the next token.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>> {
        self.expect(b'"', "a string")?;
        let rest = &self.text[self.at..];
        match rest.bytes().position(|byte| SPECIAL[usize::from(byte)]) {
            Some(end) if rest.as_bytes()[end] == b'"' => {
                self.at += end + 1;
                Ok(Cow::Borrowed(&rest[..end]))
            }
            _ => {
                let mut decoded = Vec::new();
                self.rest_of_string(&mut decoded)?;
                Ok(Cow::Owned(String::from_utf8(decoded).expect("parts of a text and whole characters")))
            }
        }
    }

    /// Appends the text that is the next token.
    pub(crate) fn string_into(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.expect(b'"', "a string")?;
        self.rest_of_string(out)
    }

    fn rest_of_string(&mut self, out: &mut Vec<u8>) -> Result<()> {
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let Some(run) = rest.iter().position(|byte| SPECIAL[usize::from(*byte)]) else {
                self.at = self.text.len();
                return Err(self.syntax("a string without its end"));
            };
            out.extend_from_slice(&rest[..run]);
            self.at += run;
            match rest[run] {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => {
                    let decoded = self.escape()?;
                    out.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => return Err(self.syntax("a control character in a string, which must be escaped")),
            }
        }
    }

    /// The character of an escape, at whose backslash the reader is.
    fn escape(&mut self) -> Result<char> {
        let Some(letter) = self.text.as_bytes().get(self.at + 1) else {
            return Err(self.syntax("a string without its end"));
        };
        let decoded = match letter {
            b'"' | b'\\' | b'/' => char::from(*letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(self.syntax("an escape that JSON does not have")),
        };
        self.at += 2;
        Ok(decoded)
    }

    fn unicode_escape(&mut self) -> Result<char> {
        let unit = |at: usize| {
            let digits = self.text.as_bytes().get(at..at + 6)?.strip_prefix(b"\\u")?;
            digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
        };
        let Some(first) = unit(self.at) else { return Err(self.syntax("an escape without four digits")) };
        let (code, length) = match first {
            0xd800..0xdc00 => match unit(self.at + 6) {
                Some(second @ 0xdc00..0xe000) => (0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12),
                _ => (first, 6),
            },
            _ => (first, 6),
        };
        let decoded = char::from_u32(code).ok_or_else(|| self.syntax("half of a surrogate pair"))?;
        self.at += length;
        Ok(decoded)
    }

    /// The number that is the next token, as it is written.
    pub(crate) fn number(&mut self) -> Result<&'a str> {
        let rest = &self.text[self.at..];
        let Some(length) = number::length(rest.as_bytes()) else {
            return Err(self.syntax("a number that JSON does not allow"));
        };
        self.at += length;
        Ok(&rest[..length])
    }

    /// Skips a value, whatever it is.
    pub(crate) fn skip(&mut self) -> Result<()> {
        self.skip_nested(MAX_SKIPPED_DEPTH)
    }

    fn skip_nested(&mut self, depth: usize) -> Result<()> {
        let Some(depth) = depth.checked_sub(1) else {
            let problem = JsonProblem::Depth { limit: MAX_SKIPPED_DEPTH };
            return Err(JsonToWireError::new(problem, self.at));
        };
        match self.peek() {
            b'{' => self.object(|reader, _| reader.skip_nested(depth)),
            b'[' => self.array(|reader, _| reader.skip_nested(depth)),
            b'"' => self.string().map(drop),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => self.number().map(drop),
        }
    }

    /// Reads an object; `member` reads the value after each name.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<()>,
    ) -> Result<()> {
        self.expect(b'{', "an object")?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let (_, name) = self.name()?;
            member(self, name)?;
            if !self.comma(b'}')? {
                return Ok(());
            }
        }
    }

    /// Reads an array; `element` reads each value.
    pub(crate) fn array(&mut self, mut element: impl FnMut(&mut Self, usize) -> Result<()>) -> Result<()> {
        self.expect(b'[', "an array")?;
        if self.take(b']') {
            return Ok(());
        }
        for index in 0.. {
            element(self, index)?;
            if !self.comma(b']')? {
                break;
            }
        }
        Ok(())
    }

    /// The name of a member and its position, up to the value.
    pub(crate) fn name(&mut self) -> Result<(usize, Cow<'a, str>)> {
        if self.peek() != b'"' {
            return Err(self.syntax("a member without a name in quotes"));
        }
        let (at, name) = (self.at, self.string()?);
        if self.take(b':') { Ok((at, name)) } else { Err(self.syntax("a name without a colon after it")) }
    }

    /// What stands after a member or an element: whether another one follows, or the end.
    pub(crate) fn comma(&mut self, end: u8) -> Result<bool> {
        if self.take(b',') {
            return Ok(true);
        }
        if self.take(end) {
            return Ok(false);
        }
        Err(self.syntax(if end == b'}' { "an object without its end" } else { "an array without its end" }))
    }

    /// The end of the text.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.peek();
        if self.at == self.text.len() { Ok(()) } else { Err(self.syntax("characters after the value")) }
    }

    pub(crate) fn syntax(&self, problem: &'static str) -> JsonToWireError {
        let is_at_end = self.text[self.at..].bytes().all(|byte| byte.is_ascii_whitespace());
        let problem = if is_at_end { "the text ends within a value" } else { problem };
        JsonToWireError::new(JsonProblem::Syntax(problem), self.at)
    }

    /// The next token is not what a field takes; it may be no JSON either.
    pub(crate) fn unexpected(&mut self, expected: impl Into<Cow<'static, str>>) -> JsonToWireError {
        let (mut ahead, expected) = (self.clone(), expected.into());
        let found = match self.peek() {
            b'{' => "an object".to_owned(),
            b'[' => "an array".to_owned(),
            b'n' => "null".to_owned(),
            _ => {
                if let Err(error) = ahead.skip() {
                    return error;
                }
                let found = self.text[self.at..ahead.at].trim();
                found.chars().take(40).collect()
            }
        };
        JsonToWireError::new(JsonProblem::Unexpected { expected, found }, self.at)
    }
}

#[cfg(test)]
mod tests;
