//! Random descriptors, and random messages of them (`message`), from bytes of entropy: a property test shrinks the
//! bytes, and a fuzzer mutates them.

mod message;

use prost_reflect::DescriptorPool;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FieldOptions,
    FileDescriptorProto, MessageOptions, OneofDescriptorProto,
};

pub(super) use message::{wire, wire_type};

/// Bytes that decide; zeros when they are used up.
pub(super) struct Entropy<'a> {
    bytes: &'a [u8],
}

impl<'a> Entropy<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    fn chance(&mut self, of: u8) -> bool {
        self.byte() % of == 1
    }

    fn number(&mut self) -> u64 {
        match self.byte() % 6 {
            0 => 0,
            1 => 1,
            2 => u64::from(self.byte()),
            3 => u64::MAX - u64::from(self.byte()),
            4 => u64::from(u32::MAX >> (self.byte() % 32)),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 10] = ["a", "Z_9", "\"", "\\", "\n", "\u{1}", "é", "😀", "\u{2028}", "/"];
        let length = self.below(4);
        (0..length).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }
}

/// Well-known types that a field may have, in addition to those of the random file.
const WELL_KNOWN: [&str; 17] = [
    "Timestamp",
    "Duration",
    "FieldMask",
    "Struct",
    "Value",
    "ListValue",
    "Empty",
    "DoubleValue",
    "FloatValue",
    "Int64Value",
    "UInt64Value",
    "Int32Value",
    "UInt32Value",
    "BoolValue",
    "StringValue",
    "BytesValue",
    "Any",
];

/// A pool with a file of random messages, all in the package `random`; the first is `random.M0`.
pub(super) fn pool(entropy: &mut Entropy<'_>) -> DescriptorPool {
    let is_proto3 = !entropy.chance(3);
    let count = 1 + entropy.below(3);
    let mut file = FileDescriptorProto {
        name: Some("random.proto".to_owned()),
        package: Some("random".to_owned()),
        syntax: is_proto3.then(|| "proto3".to_owned()),
        enum_type: vec![colours(is_proto3)],
        dependency: ["timestamp", "duration", "field_mask", "struct", "empty", "wrappers", "any"]
            .map(|name| format!("google/protobuf/{name}.proto"))
            .into(),
        ..FileDescriptorProto::default()
    };
    for index in 0..count {
        file.message_type.push(message(entropy, index, count));
    }
    let mut pool = DescriptorPool::global();
    pool.add_file_descriptor_proto(file).expect("the file is valid");
    pool
}

fn colours(is_proto3: bool) -> EnumDescriptorProto {
    let value = |name: &str, number: i32| EnumValueDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        ..EnumValueDescriptorProto::default()
    };
    let mut values = vec![value("NONE", 0), value("RED", 1), value("BELOW", -1), value("LAST", i32::MAX)];
    if !is_proto3 {
        // The default of a closed enum is its first value, which need not be 0.
        values.push(value("MORE", 5));
    }
    EnumDescriptorProto { name: Some("Colour".to_owned()), value: values, ..EnumDescriptorProto::default() }
}

fn message(entropy: &mut Entropy<'_>, index: usize, count: usize) -> DescriptorProto {
    let mut message = DescriptorProto { name: Some(format!("M{index}")), ..DescriptorProto::default() };
    let oneofs = entropy.below(3);
    for oneof in 0..oneofs {
        message.oneof_decl.push(OneofDescriptorProto { name: Some(format!("choice{oneof}")), options: None });
        // A oneof must have a member.
        let mut field = field(entropy, count, oneof + 1);
        (field.label, field.oneof_index) = (Some(Label::Optional.into()), Some(oneof as i32));
        message.field.push(field);
    }
    let mut number = oneofs;
    for _ in 0..entropy.below(8) {
        number += 1 + if entropy.chance(8) { 1000 } else { 0 };
        let mut field = field(entropy, count, number);
        match entropy.byte() % 6 {
            0 | 1 => {
                field.label = Some(Label::Repeated.into());
                let is_packable = !matches!(field.r#type(), Type::String | Type::Bytes | Type::Message);
                if is_packable && entropy.chance(2) {
                    let packed = Some(entropy.chance(2));
                    field.options = Some(FieldOptions { packed, ..FieldOptions::default() });
                }
            }
            2 => {
                let entry = map_entry(entropy, &field);
                let name = entry.name.clone().expect("it has a name");
                message.nested_type.push(entry);
                field.label = Some(Label::Repeated.into());
                field.set_type(Type::Message);
                field.type_name = Some(format!(".random.M{index}.{name}"));
            }
            3 if oneofs > 0 => field.oneof_index = Some(entropy.below(oneofs) as i32),
            _ => {}
        }
        message.field.push(field);
    }
    message
}

fn field(entropy: &mut Entropy<'_>, count: usize, number: usize) -> FieldDescriptorProto {
    const TYPES: [Type; 17] = [
        Type::Double,
        Type::Float,
        Type::Int64,
        Type::Uint64,
        Type::Int32,
        Type::Fixed64,
        Type::Fixed32,
        Type::Bool,
        Type::String,
        Type::Message,
        Type::Bytes,
        Type::Uint32,
        Type::Enum,
        Type::Sfixed32,
        Type::Sfixed64,
        Type::Sint32,
        Type::Sint64,
    ];
    let kind = TYPES[entropy.below(TYPES.len())];
    let type_name = match kind {
        Type::Enum => Some(".random.Colour".to_owned()),
        Type::Message if entropy.chance(2) => {
            Some(format!(".google.protobuf.{}", WELL_KNOWN[entropy.below(WELL_KNOWN.len())]))
        }
        Type::Message => Some(format!(".random.M{}", entropy.below(count))),
        _ => None,
    };
    FieldDescriptorProto {
        name: Some(format!("field_{number}")),
        number: Some(number as i32),
        label: Some(Label::Optional.into()),
        r#type: Some(kind.into()),
        type_name,
        ..FieldDescriptorProto::default()
    }
}

fn map_entry(entropy: &mut Entropy<'_>, value: &FieldDescriptorProto) -> DescriptorProto {
    const KEYS: [Type; 12] = [
        Type::Int64,
        Type::Uint64,
        Type::Int32,
        Type::Fixed64,
        Type::Fixed32,
        Type::Bool,
        Type::String,
        Type::Uint32,
        Type::Sfixed32,
        Type::Sfixed64,
        Type::Sint32,
        Type::Sint64,
    ];
    let key = FieldDescriptorProto {
        name: Some("key".to_owned()),
        number: Some(1),
        label: Some(Label::Optional.into()),
        r#type: Some(KEYS[entropy.below(KEYS.len())].into()),
        ..FieldDescriptorProto::default()
    };
    let of = value.number.expect("it has a number");
    let value = FieldDescriptorProto { name: Some("value".to_owned()), number: Some(2), ..value.clone() };
    DescriptorProto {
        name: Some(format!("Field{of}Entry")),
        field: vec![key, value],
        options: Some(MessageOptions { map_entry: Some(true), ..MessageOptions::default() }),
        ..DescriptorProto::default()
    }
}
