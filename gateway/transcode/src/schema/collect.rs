//! The first pass over a descriptor set: the full names of all types, with the features that they inherit.

use std::collections::HashMap;

use super::descriptors as pb;
use super::features::Features;
use super::{Enum, EnumId, MessageId, SchemaError};

/// What the first pass found.
#[derive(Default)]
pub(super) struct Types<'a> {
    by_name: HashMap<String, Type>,
    pub(super) messages: Vec<(String, &'a pb::Message, Features)>,
    pub(super) enums: Vec<Enum>,
    /// The extensions of each message, by its name.
    pub(super) extensions: HashMap<&'a str, Vec<(String, &'a pb::Field, Features)>>,
}

#[derive(Clone, Copy)]
pub(super) enum Type {
    Message(MessageId),
    Enum(EnumId),
}

// === impl Types ===

impl<'a> Types<'a> {
    pub(super) fn collect(&mut self, file: &'a pb::File) -> Result<(), SchemaError> {
        let features = Features::of_file(file)?;
        for message in &file.messages {
            self.collect_message(&file.package, message, features)?;
        }
        for each in &file.enums {
            self.collect_enum(&file.package, each, features)?;
        }
        self.collect_extensions(&file.package, &file.extensions, features);
        Ok(())
    }

    fn collect_message(
        &mut self,
        scope: &str,
        message: &'a pb::Message,
        features: Features,
    ) -> Result<(), SchemaError> {
        let name = within(scope, &message.name);
        let set = message.options.as_ref().and_then(|options| options.features.as_ref());
        let features = features.with(set);
        let id = MessageId(index(self.messages.len()));
        self.name(&name, Type::Message(id))?;
        self.messages.push((name.clone(), message, features));
        for inner in &message.messages {
            self.collect_message(&name, inner, features)?;
        }
        for inner in &message.enums {
            self.collect_enum(&name, inner, features)?;
        }
        self.collect_extensions(&name, &message.extensions, features);
        Ok(())
    }

    fn collect_enum(&mut self, scope: &str, each: &pb::Enum, features: Features) -> Result<(), SchemaError> {
        let full_name = within(scope, &each.name);
        let set = each.options.as_ref().and_then(|options| options.features.as_ref());
        self.name(&full_name, Type::Enum(EnumId(index(self.enums.len()))))?;
        let mut names: Vec<(i32, Box<str>)> = Vec::with_capacity(each.values.len());
        for value in &each.values {
            names.push((value.number, format!("\"{}\"", value.name).into()));
        }
        // Stable, so that the first name of an alias stays.
        names.sort_by_key(|(number, _)| *number);
        names.dedup_by_key(|(number, _)| *number);
        self.enums.push(Enum {
            numbers: each.values.iter().map(|value| (value.name.as_str().into(), value.number)).collect(),
            names,
            closed: features.with(set).closed_enum,
            is_null: full_name == "google.protobuf.NullValue",
            full_name: full_name.into(),
        });
        Ok(())
    }

    fn collect_extensions(&mut self, scope: &str, extensions: &'a [pb::Field], features: Features) {
        for extension in extensions {
            let extended = extension.extendee.trim_start_matches('.');
            let name = within(scope, &extension.name);
            self.extensions.entry(extended).or_default().push((name, extension, features));
        }
    }

    fn name(&mut self, name: &str, of: Type) -> Result<(), SchemaError> {
        match self.by_name.insert(name.to_owned(), of) {
            None => Ok(()),
            Some(_) => Err(SchemaError::DuplicateName { name: name.to_owned() }),
        }
    }

    pub(super) fn find(&self, element: &str, name: &str) -> Result<Type, SchemaError> {
        let found = self.by_name.get(name.trim_start_matches('.')).copied();
        found.ok_or_else(|| SchemaError::Missing { element: element.to_owned(), name: name.to_owned() })
    }

    pub(super) fn find_message(&self, element: &str, name: &str) -> Result<MessageId, SchemaError> {
        match self.find(element, name)? {
            Type::Message(id) => Ok(id),
            Type::Enum(_) => Err(SchemaError::invalid(element, "an enum stands where a message is needed")),
        }
    }
}

pub(super) fn within(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

fn index(length: usize) -> u32 {
    u32::try_from(length).expect("a descriptor set has fewer than 2^32 types")
}
