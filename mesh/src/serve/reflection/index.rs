//! The files of descriptor sets by their names, by the symbols that they define, and by the extensions. The bytes of a
//! file stay as they are: decoding and encoding would drop options that extensions define.

use std::collections::{BTreeMap, HashMap};

use prost::Message;
use prost::bytes::Bytes;
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto};

/// What reflection looks up.
#[derive(Debug, Default)]
pub(super) struct Index {
    files: Vec<Bytes>,
    by_name: HashMap<String, usize>,
    by_symbol: HashMap<String, usize>,
    /// The extensions of a message, by number.
    by_extension: HashMap<String, BTreeMap<i32, usize>>,
}

/// `google.protobuf.FileDescriptorSet`, with the bytes of its files.
#[derive(Clone, PartialEq, prost::Message)]
struct FileSet {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    files: Vec<Bytes>,
}

// === impl Index ===

impl Index {
    /// Indexes serialized descriptor sets. Of a file that occurs more than once, the first counts; what cannot be read
    /// is left out.
    pub(super) fn new(sets: &[impl AsRef<[u8]>]) -> Self {
        let mut index = Self::default();
        let files = sets.iter().flat_map(|set| FileSet::decode(set.as_ref()).unwrap_or_default().files);
        for bytes in files {
            let Ok(file) = FileDescriptorProto::decode(bytes.clone()) else { continue };
            let name = file.name().to_owned();
            if index.by_name.contains_key(&name) {
                continue;
            }
            let at = index.files.len();
            index.files.push(bytes);
            index.by_name.insert(name, at);
            index.add(at, &file);
        }
        index
    }

    pub(super) fn file(&self, name: &str) -> Option<&Bytes> {
        self.by_name.get(name).map(|at| &self.files[*at])
    }

    pub(super) fn file_of_symbol(&self, name: &str) -> Option<&Bytes> {
        self.by_symbol.get(name).map(|at| &self.files[*at])
    }

    pub(super) fn file_of_extension(&self, message: &str, number: i32) -> Option<&Bytes> {
        self.by_extension.get(message)?.get(&number).map(|at| &self.files[*at])
    }

    /// The numbers of a message's extensions; none if there is no such message.
    pub(super) fn extension_numbers(&self, message: &str) -> Option<Vec<i32>> {
        match self.by_extension.get(message) {
            Some(extensions) => Some(extensions.keys().copied().collect()),
            None => self.by_symbol.contains_key(message).then(Vec::new),
        }
    }

    fn add(&mut self, at: usize, file: &FileDescriptorProto) {
        let package = file.package();
        file.message_type.iter().for_each(|message| self.add_message(at, package, message));
        file.enum_type.iter().for_each(|each| self.add_enum(at, package, each));
        self.add_extensions(at, package, &file.extension);
        for service in &file.service {
            let name = self.symbol(at, package, service.name());
            for method in &service.method {
                self.symbol(at, &name, method.name());
            }
        }
    }

    fn add_message(&mut self, at: usize, scope: &str, message: &DescriptorProto) {
        let name = self.symbol(at, scope, message.name());
        for field in &message.field {
            self.symbol(at, &name, field.name());
        }
        for oneof in &message.oneof_decl {
            self.symbol(at, &name, oneof.name());
        }
        message.nested_type.iter().for_each(|inner| self.add_message(at, &name, inner));
        message.enum_type.iter().for_each(|inner| self.add_enum(at, &name, inner));
        self.add_extensions(at, &name, &message.extension);
    }

    fn add_enum(&mut self, at: usize, scope: &str, each: &EnumDescriptorProto) {
        self.symbol(at, scope, each.name());
        for value in &each.value {
            // The scope of a value is that of its enum.
            self.symbol(at, scope, value.name());
        }
    }

    fn add_extensions(&mut self, at: usize, scope: &str, extensions: &[FieldDescriptorProto]) {
        for extension in extensions {
            self.symbol(at, scope, extension.name());
            let extended = extension.extendee().trim_start_matches('.').to_owned();
            self.by_extension.entry(extended).or_default().insert(extension.number(), at);
        }
    }

    /// Enters a symbol, and returns its full name.
    fn symbol(&mut self, at: usize, scope: &str, name: &str) -> String {
        let full = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
        self.by_symbol.insert(full.clone(), at);
        full
    }
}

