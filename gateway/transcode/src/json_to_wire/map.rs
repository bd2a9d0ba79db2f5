//! Maps: objects whose names are keys.

use super::Reader;
use crate::json::{JsonProblem, JsonToWireError, Result, number};
use crate::scalar;
use crate::schema::{Field, Form, Kind};
use crate::wire::{WireType, close_delimited, open_delimited, put_tag};

/// Up to this many keys are compared one by one.
const FEW: usize = 16;

/// A key: where it is on the wire, and in the JSON. Of 32 bits each, since a caller decides how many there are.
#[derive(Debug, Clone, Copy)]
struct Key {
    start: u32,
    length: u32,
    at: u32,
}

impl Reader<'_, '_> {
    pub(super) fn map(&mut self, field: &Field, key: Kind, depth: usize) -> Result<()> {
        let mut keys: Vec<Key> = Vec::new();
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
            let is_key = matches!(key, Kind::String | Kind::Bool) || number::is_number_or_name(&name);
            if !is_key || scalar::from_text(self.schema, key, &name, self.out).is_none() {
                let expected = scalar::expected(self.schema, key);
                let found = name.chars().take(40).collect();
                let problem = JsonProblem::Unexpected { expected, found };
                return Err(JsonToWireError::new(problem, at).within(&name));
            }
            let length = self.out.len() - start;
            // The entry's own length may take more than the byte that was reserved, which moves the key.
            let moved = self.entry_value(field, depth, entry).map_err(|error| error.within(&name))?;
            let new = Key { start: narrow(start + moved), length: narrow(length), at: narrow(at) };
            if keys.len() < FEW && keys.iter().any(|known| self.on_wire(known) == self.on_wire(&new)) {
                return Err(JsonToWireError::new(JsonProblem::Duplicate, at).within(&name));
            }
            keys.push(new);
            if !self.json.comma(b'}')? {
                break;
            }
        }
        if keys.len() > FEW { self.reject_duplicates(&mut keys) } else { Ok(()) }
    }

    fn reject_duplicates(&self, keys: &mut [Key]) -> Result<()> {
        keys.sort_by(|one, other| self.on_wire(one).cmp(self.on_wire(other)));
        let is_same = |pair: &&[Key]| self.on_wire(&pair[0]) == self.on_wire(&pair[1]);
        // The sort is stable, so that the second one of a pair is the later one in the JSON.
        let Some([_, later]) = keys.windows(2).find(is_same) else { return Ok(()) };
        let at = later.at as usize;
        let error = JsonToWireError::new(JsonProblem::Duplicate, at);
        Err(match self.json.at_offset(at).string() {
            Ok(name) => error.within(&name),
            Err(_) => error,
        })
    }

    fn on_wire(&self, key: &Key) -> &[u8] {
        &self.out[key.start as usize..][..key.length as usize]
    }

    /// The value of an entry, and the length of the entry; returns by how much that moved it.
    fn entry_value(&mut self, field: &Field, depth: usize, entry: usize) -> Result<usize> {
        self.check_size()?;
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

/// A position in a buffer, whose size is limited far below 4 GiB.
fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
