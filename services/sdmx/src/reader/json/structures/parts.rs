//! The parts of a structure: members by name, each once, and values of the expected type. What is not as expected counts
//! as absent, and is reported.

use std::io::Read;

use crate::diagnostic::{Diagnostics, Reason};
use crate::error::{ParseError, Position};
use crate::json::{Json, Value};
use crate::reader::json::text::{self, Text};
use crate::text::normalized;

/// The document within one structure, and where irregularities are reported.
pub(super) struct Parts<'a, R: Read> {
    pub(super) json: &'a mut Json<R>,
    pub(super) diagnostics: &'a mut Diagnostics,
    /// The start of the structure.
    pub(super) position: Position,
    /// What the structure is, for a message.
    pub(super) name: &'static str,
}

/// The members that an object has had so far, each a bit by its place among those that are known.
#[derive(Debug, Default)]
pub(super) struct Had(u32);

// === impl Parts ===

impl<R: Read> Parts<'_, R> {
    /// The next of the known members of the innermost object, whose value follows; `None` at its end, which leaves it.
    /// Of a member that occurs twice the first counts.
    pub(super) fn member(
        &mut self,
        known: &'static [&'static str],
        had: &mut Had,
    ) -> Result<Option<&'static str>, ParseError> {
        while self.json.member()? {
            let written = self.json.text();
            let Some(at) = known.iter().position(|name| *name == written) else {
                self.json.skip()?;
                continue;
            };
            if had.0 & 1 << at == 0 {
                had.0 |= 1 << at;
                return Ok(Some(known[at]));
            }
            let Self { name, position, .. } = *self;
            self.diagnostics.add(Reason::InvalidMember, position, || {
                format!("{name} has the member {:?} twice; the first counts", known[at])
            });
            self.json.skip()?;
        }
        Ok(None)
    }

    /// Reads a value that is one text. Returns whether it is, and the document has it.
    pub(super) fn text(&mut self, member: &str) -> Result<bool, ParseError> {
        let text = text::one(self.json)?;
        if let Text::Other(value) = text {
            self.report(member, value, "a string");
        }
        Ok(text == Text::One)
    }

    /// The same, for a text that is kept; empty if it is absent.
    pub(super) fn kept(&mut self, member: &str) -> Result<String, ParseError> {
        let has_text = self.text(member)?;
        Ok(if has_text { normalized(self.json.text()).0.into_owned() } else { String::new() })
    }

    /// Reads a flag, also as a string, as in SDMX-ML.
    pub(super) fn flag(&mut self, member: &str) -> Result<Option<bool>, ParseError> {
        let value = self.json.value()?;
        match (value, self.json.text()) {
            (Value::Bool(flag), _) => return Ok(Some(flag)),
            (Value::String | Value::Number, "true" | "1") => return Ok(Some(true)),
            (Value::String | Value::Number, "false" | "0") => return Ok(Some(false)),
            (Value::Null, _) => return Ok(None),
            _ => self.json.skip_content(value)?,
        }
        self.report(member, value, "true or false");
        Ok(None)
    }

    /// Reads a value that is an object, whose members follow. Returns whether it is.
    pub(super) fn object(&mut self, member: &str) -> Result<bool, ParseError> {
        self.enter(member, Value::Object, "an object")
    }

    /// Reads a value that is an array of objects, or one object in place of an array; `each` reads their members.
    pub(super) fn objects(
        &mut self,
        member: &str,
        mut each: impl FnMut(&mut Self) -> Result<(), ParseError>,
    ) -> Result<(), ParseError> {
        match self.json.value()? {
            Value::Object => each(self)?,
            Value::Array => {
                while self.json.element()? {
                    match self.json.value()? {
                        Value::Object => each(self)?,
                        other => {
                            self.json.skip_content(other)?;
                            self.report(member, other, "objects");
                        }
                    }
                }
            }
            Value::Null => {}
            other => {
                self.json.skip_content(other)?;
                self.report(member, other, "an array");
            }
        }
        Ok(())
    }

    /// Reads a value that is an array of texts, or one text in place of an array; `each` takes them.
    pub(super) fn texts(&mut self, member: &str, mut each: impl FnMut(&str)) -> Result<(), ParseError> {
        match self.json.value()? {
            Value::String => each(self.json.text()),
            Value::Array => {
                while self.json.element()? {
                    if self.text(member)? {
                        each(self.json.text());
                    }
                }
            }
            Value::Null => {}
            other => {
                self.json.skip_content(other)?;
                self.report(member, other, "an array of strings");
            }
        }
        Ok(())
    }

    /// Reads a value that is an array, whose elements follow. Returns whether it is.
    pub(super) fn array(&mut self, member: &str) -> Result<bool, ParseError> {
        self.enter(member, Value::Array, "an array")
    }

    /// Passes the members of the innermost object.
    pub(super) fn pass(&mut self) -> Result<(), ParseError> {
        self.json.skip_content(Value::Object)
    }

    /// Passes a value. Returns whether it says anything.
    pub(super) fn has_content(&mut self) -> Result<bool, ParseError> {
        let value = self.json.value()?;
        let is_text = value == Value::String && !self.json.text().is_empty();
        Ok(self.json.content(value)? > 0 || is_text)
    }

    fn enter(&mut self, member: &str, expected: Value, shown: &str) -> Result<bool, ParseError> {
        let value = self.json.value()?;
        if value != expected && value != Value::Null {
            self.json.skip_content(value)?;
            self.report(member, value, shown);
        }
        Ok(value == expected)
    }

    /// Reports a value that is not of the type that its member has.
    #[cold]
    pub(super) fn report(&mut self, member: &str, value: Value, expected: &str) {
        let Self { name, position, .. } = *self;
        self.diagnostics.add(Reason::InvalidMember, position, || {
            let value = text::shown(value);
            format!("{member} of {name} is {value} and counts as absent; expected {expected}")
        });
    }
}