#[cfg(test)]
mod tests {
    use prost_types::field_descriptor_proto::Type;
    use prost_types::{MethodDescriptorProto, OneofDescriptorProto, ServiceDescriptorProto};

    use super::*;

    /// A file with one element of each kind, and with an option that only an extension defines.
    fn set() -> Vec<u8> {
        let named = |name: &str| Some(name.to_owned());
        let field = |name: &str, extendee: Option<String>| FieldDescriptorProto {
            name: named(name),
            number: Some(1000),
            r#type: Some(Type::Int32.into()),
            extendee,
            ..FieldDescriptorProto::default()
        };
        let inner = DescriptorProto { name: named("Inner"), ..DescriptorProto::default() };
        let message = DescriptorProto {
            name: named("Outer"),
            field: vec![field("field", None)],
            nested_type: vec![inner],
            oneof_decl: vec![OneofDescriptorProto { name: named("choice"), options: None }],
            extension: vec![field("nested_extension", named(".a.v1.Other"))],
            ..DescriptorProto::default()
        };
        let method = MethodDescriptorProto { name: named("Do"), ..MethodDescriptorProto::default() };
        let service = ServiceDescriptorProto { name: named("S"), method: vec![method], options: None };
        let value = prost_types::EnumValueDescriptorProto { name: named("RED"), ..Default::default() };
        let colour = EnumDescriptorProto { name: named("Colour"), value: vec![value], ..Default::default() };
        let file = FileDescriptorProto {
            name: named("a/v1/a.proto"),
            package: named("a.v1"),
            message_type: vec![message],
            enum_type: vec![colour],
            service: vec![service],
            extension: vec![field("extension", named(".a.v1.Outer"))],
            ..FileDescriptorProto::default()
        };
        let mut bytes = file.encode_to_vec();
        bytes.extend_from_slice(OPTION);
        FileSet { files: vec![bytes.into()] }.encode_to_vec()
    }

    /// Field 8, `options`, with the extension 50000.
    const OPTION: &[u8] = &[0x42, 0x04, 0x80, 0xb5, 0x18, 0x07];

    #[test]
    fn symbols_of_every_kind_are_found() {
        let set = set();
        let index = Index::new(&[&set[..], tonic_health::pb::FILE_DESCRIPTOR_SET, &set[..], b"no set"]);
        let name = |file: Option<&Bytes>| {
            Some(FileDescriptorProto::decode(file?.clone()).unwrap().name().to_owned())
        };
        let check = |symbol: &str, expected: Option<&str>| {
            assert_eq!(name(index.file_of_symbol(symbol)).as_deref(), expected, "{symbol}");
        };
        for symbol in [
            "a.v1.Outer",
            "a.v1.Outer.field",
            "a.v1.Outer.choice",
            "a.v1.Outer.Inner",
            "a.v1.Outer.nested_extension",
            "a.v1.Colour",
            "a.v1.RED",
            "a.v1.S",
            "a.v1.S.Do",
            "a.v1.extension",
        ] {
            check(symbol, Some("a/v1/a.proto"));
        }
        check("grpc.health.v1.Health.Check", Some("health.proto"));
        check("a.v1.Nothing", None);
        check("", None);
    }

    #[test]
    fn extensions_are_found_by_their_numbers() {
        let set = set();
        let index = Index::new(&[&set]);
        assert!(index.file_of_extension("a.v1.Outer", 1000).is_some());
        assert!(index.file_of_extension("a.v1.Other", 1000).is_some());
        assert_eq!(index.file_of_extension("a.v1.Outer", 1), None);
        assert_eq!(index.extension_numbers("a.v1.Outer"), Some(vec![1000]));
        assert_eq!(index.extension_numbers("a.v1.Outer.Inner"), Some(Vec::new()));
        assert_eq!(index.extension_numbers("a.v1.Nothing"), None);
    }

    #[test]
    fn files_keep_the_options_that_extensions_define() {
        let set = set();
        let index = Index::new(&[&set]);
        assert!(index.file("a/v1/a.proto").unwrap().ends_with(OPTION));
        assert_eq!(index.file("b.proto"), None);
    }
}
