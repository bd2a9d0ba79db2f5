//! Transcoding between JSON and the wire format of protobuf, in one pass and without a tree, driven by the tables of a
//! descriptor set ([`Schema`]). All of proto3 JSON, for messages of proto2, proto3 and the editions 2023 and 2024.
//!
//! It knows neither HTTP nor gRPC nor an asynchronous runtime.

mod escape;
mod field_path;
mod json;
mod json_to_wire;
mod mask;
mod preset;
mod scalar;
mod schema;
mod time;
mod wire;
mod wire_to_json;

#[cfg(test)]
mod tests;

pub use json::{JsonProblem, JsonToWireError};
pub use json_to_wire::{Root, json_to_wire};
pub use preset::{Preset, PresetError, Source, put_bytes, put_message};
pub use schema::{
    Cardinality, Enum, EnumId, Field, FieldId, Kind, Message, MessageId, Method, Schema, SchemaError, Service,
};
pub use wire::{WireError, first_from, last_delimited};
pub use wire_to_json::{IncrementalWriter, JsonWriter, ReplyProblem, Style, WireToJsonError};

/// The most levels of messages within a message: as many as prost decodes.
pub(crate) const MAX_DEPTH: usize = 100;
