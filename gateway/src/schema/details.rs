//! The messages in which errors have their details: `google.rpc`. Every schema has them, since any service may fail
//! with them, and clients look for them by reflection.

use std::borrow::Cow;

use bytes::Bytes;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_transcode::{Schema, last_delimited};
use prost::Message as _;

/// A message of each file that is needed, and the file.
const NEEDED: [(&str, &str); 4] = [
    ("google.protobuf.Any", "google/protobuf/any.proto"),
    ("google.protobuf.Duration", "google/protobuf/duration.proto"),
    ("google.rpc.ErrorInfo", "google/rpc/error_details.proto"),
    ("google.rpc.Status", "google/rpc/status.proto"),
];

/// `google.protobuf.FileDescriptorSet`, with the bytes of its files.
#[derive(Clone, PartialEq, prost::Message)]
struct FileSet {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    files: Vec<Bytes>,
}

/// The field of `google.protobuf.FileDescriptorProto` that is its name.
const NAME: u32 = 1;

/// The descriptor set, and its schema, with those of the files that it lacks. A file that contradicts the set stays out:
/// the set may have an older one without all messages, or the same messages in another file.
pub(super) fn with_details<'a>(descriptors: Cow<'a, [u8]>, given: Schema) -> (Cow<'a, [u8]>, Schema) {
    let own = FileSet::decode(FILE_DESCRIPTOR_SET).expect("our own build wrote it");
    let mut completed = (descriptors, given);
    for (message, name) in NEEDED {
        if completed.1.message_named(message).is_some() {
            continue;
        }
        let is_it = |file: &&Bytes| last_delimited(file, NAME).is_some_and(|at| file[at] == *name.as_bytes());
        let files = own.files.iter().find(is_it).cloned().into_iter().collect();
        // The concatenation of two messages is their merger.
        let more: Cow<'_, [u8]> = [&completed.0[..], &FileSet { files }.encode_to_vec()].concat().into();
        if let Ok(schema) = Schema::new(&more) {
            completed = (more, schema);
        }
    }
    completed
}
