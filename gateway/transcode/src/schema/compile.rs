//! Compiles a descriptor set to tables. The types are collected first, since those of fields may come later or lie in a
//! circle.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use prost::Message as _;

use super::collect::{Type, Types, within};
use super::descriptors::{self as pb, FileSet, Label};
use super::features::{Features, Presence};
use super::{
    Cardinality, Field, Form, Kind, Message, MessageId, Method, Names, Numbers, Schema, SchemaError, Service,
};
use crate::escape;

/// The largest field number (protobuf.dev/programming-guides/proto3).
const MAX_NUMBER: i32 = (1 << 29) - 1;

/// A dense table of numbers has at most this many places for each field.
const MAX_SPARSENESS: usize = 16;

impl Schema {
    /// Compiles a serialized `google.protobuf.FileDescriptorSet`.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is incomplete, or is of a later edition.
    pub fn new(set: &[u8]) -> Result<Self, SchemaError> {
        let set = FileSet::decode(set).map_err(|error| SchemaError::Unreadable(error.to_string()))?;
        let files = distinct(&set)?;
        let mut types = Types::default();
        for file in &files {
            types.collect(file)?;
        }
        let messages = types.messages.iter();
        let messages: Vec<Message> = messages
            .map(|(name, message, features)| types.message(name, message, *features))
            .collect::<Result<_, _>>()?;
        let mut services = Vec::new();
        for file in files {
            for service in &file.services {
                services.push(types.service(&file.package, service)?);
            }
        }
        let by_name =
            messages.iter().zip(0..).map(|(message, id)| (message.full_name.clone(), MessageId(id)));
        Ok(Self { by_name: by_name.collect(), messages, enums: types.enums, services })
    }
}

/// The files of a set. The same file may be there several times, as where sets were concatenated.
fn distinct(set: &FileSet) -> Result<Vec<&pb::File>, SchemaError> {
    let mut by_name: HashMap<&str, &pb::File> = HashMap::new();
    let mut files = Vec::with_capacity(set.files.len());
    for file in &set.files {
        match by_name.entry(&file.name) {
            Entry::Occupied(earlier) if *earlier.get() == file => {}
            Entry::Occupied(_) => return Err(SchemaError::DuplicateFile { file: file.name.clone() }),
            Entry::Vacant(place) => {
                place.insert(file);
                files.push(file);
            }
        }
    }
    Ok(files)
}

// === impl Types ===

