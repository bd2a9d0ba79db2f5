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
    pub(super) fn new(sets: &[&[u8]]) -> Self {
        let mut index = Self::default();
        let files = sets.iter().flat_map(|set| FileSet::decode(*set).unwrap_or_default().files);
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
    use dataflow_proto::FILE_DESCRIPTOR_SET;

    use super::*;

    /// The file in which an index finds something.
    fn name(file: Option<&Bytes>) -> Option<String> {
        Some(FileDescriptorProto::decode(file?.clone()).unwrap().name().to_owned())
    }

    #[test]
    fn symbols_of_every_kind_are_found() {
        let index = Index::new(&[FILE_DESCRIPTOR_SET, FILE_DESCRIPTOR_SET]);
        let check = |symbol: &str, expected: Option<&str>| {
            assert_eq!(name(index.file_of_symbol(symbol)).as_deref(), expected, "{symbol}");
        };
        check("dataflow.cache.v1.CacheService", Some("dataflow/cache/v1/cache_service.proto"));
        check("dataflow.cache.v1.CacheService.SetEntry", Some("dataflow/cache/v1/cache_service.proto"));
        check("dataflow.config.v1.Provider.Quota", Some("dataflow/config/v1/provider.proto"));
        check("dataflow.config.v1.Provider.Quota.calls", Some("dataflow/config/v1/provider.proto"));
        check("google.api.http", Some("google/api/annotations.proto"));
        check("google.rpc.ErrorInfo", Some("google/rpc/error_details.proto"));
        check("google.protobuf.NULL_VALUE", None);
        check("dataflow.cache.v1.Nothing", None);
        check("", None);
    }

    #[test]
    fn extensions_are_found_by_their_numbers() {
        let index = Index::new(&[FILE_DESCRIPTOR_SET]);
        let options = "google.protobuf.MethodOptions";
        let file = name(index.file_of_extension(options, 72_295_728));
        assert_eq!(file.as_deref(), Some("google/api/annotations.proto"));
        assert_eq!(index.file_of_extension(options, 1), None);
        assert!(index.extension_numbers(options).unwrap().contains(&72_295_728));
        assert_eq!(index.extension_numbers("google.protobuf.Any"), Some(Vec::new()));
        assert_eq!(index.extension_numbers("google.protobuf.Nothing"), None);
    }

    #[test]
    fn files_keep_the_options_that_extensions_define() {
        let index = Index::new(&[FILE_DESCRIPTOR_SET]);
        let file = index.file("dataflow/analysis/v1/analysis_service.proto").unwrap();
        let path = b"/v1/dataflows:categorize";
        assert!(file.windows(path.len()).any(|bytes| bytes == path));
    }
}
