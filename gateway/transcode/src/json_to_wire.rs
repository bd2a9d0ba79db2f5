//! Reads the JSON of a message and writes the message on the wire, in one pass. The fields that are preset go into it
//! on the way.

mod changes;
mod map;
mod members;
mod well_known;

use crate::MAX_DEPTH;
use crate::json::{JsonProblem, JsonReader, JsonToWireError, Result};
use crate::preset::{Preset, PresetField, PresetMessage, Source};
use crate::scalar;
use crate::schema::{Cardinality, Field, FieldId, Form, Kind, MessageId, Schema};
use crate::wire::{WireType, close_delimited, is_default, open_delimited, put_tag};

use changes::Changes;
use members::Members;

/// What a JSON text is.
#[derive(Debug, Clone, Copy)]
pub enum Root {
    /// A message, whose members a preset supplements.
    Message,
    /// The value of one field.
    Field(FieldId),
    /// The value of one field, whose members are changes: their paths are collected.
    Changes(FieldId),
}

/// Writes the message of a preset with its JSON. Returns the paths of the changes, in the case of the `.proto` file.
///
/// # Errors
///
/// If the JSON is not that of the message, or the message has more than `max_bytes`.
pub fn json_to_wire(
    preset: &Preset<'_>,
    root: Root,
    json: &[u8],
    max_bytes: usize,
    out: &mut Vec<u8>,
) -> Result<Vec<String>> {
    let schema = preset.schema();
    // Positions in maps have 32 bits.
    let max_bytes = max_bytes.min(u32::MAX as usize / 2);
    let read = |out| {
        let json = JsonReader::new(json)?;
        let mut reader = Reader { schema, json, start: 0, max_bytes, out, read_twice: 0, changes: None };
        reader.start = reader.out.len();
        match root {
            Root::Message => reader.message(preset.id(), Some(&preset.root), MAX_DEPTH)?,
            Root::Field(field) => reader.only_member(preset, field)?,
            Root::Changes(field) => {
                reader.changes = Some(Changes::default());
                reader.only_member(preset, field)?;
            }
        }
        reader.json.finish()?;
        Ok(reader)
    };
    let reader = read(out).map_err(|error: JsonToWireError| match root {
        Root::Message => error,
        Root::Field(field) | Root::Changes(field) => error.within(schema[field].name()),
    })?;
    Ok(reader.changes.map(Changes::into_paths).unwrap_or_default())
}

struct Reader<'a, 'out> {
    schema: &'a Schema,
    json: JsonReader<'a>,
    out: &'out mut Vec<u8>,
    start: usize,
    max_bytes: usize,
    /// Bytes of the text that were read before their turn.
    read_twice: usize,
    /// Absent where changes are not collected: within lists, maps, and the well-known types too.
    changes: Option<Changes>,
}

// === impl Reader ===

impl Reader<'_, '_> {
    /// The JSON of one field of the message.
    fn only_member(&mut self, preset: &Preset<'_>, field: FieldId) -> Result<()> {
        let mut members = Members::new(self.schema, preset.id(), Some(&preset.root));
        let at = self.json.at();
        self.member(&mut members, field.index(), at, MAX_DEPTH)?;
        members.finish(self.out);
        Ok(())
    }

    /// A message in the form of its type, without its tag and its length. `depth` is how many levels it may have.
    fn message(&mut self, id: MessageId, preset: Option<&PresetMessage>, depth: usize) -> Result<()> {
        let form = self.schema[id].form;
        match form {
            Form::Object | Form::Empty => self.object(id, preset, depth, None),
            form => {
                let changes = self.changes.take();
                self.well_known(form, id, depth)?;
                self.changes = changes;
                if let Some(preset) = preset {
                    preset.write_except(self.schema, &[], self.out);
                }
                Ok(())
            }
        }
    }

    /// A message in the form of an object. One member may be none of its fields: it is skipped.
    fn object(
        &mut self,
        id: MessageId,
        preset: Option<&PresetMessage>,
        depth: usize,
        skipped: Option<&str>,
    ) -> Result<()> {
        let message = &self.schema[id];
        let mut members = Members::new(self.schema, id, preset);
        self.json.expect(b'{', "an object")?;
        let (mut has_next, mut has_skipped) = (!self.json.take(b'}'), false);
        while has_next {
            let (at, name) = self.json.name()?;
            match message.index_named(name.as_bytes()) {
                Some(index) => {
                    self.member(&mut members, index, at, depth).map_err(|error| error.within(&name))?;
                }
                None if skipped == Some(&*name) && !has_skipped => {
                    has_skipped = true;
                    self.json.skip()?;
                }
                None if skipped == Some(&*name) => {
                    return Err(JsonToWireError::new(JsonProblem::Duplicate, at).within(&name));
                }
                None => return Err(self.unknown(id, &name, at)),
            }
            has_next = self.json.comma(b'}')?;
        }
        members.finish(self.out);
        Ok(())
    }

    fn unknown(&self, id: MessageId, name: &str, at: usize) -> JsonToWireError {
        let message = self.schema[id].full_name().to_owned();
        let problem = JsonProblem::UnknownField { message, name: name.chars().take(100).collect() };
        JsonToWireError::new(problem, at).within(name)
    }

