//! The tables that drive transcoding: every message of a descriptor set with its fields by number and by name. They are
//! compiled once; the hot path follows indices and never looks up a type by name.

mod compile;
mod form;
mod names;

use std::collections::HashMap;
use std::ops::Index;

use bytes::Bytes;

pub(crate) use form::Form;
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

/// The type of a field, or of a value of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `double`.
    Double,
    /// `float`.
    Float,
    /// `int32`.
    Int32,
    /// `int64`.
    Int64,
    /// `uint32`.
    Uint32,
    /// `uint64`.
    Uint64,
    /// `sint32`.
    Sint32,
    /// `sint64`.
    Sint64,
    /// `fixed32`.
    Fixed32,
    /// `fixed64`.
    Fixed64,
    /// `sfixed32`.
    Sfixed32,
    /// `sfixed64`.
    Sfixed64,
    /// `bool`.
    Bool,
    /// `string`.
    String,
    /// `bytes`.
    Bytes,
    /// An enum.
    Enum(EnumId),
    /// A message after its length.
    Message(MessageId),
    /// A message between the tags of a group.
    Group(MessageId),
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
    pub(crate) closed: bool,
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

/// Why a descriptor set cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It is not a `FileDescriptorSet`.
    #[error("not a FileDescriptorSet: {0}")]
    Unreadable(String),
    /// A file is in a language that came after this release.
    #[error(
        "{file} is in {edition}, which is not supported; supported are proto2, proto3, and the editions 2023 and 2024"
    )]
    Edition {
        /// The file.
        file: String,
        /// Its edition.
        edition: String,
    },
    /// Two files of the same name differ.
    #[error("the descriptor set has two different files named {file}")]
    DuplicateFile {
        /// The file.
        file: String,
    },
    /// Two elements have the same full name.
    #[error("the descriptor set defines {name} twice")]
    DuplicateName {
        /// The full name.
        name: String,
    },
    /// A file names a type that no file of the set defines.
    #[error(
        "{element} uses {name}, which the descriptor set does not define; write the set with its imports"
    )]
    Missing {
        /// What uses it.
        element: String,
        /// The missing type.
        name: String,
    },
    /// An element is impossible.
    #[error("{element} is invalid: {problem}")]
    Invalid {
        /// The element.
        element: String,
        /// The error.
        problem: &'static str,
    },
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

    /// The field of this name, as in the `.proto` file or as in JSON.
    pub fn field_named(&self, name: &str) -> Option<&Field> {
        self.index_named(name.as_bytes()).map(|index| &self.fields[index])
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

// === impl Kind ===

impl Kind {
    /// The message type, if it is one.
    pub fn message(self) -> Option<MessageId> {
        match self {
            Kind::Message(id) | Kind::Group(id) => Some(id),
            _ => None,
        }
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

    /// Some of its names, for an error message: those of other values than the default.
    pub(crate) fn expectation(&self) -> String {
        let others = self.names.iter().filter(|(number, _)| *number != 0).take(20);
        let names: Vec<&str> = others.map(|(_, name)| name.trim_matches('"')).collect();
        format!("one of {}", names.join(", "))
    }
}
