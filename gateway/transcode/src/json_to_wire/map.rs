//! Maps: objects whose names are keys.

use std::collections::HashSet;

use super::Reader;
use crate::json::{JsonProblem, JsonToWireError, Result, number};
use crate::scalar;
use crate::schema::{Field, Form, Kind};
use crate::wire::{WireType, close_delimited, open_delimited, put_tag};

/// Up to this many keys are compared one by one.
const FEW: usize = 16;

impl Reader<'_, '_> {
    pub(super) fn map(&mut self, field: &Field, key: Kind, depth: usize) -> Result<()> {
        // The keys as they are on the wire, by their positions there.
        let mut keys: Vec<std::ops::Range<usize>> = Vec::new();
        let mut known: HashSet<Vec<u8>> = HashSet::new();
        self.json.expect(b'{', "an object")?;
        if self.json.take(b'}') {
            return Ok(());
        }
        // An entry is a message too.
        let depth = self.deeper(depth)?;
        loop {
            let (at, name) = self.json.name()?;
            put_tag(field.number(), WireType::LengthDelimited, self.out);
            let entry = open_delimited(self.out);
            put_tag(1, key.wire_type(), self.out);
            let start = self.out.len();
            let is_key = key == Kind::String || key == Kind::Bool || number::is_number_or_name(&name);
            if !is_key || scalar::from_text(self.schema, key, &name, self.out).is_none() {
                let problem = JsonProblem::Unexpected {
                    expected: scalar::expected(self.schema, key),
                    found: name.chars().take(40).collect(),
                };
                return Err(JsonToWireError::new(problem, at).within(&name));
            }
            let written = start..self.out.len();
            let is_known = if keys.len() < FEW {
                keys.iter().any(|known| self.out[known.clone()] == self.out[written.clone()])
            } else {
                if keys.len() == FEW {
                    known.extend(keys.iter().map(|key| self.out[key.clone()].to_vec()));
                }
                !known.insert(self.out[written.clone()].to_vec())
            };
            if is_known {
                return Err(JsonToWireError::new(JsonProblem::Duplicate, at).within(&name));
            }
            // Later entries do not move it, but its own length may, by which all of the entry moves.
            let shift = self.entry_value(field, depth, entry).map_err(|error| error.within(&name))?;
            keys.push(written.start + shift..written.end + shift);
            if !self.json.comma(b'}')? {
                return Ok(());
            }
        }
    }

    /// The value of an entry, and the length of the entry; returns by how much that moved it.
    fn entry_value(&mut self, field: &Field, depth: usize, entry: usize) -> Result<usize> {
        if self.out.len() - self.start > self.max_bytes {
            let problem = JsonProblem::TooLarge { limit: self.max_bytes };
            return Err(JsonToWireError::new(problem, self.json.at()));
        }
        put_tag(2, field.kind().wire_type(), self.out);
        match field.kind().message() {
            None => self.scalar(field.kind())?,
            Some(id) if self.json.peek() == b'n' && self.schema[id].form != Form::Value => {
                return Err(self.json.unexpected("an object"));
            }
            Some(id) => {
                let depth = self.deeper(depth)?;
                let start = open_delimited(self.out);
                self.message(id, None, depth)?;
                close_delimited(start, self.out);
            }
        }
        let before = self.out.len();
        close_delimited(entry, self.out);
        Ok(self.out.len() - before)
    }
}
