//! The punctuation of JSON: keys, texts, brackets, commas, and lines if it is indented.

use super::JsonWriter;
use crate::escape;
use crate::schema::Field;

impl JsonWriter<'_> {
    /// The key of the next member.
    pub(super) fn key(&mut self, field: &Field) {
        self.separate();
        self.out.extend_from_slice(&field.key);
        if self.style.is_indented {
            self.out.push(b' ');
        }
    }

    /// The key of the next member, whose name is not that of a field.
    pub(super) fn key_named(&mut self, name: &str) {
        self.separate();
        self.text(name);
        self.out.extend_from_slice(if self.style.is_indented { b": " } else { b":" });
    }

    pub(super) fn text(&mut self, text: &str) {
        match &self.escapes {
            Some(escapes) => escapes.quoted(text, &mut self.out),
            None => escape::quoted(text, &mut self.out),
        }
    }

    pub(super) fn begin(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.level += 1;
        self.is_first = true;
    }

    pub(super) fn end(&mut self, bracket: u8) {
        self.level -= 1;
        if !self.is_first {
            self.new_line();
        }
        self.out.push(bracket);
        self.is_first = false;
    }

    /// What stands before a member or an element.
    pub(super) fn separate(&mut self) {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
        self.new_line();
    }

    pub(super) fn new_line(&mut self) {
        if self.style.is_indented {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + 2 * self.level, b' ');
        }
    }
}
