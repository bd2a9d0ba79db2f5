//! The messages of `google/protobuf/descriptor.proto`, as far as a server needs them: most of a descriptor set is
//! comments, which take most of the time to decode.

use prost::Message as _;

/// `google.protobuf.FileDescriptorSet`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FileSet {
    #[prost(message, repeated, tag = "1")]
    pub(crate) files: Vec<File>,
}

/// `google.protobuf.FileDescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct File {
    #[prost(string, tag = "2")]
    pub(crate) package: String,
    #[prost(message, repeated, tag = "4")]
    pub(crate) messages: Vec<Message>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) services: Vec<Service>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) extensions: Vec<Extension>,
}

/// `google.protobuf.DescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Message {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) fields: Vec<Field>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) messages: Vec<Message>,
}

/// `google.protobuf.FieldDescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Field {
    #[prost(int32, tag = "3")]
    pub(crate) number: i32,
    #[prost(enumeration = "prost_types::field_descriptor_proto::Label", tag = "4")]
    pub(crate) label: i32,
    #[prost(enumeration = "prost_types::field_descriptor_proto::Type", tag = "5")]
    pub(crate) kind: i32,
    #[prost(string, tag = "6")]
    pub(crate) type_name: String,
}

/// `google.protobuf.FieldDescriptorProto` of an extension.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Extension {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

/// `google.protobuf.ServiceDescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Service {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) methods: Vec<Method>,
}

/// `google.protobuf.MethodDescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Method {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) input_type: String,
    /// Not decoded with the method: those of others may use the same numbers.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) options: Vec<u8>,
    #[prost(bool, tag = "5")]
    pub(crate) client_streaming: bool,
    #[prost(bool, tag = "6")]
    pub(crate) server_streaming: bool,
}

// === impl FileSet ===

impl FileSet {
    /// Reads a descriptor set.
    ///
    /// # Panics
    ///
    /// If it is not one: who builds a server has read it before.
    pub(crate) fn read(descriptor_set: &[u8]) -> Self {
        Self::decode(descriptor_set).expect("the descriptor set of a server is well-formed")
    }
}

// === impl File ===

impl File {
    /// The services, by their full names.
    pub(crate) fn services(&self) -> impl Iterator<Item = (String, &Service)> {
        let dot = if self.package.is_empty() { "" } else { "." };
        self.services.iter().map(move |service| (format!("{}{dot}{}", self.package, service.name), service))
    }
}
