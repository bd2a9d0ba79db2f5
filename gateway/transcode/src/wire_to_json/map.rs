//! Maps, whose entries are written in the order of their keys.

use super::{Index, JsonWriter, ReplyProblem, Result, deeper};
use crate::schema::{Field, Kind};
use crate::wire::{WireReader, unzigzag};

/// The fields of an entry.
const KEY: u32 = 1;
const VALUE: u32 = 2;

/// An entry on the wire, with its key. Its value is looked for when it is written: there may be many entries.
struct Entry<'a> {
    key: Key<'a>,
    bytes: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Flag(bool),
    Signed(i64),
    Unsigned(u64),
    Text(&'a str),
}

impl JsonWriter<'_> {
    pub(super) fn map(
        &mut self,
        field: &Field,
        key: Kind,
        at: usize,
        index: Index,
        wire: &[u8],
        depth: usize,
    ) -> Result<()> {
        let mut entries = Vec::new();
        let mut next = self.occurrences.first(index, at);
        while let Some((occurrence, following)) = next {
            entries.push(&wire[occurrence.range()]);
            next = self.occurrences.following(following);
        }
        self.entries(field, key, &entries, depth)
    }

    /// All entries of a map, from what stands on the wire.
    pub(super) fn entries(&mut self, field: &Field, key: Kind, found: &[&[u8]], depth: usize) -> Result<()> {
        // An entry is a message too.
        let depth = if found.is_empty() { depth } else { deeper(depth)? };
        let mut entries = Vec::with_capacity(found.len());
        for bytes in found {
            entries.extend(self.entry(key, field.kind(), bytes, depth)?);
        }
        // Stable, so that of equal keys the last one on the wire counts.
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        self.begin(b'{');
        for (place, entry) in entries.iter().enumerate() {
            let is_replaced = entries.get(place + 1).is_some_and(|next| next.key == entry.key);
            if !is_replaced {
                self.check_size()?;
                self.key_of(entry.key);
                self.value_of(field.kind(), entry, depth).map_err(|error| error.within(&entry.key.name()))?;
            }
        }
        self.end(b'}');
        Ok(())
    }

    /// Reads an entry; none if its value is unknown to a closed enum.
    fn entry<'a>(&self, key: Kind, value: Kind, bytes: &'a [u8], depth: usize) -> Result<Option<Entry<'a>>> {
        let mut found = Key::default_of(key);
        for part in parts(bytes, KEY, key, depth)? {
            found = Key::read(key, part)?;
        }
        if let Kind::Enum(id) = value
            && let Some(last) = parts(bytes, VALUE, value, depth)?.last()
            && !self.schema[id].accepts(WireReader::new(last).varint()? as i32)
        {
            return Ok(None);
        }
        Ok(Some(Entry { key: found, bytes }))
    }

    fn key_of(&mut self, key: Key<'_>) {
        match key {
            Key::Text(text) => self.key_named(text),
            key => {
                self.separate();
                self.literal("\"");
                self.literal(&key.name());
                self.literal(if self.style.is_indented { "\": " } else { "\":" });
            }
        }
    }

    fn value_of(&mut self, kind: Kind, entry: &Entry<'_>, depth: usize) -> Result<()> {
        let parts = parts(entry.bytes, VALUE, kind, depth)?;
        if let Some(id) = kind.message() {
            return self.merged(id, parts, deeper(depth)?);
        }
        match parts.last() {
            Some(last) => self.scalar(kind, last),
            None => {
                self.default(kind);
                Ok(())
            }
        }
    }
}

/// All values of one field of an entry.
fn parts(bytes: &[u8], field: u32, kind: Kind, depth: usize) -> Result<Vec<&[u8]>> {
    let (mut reader, mut parts) = (WireReader::new(bytes), Vec::new());
    while !reader.is_at_end() {
        let (number, wire_type) = reader.tag()?;
        let range = reader.value(number, wire_type, depth)?;
        if number == field && wire_type == kind.wire_type() {
            parts.push(&bytes[range]);
        }
    }
    Ok(parts)
}

// === impl Key ===

impl<'a> Key<'a> {
    fn default_of(kind: Kind) -> Self {
        match kind {
            Kind::Bool => Key::Flag(false),
            Kind::String => Key::Text(""),
            Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => Key::Unsigned(0),
            _ => Key::Signed(0),
        }
    }

    fn read(kind: Kind, bytes: &'a [u8]) -> Result<Self> {
        let mut reader = WireReader::new(bytes);
        Ok(match kind {
            Kind::Bool => Key::Flag(reader.varint()? != 0),
            Kind::String => Key::Text(std::str::from_utf8(bytes).map_err(|_| ReplyProblem::Utf8)?),
            Kind::Int32 => Key::Signed(i64::from(reader.varint()? as i32)),
            Kind::Sint32 => Key::Signed(i64::from(unzigzag(reader.varint()? & 0xffff_ffff) as i32)),
            Kind::Sint64 => Key::Signed(unzigzag(reader.varint()?)),
            Kind::Uint32 => Key::Unsigned(u64::from(reader.varint()? as u32)),
            Kind::Uint64 => Key::Unsigned(reader.varint()?),
            Kind::Fixed32 => Key::Unsigned(u64::from(u32::from_le_bytes(reader.fixed32()?))),
            Kind::Fixed64 => Key::Unsigned(u64::from_le_bytes(reader.fixed64()?)),
            Kind::Sfixed32 => Key::Signed(i64::from(i32::from_le_bytes(reader.fixed32()?))),
            Kind::Sfixed64 => Key::Signed(i64::from_le_bytes(reader.fixed64()?)),
            _ => Key::Signed(reader.varint()? as i64),
        })
    }

    fn name(&self) -> String {
        match self {
            Key::Flag(flag) => flag.to_string(),
            Key::Signed(number) => number.to_string(),
            Key::Unsigned(number) => number.to_string(),
            Key::Text(text) => (*text).to_owned(),
        }
    }
}