    /// The value of a member, whose name is at `at`.
    fn member(&mut self, members: &mut Members<'_>, index: usize, at: usize, depth: usize) -> Result<()> {
        let field = &self.schema[members.id].fields()[index];
        members.add(index).map_err(|problem| JsonToWireError::new(problem, at))?;
        if self.json.peek() == b'n' && !self.takes_null(field) {
            self.json.null()?;
            return self.change(field);
        }
        members.set(index).map_err(|problem| JsonToWireError::new(problem, at))?;
        match members.preset.and_then(|preset| preset.field(index)) {
            None => self.value(field, None, depth),
            Some(PresetField::Message(inner)) => {
                members.merged.push(index);
                self.value(field, Some(inner), depth)
            }
            // It is read all the same, since it must be a value of the field.
            Some(PresetField::Value { wire, source }) => {
                let (start, at) = (self.out.len(), self.json.at());
                self.value(field, None, depth)?;
                if *source == Source::Header && self.out[start..] != wire[..] {
                    return Err(JsonToWireError::new(JsonProblem::DiffersFromHeader, at));
                }
                self.out.truncate(start);
                Ok(())
            }
        }
    }

    /// The value of a field, with its tag.
    fn value(&mut self, field: &Field, preset: Option<&PresetMessage>, depth: usize) -> Result<()> {
        self.check_size()?;
        match field.cardinality() {
            Cardinality::Singular => self.singular(field, preset, depth),
            Cardinality::Repeated { packed } => {
                self.change(field)?;
                let changes = self.changes.take();
                self.list(field, packed, depth)?;
                self.changes = changes;
                Ok(())
            }
            Cardinality::Map { key } => {
                self.change(field)?;
                let changes = self.changes.take();
                self.map(field, key, depth)?;
                self.changes = changes;
                Ok(())
            }
        }
    }

    fn singular(&mut self, field: &Field, preset: Option<&PresetMessage>, depth: usize) -> Result<()> {
        if let Some(id) = field.kind().message() {
            let is_open = self.open_changes(field, id)?;
            self.tagged_message(field, id, preset, depth)?;
            if is_open {
                self.close_changes(field);
            }
            return Ok(());
        }
        self.change(field)?;
        let start = self.out.len();
        put_tag(field.number(), field.kind().wire_type(), self.out);
        let value = self.out.len();
        self.scalar(field.kind())?;
        if !field.has_presence && is_default(&self.out[value..]) {
            self.out.truncate(start);
        }
        Ok(())
    }

    fn tagged_message(
        &mut self,
        field: &Field,
        id: MessageId,
        preset: Option<&PresetMessage>,
        depth: usize,
    ) -> Result<()> {
        let depth = self.deeper(depth)?;
        if let Kind::Group(_) = field.kind() {
            put_tag(field.number(), WireType::StartGroup, self.out);
            self.message(id, preset, depth)?;
            put_tag(field.number(), WireType::EndGroup, self.out);
        } else {
            put_tag(field.number(), WireType::LengthDelimited, self.out);
            let start = open_delimited(self.out);
            self.message(id, preset, depth)?;
            close_delimited(start, self.out);
        }
        Ok(())
    }

    fn list(&mut self, field: &Field, packed: bool, depth: usize) -> Result<()> {
        let list = self.out.len();
        if packed {
            put_tag(field.number(), WireType::LengthDelimited, self.out);
        }
        let start = if packed { open_delimited(self.out) } else { list };
        self.json.expect(b'[', "an array")?;
        if !self.json.take(b']') {
            for index in 0.. {
                self.element(field, packed, depth).map_err(|error| error.at_index(index))?;
                if !self.json.comma(b']')? {
                    break;
                }
            }
        }
        if packed && self.out.len() == start {
            self.out.truncate(list);
        } else if packed {
            close_delimited(start, self.out);
        }
        Ok(())
    }

    fn element(&mut self, field: &Field, packed: bool, depth: usize) -> Result<()> {
        self.check_size()?;
        if let Some(id) = field.kind().message() {
            return self.tagged_message(field, id, None, depth);
        }
        if !packed {
            put_tag(field.number(), field.kind().wire_type(), self.out);
        }
        self.scalar(field.kind())
    }

    /// A value of a type that is not a message, without its tag.
    fn scalar(&mut self, kind: Kind) -> Result<()> {
        if let Kind::Enum(id) = kind
            && self.schema[id].is_null
            && self.json.null()?
        {
            self.out.push(0);
            return Ok(());
        }
        scalar::from_json(self.schema, kind, &mut self.json, self.out)
    }

    /// Whether `null` is a value of the field instead of its absence.
    fn takes_null(&self, field: &Field) -> bool {
        field.cardinality() == Cardinality::Singular
            && match field.kind() {
                Kind::Message(id) | Kind::Group(id) => self.schema[id].form == Form::Value,
                Kind::Enum(id) => self.schema[id].is_null,
                _ => false,
            }
    }

    fn deeper(&self, depth: usize) -> Result<usize> {
        let problem = JsonProblem::Depth { limit: MAX_DEPTH };
        depth.checked_sub(1).ok_or_else(|| JsonToWireError::new(problem, self.json.at()))
    }

    fn check_size(&self) -> Result<()> {
        if self.out.len() - self.start <= self.max_bytes {
            return Ok(());
        }
        let problem = JsonProblem::TooLarge { limit: self.max_bytes };
        Err(JsonToWireError::new(problem, self.json.at()))
    }
}
