//! The messages of `google/protobuf/descriptor.proto`, as far as transcoding needs them. They are our own, because
//! `prost-types` drops what editions added: `edition` and `features`.

/// `google.protobuf.FileDescriptorSet`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FileSet {
    #[prost(message, repeated, tag = "1")]
    pub(crate) files: Vec<File>,
}

/// `google.protobuf.FileDescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct File {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) package: String,
    #[prost(message, repeated, tag = "4")]
    pub(crate) messages: Vec<Message>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) enums: Vec<Enum>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) services: Vec<Service>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) extensions: Vec<Field>,
    #[prost(message, optional, tag = "8")]
    pub(crate) options: Option<FileOptions>,
    #[prost(string, tag = "12")]
    pub(crate) syntax: String,
    /// A `google.protobuf.Edition`, where `syntax` is "editions".
    #[prost(int32, tag = "14")]
    pub(crate) edition: i32,
}

/// `google.protobuf.FileOptions`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FileOptions {
    #[prost(message, optional, tag = "50")]
    pub(crate) features: Option<FeatureSet>,
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
    #[prost(message, repeated, tag = "4")]
    pub(crate) enums: Vec<Enum>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) extensions: Vec<Field>,
    #[prost(message, optional, tag = "7")]
    pub(crate) options: Option<MessageOptions>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) oneofs: Vec<Oneof>,
}

/// `google.protobuf.MessageOptions`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MessageOptions {
    #[prost(bool, tag = "7")]
    pub(crate) map_entry: bool,
    #[prost(message, optional, tag = "12")]
    pub(crate) features: Option<FeatureSet>,
}

/// `google.protobuf.OneofDescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Oneof {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) options: Option<OneofOptions>,
}

/// `google.protobuf.OneofOptions`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OneofOptions {
    #[prost(message, optional, tag = "1")]
    pub(crate) features: Option<FeatureSet>,
}

/// `google.protobuf.FieldDescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Field {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) extendee: String,
    #[prost(int32, tag = "3")]
    pub(crate) number: i32,
    #[prost(enumeration = "Label", tag = "4")]
    pub(crate) label: i32,
    /// A `google.protobuf.FieldDescriptorProto.Type`.
    #[prost(int32, tag = "5")]
    pub(crate) kind: i32,
    #[prost(string, tag = "6")]
    pub(crate) type_name: String,
    #[prost(message, optional, tag = "8")]
    pub(crate) options: Option<FieldOptions>,
    #[prost(int32, optional, tag = "9")]
    pub(crate) oneof_index: Option<i32>,
    #[prost(string, optional, tag = "10")]
    pub(crate) json_name: Option<String>,
    #[prost(bool, tag = "17")]
    pub(crate) proto3_optional: bool,
}

/// `google.protobuf.FieldDescriptorProto.Label`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Label {
    Unknown = 0,
    Optional = 1,
    Required = 2,
    Repeated = 3,
}

/// `google.protobuf.FieldOptions`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FieldOptions {
    #[prost(bool, optional, tag = "2")]
    pub(crate) packed: Option<bool>,
    #[prost(message, optional, tag = "21")]
    pub(crate) features: Option<FeatureSet>,
}

/// `google.protobuf.EnumDescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Enum {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) values: Vec<EnumValue>,
    #[prost(message, optional, tag = "3")]
    pub(crate) options: Option<EnumOptions>,
}

/// `google.protobuf.EnumValueDescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EnumValue {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(int32, tag = "2")]
    pub(crate) number: i32,
}

/// `google.protobuf.EnumOptions`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EnumOptions {
    #[prost(message, optional, tag = "7")]
    pub(crate) features: Option<FeatureSet>,
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
    pub(crate) input: String,
    #[prost(string, tag = "3")]
    pub(crate) output: String,
    /// The bytes of the `MethodOptions`, whose extensions concern the reader of the schema.
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) options: bytes::Bytes,
    #[prost(bool, tag = "5")]
    pub(crate) client_streaming: bool,
    #[prost(bool, tag = "6")]
    pub(crate) server_streaming: bool,
}

/// `google.protobuf.FeatureSet`. What is absent is inherited.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FeatureSet {
    #[prost(int32, optional, tag = "1")]
    pub(crate) field_presence: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) enum_type: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) repeated_field_encoding: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub(crate) message_encoding: Option<i32>,
}
