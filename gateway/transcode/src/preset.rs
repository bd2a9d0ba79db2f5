//! The fields of a request that are set before its JSON is read: those that the path, the query and the headers of an
//! HTTP request name. They are kept as bytes on the wire, and go into the message in the pass that reads the JSON.

mod error;
mod text;

use crate::schema::{Cardinality, Field, FieldId, Form, MessageId, Schema};
use crate::wire::{WireType, close_delimited, open_delimited, put_tag, put_varint};

pub use error::PresetError;
pub(crate) use text::{expected_message, put_message as put_text};

/// The most fields in a path: message types may be recursive, so the length of the path would be the only bound.
const MAX_PATH: usize = 32;

/// Where a field's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The path, which the JSON does not overrule.
    Path,
    /// The query.
    Query,
    /// A header. The JSON may have the same value.
    Header,
}

/// The preset fields of one message.
#[derive(Debug, Clone)]
pub struct Preset<'s> {
    schema: &'s Schema,
    pub(crate) root: PresetMessage,
}

/// A message, with those of its fields that are set.
#[derive(Debug, Clone)]
pub(crate) struct PresetMessage {
    id: MessageId,
    /// By the index of the field.
    fields: Vec<(usize, PresetField)>,
}

#[derive(Debug, Clone)]
pub(crate) enum PresetField {
    /// All values of the field on the wire, with their tags. Empty for the default of a field without presence.
    Value {
        wire: Vec<u8>,
        source: Source,
    },
    Message(PresetMessage),
}

// === impl Preset ===

impl<'s> Preset<'s> {
    /// A message without fields.
    pub fn new(schema: &'s Schema, id: MessageId) -> Self {
        Self { schema, root: PresetMessage { id, fields: Vec::new() } }
    }

    pub(crate) fn schema(&self) -> &'s Schema {
        self.schema
    }

    pub(crate) fn id(&self) -> MessageId {
        self.root.id
    }

    /// Sets the field at the end of a dotted path, or appends to it if it is repeated. Each field is named as in the
    /// `.proto` file or as in JSON.
    ///
    /// # Errors
    ///
    /// If there is no such field, it cannot be written as one text, or it is set already.
    pub fn set(&mut self, path: &str, text: &str, source: Source) -> Result<(), PresetError> {
        let schema = self.schema;
        let mut inside = &mut self.root;
        let mut names = path.split('.').enumerate().peekable();
        while let Some((step, name)) = names.next() {
            let message = &schema[inside.id];
            let index = message.index_named(name.as_bytes()).filter(|_| step < MAX_PATH);
            let index = index.ok_or(PresetError::Unknown)?;
            let field = &message.fields()[index];
            if let Some(other) = inside.other_member(schema, index) {
                let (oneof, other) = (oneof_name(schema, inside.id, field), other.name().to_owned());
                return Err(PresetError::Oneof { oneof, other });
            }
            let place = inside.fields.iter().position(|(known, _)| *known == index);
            if names.peek().is_none() {
                return inside.set(schema, index, place, text, source);
            }
            // The type of an `Any` decides what its bytes are, which a text cannot say.
            let inner = field.message().filter(|inner| schema[*inner].form != Form::Any);
            let inner = inner.ok_or(PresetError::Unknown)?;
            let place = place.unwrap_or_else(|| {
                let empty = PresetMessage { id: inner, fields: Vec::new() };
                inside.fields.push((index, PresetField::Message(empty)));
                inside.fields.len() - 1
            });
            match &mut inside.fields[place].1 {
                PresetField::Message(message) => inside = message,
                PresetField::Value { .. } => return Err(PresetError::Unknown),
            }
        }
        Err(PresetError::Unknown)
    }

    /// Whether the field at the end of a path is set, or one within it.
    pub fn has(&self, path: &[FieldId]) -> bool {
        let mut inside = &self.root;
        for field in path {
            match inside.field(field.index()) {
                None => return false,
                Some(PresetField::Value { .. }) => return true,
                Some(PresetField::Message(message)) => inside = message,
            }
        }
        true
    }

    /// Writes the message without any JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.root.write(self.schema, out);
    }
}

// === impl PresetMessage ===

impl PresetMessage {
    /// The field of this index, and its place.
    pub(crate) fn field(&self, index: usize) -> Option<&PresetField> {
        self.fields.iter().find(|(known, _)| *known == index).map(|(_, field)| field)
    }

    /// Another member of the oneof to which this field belongs.
    pub(crate) fn other_member<'s>(&self, schema: &'s Schema, index: usize) -> Option<&'s Field> {
        let fields = schema[self.id].fields();
        let oneof = fields[index].oneof?;
        let others = self.fields.iter().map(|(other, _)| *other).filter(|other| *other != index);
        others.map(|other| &fields[other]).find(|other| other.oneof == Some(oneof))
    }

    /// Writes the fields, except messages at these places: they went into those of the JSON.
    pub(crate) fn write_except(&self, schema: &Schema, merged: &[usize], out: &mut Vec<u8>) {
        for (index, field) in &self.fields {
            match field {
                PresetField::Value { wire, .. } => out.extend_from_slice(wire),
                PresetField::Message(_) if merged.contains(index) => {}
                PresetField::Message(message) => {
                    let field = &schema[self.id].fields()[*index];
                    put_message(field, out, |out| message.write(schema, out));
                }
            }
        }
    }

    fn write(&self, schema: &Schema, out: &mut Vec<u8>) {
        self.write_except(schema, &[], out);
    }

    fn set(
        &mut self,
        schema: &Schema,
        index: usize,
        place: Option<usize>,
        text: &str,
        source: Source,
    ) -> Result<(), PresetError> {
        let field = &schema[self.id].fields()[index];
        let mut wire = Vec::new();
        let is_repeated = matches!(field.cardinality(), Cardinality::Repeated { .. });
        if matches!(field.cardinality(), Cardinality::Map { .. }) || !text::is_settable(schema, field.kind())
        {
            return Err(PresetError::Unknown);
        }
        text::put_field(schema, field, text, &mut wire).ok_or_else(|| PresetError::Invalid {
            found: text.chars().take(40).collect(),
            expected: text::expected(schema, field.kind()),
        })?;
        match place.map(|place| &mut self.fields[place].1) {
            None => self.fields.push((index, PresetField::Value { wire, source })),
            Some(PresetField::Value { wire: earlier, source: of }) if is_repeated && *of == source => {
                earlier.extend_from_slice(&wire);
            }
            Some(PresetField::Value { wire: earlier, .. }) if source == Source::Header => {
                if *earlier != wire {
                    return Err(PresetError::Differs);
                }
            }
            Some(PresetField::Value { source: Source::Path, .. }) => return Err(PresetError::Unknown),
            Some(_) => return Err(PresetError::Duplicate),
        }
        Ok(())
    }
}

/// Writes a message as a field; `message` writes its content.
pub fn put_message(field: &Field, out: &mut Vec<u8>, message: impl FnOnce(&mut Vec<u8>)) {
    put_tag(field.number(), field.kind().wire_type(), out);
    if field.kind().wire_type() == WireType::StartGroup {
        message(out);
        put_tag(field.number(), WireType::EndGroup, out);
    } else {
        let start = open_delimited(out);
        message(out);
        close_delimited(start, out);
    }
}

/// Writes bytes or a text as a field of this number.
pub fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_tag(number, WireType::LengthDelimited, out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn oneof_name(schema: &Schema, id: MessageId, field: &Field) -> String {
    let oneofs = &schema[id].oneofs;
    field.oneof.map_or_else(String::new, |oneof| oneofs[usize::from(oneof)].to_string())
}
