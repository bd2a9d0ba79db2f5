//! The tables that drive transcoding: every message of a descriptor set with its fields by number and by name. They are
//! compiled once; the hot path follows indices and never looks up a type by name.

mod collect;
mod compile;
mod descriptors;
mod error;
mod features;
mod form;
mod kind;
mod names;

use std::collections::HashMap;
use std::ops::Index;

use bytes::Bytes;

pub use error::SchemaError;
pub(crate) use form::Form;
pub use kind::Kind;
use names::Names;

/// A compiled descriptor set.
#[derive(Debug)]
pub struct Schema {
    messages: Vec<Message>,
    enums: Vec<Enum>,
    by_name: HashMap<Box<str>, MessageId>,
    services: Vec<Service>,
}

/// A message of a [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId(u32);

/// An enum of a [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnumId(u32);

/// A field of a message of a [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FieldId {
    pub(crate) message: MessageId,
    index: u32,
}

/// A message type.
#[derive(Debug)]
pub struct Message {
    full_name: Box<str>,
    pub(crate) form: Form,
    /// In the order of their numbers.
    fields: Box<[Field]>,
    numbers: Numbers,
    names: Names,
    /// Names of the oneofs.
    pub(crate) oneofs: Box<[Box<str>]>,
}

/// A field of a message.
#[derive(Debug)]
pub struct Field {
    number: u32,
    name: Box<str>,
    json_name: Box<str>,
    /// The name of its member, quoted and escaped, with a colon.
    pub(crate) key: Box<[u8]>,
    kind: Kind,
    cardinality: Cardinality,
    /// Whether the absent field differs from one with its default value, and is not written.
    pub(crate) has_presence: bool,
    /// The oneof whose member it is, by its index.
    pub(crate) oneof: Option<u16>,
}

/// How many values a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    /// At most one.
    Singular,
    /// Any number, written packed or each with its tag.
    Repeated {
        /// Whether they are written packed; both are read.
        packed: bool,
    },
    /// Any number by keys of this type; the type of the field is that of the values.
    Map {
        /// The type of the keys.
        key: Kind,
    },
}

/// An enum type.
#[derive(Debug)]
pub struct Enum {
    full_name: Box<str>,
    /// The numbers by name.
    numbers: HashMap<Box<str>, i32>,
    /// The first name of each number, quoted, by number.
    names: Vec<(i32, Box<str>)>,
    closed: bool,
    /// `google.protobuf.NullValue`, which is `null` in JSON.
    pub(crate) is_null: bool,
}

/// A service of the descriptor set.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its full name.
    pub full_name: String,
    /// Its methods, in order.
    pub methods: Vec<Method>,
}

/// A method of a service.
#[derive(Debug, Clone)]
pub struct Method {
    /// Its name within the service.
    pub name: String,
    /// The request.
    pub input: MessageId,
    /// The reply.
    pub output: MessageId,
    /// Whether it takes a stream of requests.
    pub client_streaming: bool,
    /// Whether it replies with a stream.
    pub server_streaming: bool,
    /// Its `google.protobuf.MethodOptions` on the wire, with all extensions.
    pub options: Bytes,
}

/// Fields by their numbers: an array where the numbers are small, a search where they are not.
#[derive(Debug)]
enum Numbers {
    /// The index of each number's field, plus one.
    Dense(Box<[u16]>),
    Sparse,
}

// === impl Schema ===

impl Schema {
    /// The message of this full name.
    pub fn message_named(&self, full_name: &str) -> Option<MessageId> {
        self.by_name.get(full_name).copied()
    }

    /// The field of a message, by its name in the `.proto` file or in JSON.
    pub fn field_named(&self, message: MessageId, name: &str) -> Option<FieldId> {
        let index = self[message].index_named(name.as_bytes())?;
        Some(FieldId { message, index: u32::try_from(index).ok()? })
    }

    /// The fields that a dotted path names, outermost first.
    pub fn resolve(&self, message: MessageId, path: &str) -> Option<Vec<FieldId>> {
        let mut inside = Some(message);
        let fields = path.split('.').map(|name| {
            let field = self.field_named(inside?, name)?;
            inside = self[field].message();
            Some(field)
        });
        fields.collect()
    }

    /// The services, in the order of the set.
    pub fn services(&self) -> &[Service] {
        &self.services
    }
}

impl Index<MessageId> for Schema {
    type Output = Message;

    fn index(&self, id: MessageId) -> &Message {
        &self.messages[id.0 as usize]
    }
}

impl Index<EnumId> for Schema {
    type Output = Enum;

    fn index(&self, id: EnumId) -> &Enum {
        &self.enums[id.0 as usize]
    }
}

impl Index<FieldId> for Schema {
    type Output = Field;

    fn index(&self, id: FieldId) -> &Field {
        &self[id.message].fields[id.index()]
    }
}

// === impl FieldId ===

impl FieldId {
    pub(crate) fn index(self) -> usize {
        self.index as usize
    }
}

// === impl Message ===

impl Message {
    /// Its full name, without a leading dot.
    pub fn full_name(&self) -> &str {
        &self.full_name
    }

    /// Whether its JSON is an object with a member for each field, as opposed to the form of a well-known type.
    pub fn is_plain(&self) -> bool {
        matches!(self.form, Form::Object)
    }

    /// Whether its JSON is one text or number, which can stand in a URL.
    pub fn is_scalar(&self) -> bool {
        matches!(self.form, Form::Timestamp | Form::Duration | Form::FieldMask | Form::Wrapper(_))
    }

    /// The fields, in the order of their numbers.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The index of the field of this name.
    pub(crate) fn index_named(&self, name: &[u8]) -> Option<usize> {
        self.names.find(name, &self.fields)
    }

    /// The index of the field of this number.
    pub(crate) fn index_numbered(&self, number: u32) -> Option<usize> {
        match &self.numbers {
            Numbers::Dense(indices) => (*indices.get(number as usize)? as usize).checked_sub(1),
            Numbers::Sparse => self.fields.binary_search_by_key(&number, |field| field.number).ok(),
        }
    }
}

// === impl Field ===

impl Field {
    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its name in the `.proto` file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name in JSON.
    pub fn json_name(&self) -> &str {
        &self.json_name
    }

    /// The type of its values.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many values it has.
    pub fn cardinality(&self) -> Cardinality {
        self.cardinality
    }

    /// The type of its one value, if that is a message.
    pub fn message(&self) -> Option<MessageId> {
        (self.cardinality == Cardinality::Singular).then(|| self.kind.message()).flatten()
    }
}

// === impl Enum ===

impl Enum {
    /// Its full name, without a leading dot.
    pub fn full_name(&self) -> &str {
        &self.full_name
    }

    /// The number of a name.
    pub(crate) fn number(&self, name: &str) -> Option<i32> {
        self.numbers.get(name).copied()
    }

    /// The name of a number, in quotes; the first one of aliases.
    pub(crate) fn quoted_name(&self, number: i32) -> Option<&str> {
        let index = self.names.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(&self.names[index].1)
    }

    /// Whether a number is a value of it. An open enum has unknown ones too; a closed one has not, and a field with
    /// such a number counts as unknown.
    pub(crate) fn accepts(&self, number: i32) -> bool {
        !self.closed || self.quoted_name(number).is_some()
    }

    /// Some of its names, for an error message: those of other values than the default.
    pub(crate) fn expectation(&self) -> String {
        let others = self.names.iter().filter(|(number, _)| *number != 0).take(20);
        let names: Vec<&str> = others.map(|(_, name)| name.trim_matches('"')).collect();
        format!("one of {}", names.join(", "))
    }
}
