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

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};
    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;
    use crate::problem;

    /// A set with this file, which defines a message of `google.rpc`.
    fn set(file: &str, message: &str) -> Vec<u8> {
        let message = DescriptorProto { name: Some(message.to_owned()), ..DescriptorProto::default() };
        let file = FileDescriptorProto {
            name: Some(file.to_owned()),
            package: Some("google.rpc".to_owned()),
            message_type: vec![message],
            syntax: Some("proto3".to_owned()),
            ..FileDescriptorProto::default()
        };
        FileDescriptorSet { file: vec![file] }.encode_to_vec()
    }

    #[test]
    fn a_set_with_older_or_moved_details_is_used_and_our_errors_keep_theirs() {
        for (file, message) in [
            ("google/rpc/error_details.proto", "RetryInfo"),
            ("vendored/details.proto", "RetryInfo"),
            ("vendored/status.proto", "Status"),
        ] {
            let set = set(file, message);
            let given = Schema::new(&set).unwrap();
            let (_, schema) = with_details(set.into(), given);
            let details = ErrorDetails::with_error_info("ODD", "odd.v1", std::collections::HashMap::new());
            let status = Status::with_error_details(Code::NotFound, "none", details);
            let json = problem::to_json(&status, &HeaderValue::from_static("r"), &schema);
            let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(json["details"][0]["reason"], "ODD", "{file} {message}: {json}");
        }
    }
}