impl Types<'_> {
    fn message(&self, name: &str, message: &pb::Message, features: Features) -> Result<Message, SchemaError> {
        let of_oneofs: Vec<Features> = message
            .oneofs
            .iter()
            .map(|oneof| features.with(oneof.options.as_ref().and_then(|options| options.features.as_ref())))
            .collect();
        let mut fields = Vec::with_capacity(message.fields.len());
        for field in &message.fields {
            let of_oneof = |index: i32| of_oneofs.get(usize::try_from(index).ok()?);
            let oneof = field.oneof_index.map(|index| {
                let element = format!("{name}.{}", field.name);
                of_oneof(index).ok_or_else(|| SchemaError::invalid(&element, "its oneof is unknown"))
            });
            let oneof = oneof.transpose()?;
            let json_name = field.json_name.clone().unwrap_or_else(|| camel_case(&field.name));
            fields.push(self.field(name, field, &json_name, *oneof.unwrap_or(&features))?);
        }
        for (full_name, extension, features) in self.extensions.get(name).into_iter().flatten() {
            fields.push(self.field(name, extension, &format!("[{full_name}]"), *features)?);
        }
        fields.sort_by_key(|field| field.number);
        if let Some(pair) = fields.windows(2).find(|pair| pair[0].number == pair[1].number) {
            return Err(SchemaError::invalid(
                &format!("{name}.{}", pair[1].name),
                "its number is that of another field",
            ));
        }
        let names = Names::new(&fields);
        Ok(Message {
            form: Form::of(name, &fields),
            numbers: Numbers::new(&fields),
            fields: fields.into(),
            names,
            oneofs: message.oneofs.iter().map(|oneof| oneof.name.as_str().into()).collect(),
            full_name: name.into(),
        })
    }

    fn field(
        &self,
        message: &str,
        field: &pb::Field,
        json_name: &str,
        inherited: Features,
    ) -> Result<Field, SchemaError> {
        let element = format!("{message}.{}", field.name);
        let options = field.options.as_ref();
        let features = inherited.with(options.and_then(|options| options.features.as_ref()));
        if !(1..=MAX_NUMBER).contains(&field.number) {
            return Err(SchemaError::invalid(&element, "its number is not from 1 to 2^29 - 1"));
        }
        let mut kind = self.kind(&element, field, features)?;
        let mut cardinality = Cardinality::Singular;
        if field.label() == Label::Repeated {
            let packed = options.and_then(|options| options.packed).unwrap_or(features.packed);
            cardinality = Cardinality::Repeated { packed: packed && is_packable(kind) };
            if let Some((key, value)) = self.map_of(&element, kind)? {
                (kind, cardinality) = (value, Cardinality::Map { key });
            }
        }
        let oneof = field.oneof_index.filter(|_| !field.proto3_optional);
        let is_explicit = features.presence == Presence::Explicit || field.proto3_optional;
        Ok(Field {
            number: field.number.unsigned_abs(),
            name: if json_name.starts_with('[') { json_name } else { &field.name }.into(),
            key: key(json_name),
            json_name: json_name.into(),
            // An extension is written where it is there only, also as a list.
            has_presence: !field.extendee.is_empty()
                || (cardinality == Cardinality::Singular
                    && (is_explicit || oneof.is_some() || kind.message().is_some())),
            oneof: oneof
                .map(u16::try_from)
                .transpose()
                .map_err(|_| SchemaError::invalid(&element, "its oneof is unknown"))?,
            kind,
            cardinality,
        })
    }

    fn kind(&self, element: &str, field: &pb::Field, features: Features) -> Result<Kind, SchemaError> {
        Ok(match field.kind {
            1 => Kind::Double,
            2 => Kind::Float,
            3 => Kind::Int64,
            4 => Kind::Uint64,
            5 => Kind::Int32,
            6 => Kind::Fixed64,
            7 => Kind::Fixed32,
            8 => Kind::Bool,
            9 => Kind::String,
            10 => Kind::Group(self.find_message(element, &field.type_name)?),
            11 => {
                let id = self.find_message(element, &field.type_name)?;
                // Maps and their entries have lengths, whatever the features of the file.
                let is_delimited = features.delimited && !is_map_entry(self.messages[id.0 as usize].1);
                if is_delimited { Kind::Group(id) } else { Kind::Message(id) }
            }
            12 => Kind::Bytes,
            13 => Kind::Uint32,
            14 => match self.find(element, &field.type_name)? {
                Type::Enum(id) => Kind::Enum(id),
                Type::Message(_) => {
                    return Err(SchemaError::invalid(element, "a message stands where an enum is needed"));
                }
            },
            15 => Kind::Sfixed32,
            16 => Kind::Sfixed64,
            17 => Kind::Sint32,
            18 => Kind::Sint64,
            _ => return Err(SchemaError::invalid(element, "its type is unknown")),
        })
    }

    /// The types of the keys and values of a map, whose entries are messages of this kind.
    fn map_of(&self, element: &str, kind: Kind) -> Result<Option<(Kind, Kind)>, SchemaError> {
        let Kind::Message(id) = kind else { return Ok(None) };
        let (_, entry, features) = &self.messages[id.0 as usize];
        if !is_map_entry(entry) {
            return Ok(None);
        }
        let of = |number: i32| {
            let field = entry.fields.iter().find(|field| field.number == number);
            let field = field.ok_or_else(|| {
                SchemaError::invalid(element, "an entry of a map lacks its key or its value")
            })?;
            let features = Features { delimited: false, ..*features };
            self.kind(element, field, features)
        };
        match of(1)? {
            Kind::Double | Kind::Float | Kind::Bytes | Kind::Enum(_) | Kind::Message(_) | Kind::Group(_) => {
                Err(SchemaError::invalid(element, "keys of a map cannot be of this type"))
            }
            key => Ok(Some((key, of(2)?))),
        }
    }

    fn service(&self, package: &str, service: &pb::Service) -> Result<Service, SchemaError> {
        let full_name = within(package, &service.name);
        let methods = service.methods.iter().map(|method| {
            let element = format!("{full_name}.{}", method.name);
            Ok(Method {
                input: self.find_message(&element, &method.input)?,
                output: self.find_message(&element, &method.output)?,
                name: method.name.clone(),
                client_streaming: method.client_streaming,
                server_streaming: method.server_streaming,
                options: method.options.clone(),
            })
        });
        Ok(Service { methods: methods.collect::<Result<_, _>>()?, full_name })
    }
}

// === impl Numbers ===

impl Numbers {
    fn new(fields: &[Field]) -> Self {
        let size = fields.last().map_or(0, |field| field.number as usize + 1);
        if size > (fields.len() + 4) * MAX_SPARSENESS || fields.len() >= usize::from(u16::MAX) {
            return Numbers::Sparse;
        }
        let mut indices = vec![0; size];
        for (field, index) in fields.iter().zip(1..) {
            indices[field.number as usize] = index;
        }
        Numbers::Dense(indices.into())
    }
}

fn is_packable(kind: Kind) -> bool {
    !matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Group(_))
}

fn is_map_entry(message: &pb::Message) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry)
}

fn key(json_name: &str) -> Box<[u8]> {
    let mut key = Vec::with_capacity(json_name.len() + 3);
    escape::quoted(json_name, &mut key);
    key.push(b':');
    key.into()
}

/// The name in JSON of a field whose descriptor states none.
fn camel_case(name: &str) -> String {
    let (mut camel, mut after_underscore) = (String::with_capacity(name.len()), false);
    for letter in name.chars() {
        match letter {
            '_' => after_underscore = true,
            _ if after_underscore => {
                camel.push(letter.to_ascii_uppercase());
                after_underscore = false;
            }
            _ => camel.push(letter),
        }
    }
    camel
}
