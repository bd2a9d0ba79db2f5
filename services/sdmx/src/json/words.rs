//! The texts in a value whose form is not known, such as that of an error.

use std::io::Read;

use super::{Json, Value};
use crate::error::ParseError;

impl<R: Read> Json<R> {
    /// Appends the texts and numbers in the value that follows, at any depth, up to a number of bytes.
    pub(crate) fn words(&mut self, words: &mut String, limit: usize) -> Result<(), ParseError> {
        let value = self.value()?;
        self.words_of(value, words, limit)
    }

    /// The same for the value that was read last.
    pub(crate) fn words_of(
        &mut self,
        mut value: Value,
        words: &mut String,
        limit: usize,
    ) -> Result<(), ParseError> {
        // The open objects and arrays within the value: whether each is an object.
        let mut open = Vec::new();
        loop {
            match value {
                Value::Object => open.push(true),
                Value::Array => open.push(false),
                Value::String | Value::Number if words.len() < limit => {
                    words.push(' ');
                    let room = limit.saturating_sub(words.len());
                    words.push_str(&self.text[..self.text.floor_char_boundary(room)]);
                }
                _ => {}
            }
            loop {
                let more = match open.last() {
                    Some(true) => self.member()?,
                    Some(false) => self.element()?,
                    None => return Ok(()),
                };
                if more {
                    break;
                }
                open.pop();
            }
            value = self.value()?;
        }
    }
}
