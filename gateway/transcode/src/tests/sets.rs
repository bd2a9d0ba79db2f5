//! Descriptor sets that compilers write, and those that none does.

use std::sync::Arc;

use prost::Message as _;
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, OneofDescriptorProto,
};

use crate::{
    IncrementalWriter, JsonWriter, MessageId, Preset, Root, Schema, SchemaError, Style, json_to_wire,
};

/// `google.protobuf.FileDescriptorSet`, with the bytes of its files.
#[derive(Clone, PartialEq, prost::Message)]
struct FileSet {
    #[prost(bytes = "vec", repeated, tag = "1")]
    files: Vec<Vec<u8>>,
}

/// What `prost` does not know of `google.protobuf.FileDescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
struct Edition {
    #[prost(int32, tag = "14")]
    edition: i32,
}

fn file(name: &str, syntax: &str, messages: &[(&str, &[i32])]) -> FileDescriptorProto {
    let field = |(index, kind): (usize, &i32)| FieldDescriptorProto {
        name: Some(format!("f{index}")),
        number: Some(i32::try_from(index).unwrap() + 1),
        r#type: Some(*kind),
        label: Some(if *kind == 13 { 3 } else { 1 }),
        ..Default::default()
    };
    let message = |(name, kinds): &(&str, &[i32])| DescriptorProto {
        name: Some((*name).to_owned()),
        field: kinds.iter().enumerate().map(field).collect(),
        ..Default::default()
    };
    FileDescriptorProto {
        name: Some(name.to_owned()),
        package: Some("a".to_owned()),
        syntax: Some(syntax.to_owned()),
        message_type: messages.iter().map(message).collect(),
        ..Default::default()
    }
}

/// A file in an edition.
fn of_edition(edition: i32) -> Vec<u8> {
    // A singular number, and a list of them.
    let file = file("e.proto", "editions", &[("M", &[5, 13])]);
    [file.encode_to_vec(), Edition { edition }.encode_to_vec()].concat()
}

fn schema(files: &[Vec<u8>]) -> Result<Schema, SchemaError> {
    Schema::new(&FileSet { files: files.to_vec() }.encode_to_vec())
}

#[test]
fn a_file_may_be_given_twice() {
    let one = file("a.proto", "proto3", &[("M", &[5])]).encode_to_vec();
    let schema_of_both = schema(&[one.clone(), one.clone()]).unwrap();
    assert!(schema_of_both.message_named("a.M").is_some());
    let other = file("a.proto", "proto3", &[("N", &[5])]).encode_to_vec();
    let error = schema(&[one.clone(), other]).map(drop).unwrap_err();
    assert_eq!(error, SchemaError::DuplicateFile { file: "a.proto".to_owned() });
    let again = file("b.proto", "proto3", &[("M", &[5])]).encode_to_vec();
    let error = schema(&[one, again]).map(drop).unwrap_err();
    assert_eq!(error, SchemaError::DuplicateName { name: "a.M".to_owned() });
}

#[test]
fn editions_up_to_2024_have_the_same_defaults_and_later_ones_are_named() {
    for edition in [1000, 1001] {
        let schema = schema(&[of_edition(edition)]).unwrap();
        let id = schema.message_named("a.M").unwrap();
        // Presence is explicit, and lists are packed.
        assert_eq!(json_of(&schema, id, b""), r#"{"f1":[]}"#, "{edition}");
        assert_eq!(json_of(&schema, id, b"\x08\0"), r#"{"f0":0,"f1":[]}"#, "{edition}");
        let (preset, mut wire) = (Preset::new(&schema, id), Vec::new());
        json_to_wire(&preset, Root::Message, br#"{"f0": 0, "f1": [1, 2]}"#, 1000, &mut wire).unwrap();
        assert_eq!(wire, b"\x08\0\x12\x02\x01\x02", "{edition}");
    }
    let check = |edition: i32, expected: &str| {
        let error = schema(&[of_edition(edition)]).map(drop).unwrap_err().to_string();
        assert!(error.starts_with(&format!("e.proto is in {expected}, which is not supported")), "{error}");
    };
    check(1002, "edition 2026");
    check(1003, "edition number 1003");
    check(99999, "edition number 99999");
    check(0, "edition number 0");
}

fn json_of(schema: &Schema, id: MessageId, wire: &[u8]) -> String {
    let mut writer = JsonWriter::new(schema, Style::default(), 1000);
    writer.message(id, wire).unwrap();
    String::from_utf8(writer.take()).unwrap()
}

/// A message of proto2, whose enum is closed: a oneof of a number and that enum.
fn with_closed_enum() -> Vec<u8> {
    let mut file = file("c.proto", "proto2", &[("M", &[5, 14])]);
    file.enum_type = vec![EnumDescriptorProto {
        name: Some("E".to_owned()),
        value: vec![EnumValueDescriptorProto {
            name: Some("ONE".to_owned()),
            number: Some(1),
            ..Default::default()
        }],
        ..Default::default()
    }];
    let message = &mut file.message_type[0];
    message.oneof_decl = vec![OneofDescriptorProto { name: Some("o".to_owned()), ..Default::default() }];
    for field in &mut message.field {
        field.oneof_index = Some(0);
    }
    message.field[1].type_name = Some(".a.E".to_owned());
    file.encode_to_vec()
}

#[test]
fn an_undefined_value_of_a_closed_enum_replaces_no_member_of_a_oneof() {
    let schema = Arc::new(schema(&[with_closed_enum()]).unwrap());
    let id = schema.message_named("a.M").unwrap();
    let check = |wire: &[u8], expected: &str| {
        assert_eq!(json_of(&schema, id, wire), expected, "{wire:?}");
        let (shared, style) = (Arc::clone(&schema), Style::default());
        let mut arriving = IncrementalWriter::new(shared, id, None, Some(wire.len()), style, 1 << 20);
        wire.iter().for_each(|byte| arriving.feed(&[*byte]).unwrap());
        assert_eq!(String::from_utf8(arriving.take()).unwrap(), expected, "{wire:?}, as it arrives");
    };
    check(b"\x08\x07\x10\x01", r#"{"f1":"ONE"}"#);
    check(b"\x08\x07\x10\x02", r#"{"f0":7}"#);
    check(b"\x10\x01\x10\x02", r#"{"f1":"ONE"}"#);
    check(b"\x10\x02\x08\x07", r#"{"f0":7}"#);
    check(b"\x10\x02", "{}");
}
