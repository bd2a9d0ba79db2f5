//! Random descriptors, and random messages of them on the wire, from bytes of entropy: a property test shrinks the
//! bytes, and a fuzzer mutates them.

use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FieldOptions,
    FileDescriptorProto, MessageOptions, OneofDescriptorProto,
};
use prost_reflect::{Cardinality, DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, Syntax};

use crate::wire::{WireType, close_delimited, open_delimited, put_tag, put_varint};

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

/// Messages that a field may have the type of, besides those of the random file.
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

/// A message on the wire, whose fields come in any order and as often as the wire format allows.
pub(super) fn wire(entropy: &mut Entropy<'_>, message: &MessageDescriptor, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let fields: Vec<FieldDescriptor> = message.fields().collect();
    if well_known(entropy, message, depth, &mut out) || fields.is_empty() {
        return out;
    }
    for _ in 0..entropy.below(10) {
        if entropy.chance(16) {
            put_tag(77_777, WireType::Varint, &mut out);
            put_varint(entropy.number(), &mut out);
        }
        let field = &fields[entropy.below(fields.len())];
        put_field(entropy, field, depth, &mut out);
    }
    out
}

fn put_field(entropy: &mut Entropy<'_>, field: &FieldDescriptor, depth: usize, out: &mut Vec<u8>) {
    let kind = field.kind();
    if matches!(kind, Kind::Message(_)) && depth == 0 {
        return;
    }
    let is_packable = field.cardinality() == Cardinality::Repeated
        && !matches!(kind, Kind::Message(_) | Kind::String | Kind::Bytes);
    if is_packable && entropy.chance(2) {
        put_tag(field.number(), WireType::LengthDelimited, out);
        let start = open_delimited(out);
        for _ in 0..entropy.below(4) {
            put_value(entropy, &kind, depth, out);
        }
        close_delimited(start, out);
        return;
    }
    put_tag(field.number(), wire_type(&kind), out);
    put_value(entropy, &kind, depth, out);
}

fn put_value(entropy: &mut Entropy<'_>, kind: &Kind, depth: usize, out: &mut Vec<u8>) {
    match kind {
        Kind::Message(message) => {
            let message = wire(entropy, message, depth - 1);
            put_varint(message.len() as u64, out);
            out.extend_from_slice(&message);
        }
        Kind::String => {
            let text = entropy.text();
            put_varint(text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
        Kind::Bytes => {
            let bytes: Vec<u8> = (0..entropy.below(6)).map(|_| entropy.byte()).collect();
            put_varint(bytes.len() as u64, out);
            out.extend_from_slice(&bytes);
        }
        Kind::Double => {
            let number = entropy.number() as i64 as f64 / 64.0;
            out.extend_from_slice(&number.to_le_bytes());
        }
        Kind::Float => {
            let number = entropy.number() as i64 as f32 / 64.0;
            out.extend_from_slice(&number.to_le_bytes());
        }
        Kind::Enum(values) => {
            const VALUES: [i32; 4] = [0, 1, i32::MAX, -1];
            let known = VALUES[entropy.below(VALUES.len())];
            // The oracle takes unknown values also where the enum is closed.
            let is_open = values.parent_file().syntax() == Syntax::Proto3;
            let number = if is_open && entropy.chance(4) { entropy.number() as i32 } else { known };
            put_varint(number as i64 as u64, out);
        }
        Kind::Fixed64 | Kind::Sfixed64 => out.extend_from_slice(&entropy.number().to_le_bytes()),
        Kind::Fixed32 | Kind::Sfixed32 => out.extend_from_slice(&(entropy.number() as u32).to_le_bytes()),
        Kind::Bool => put_varint(u64::from(entropy.chance(2)), out),
        // Encoders extend negative numbers to 64 bits.
        Kind::Int32 => put_varint(entropy.number() as i32 as i64 as u64, out),
        Kind::Uint32 | Kind::Sint32 => put_varint(u64::from(entropy.number() as u32), out),
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 => put_varint(entropy.number(), out),
    }
}

/// Messages whose JSON does not have all values that the wire has, with values that it has.
fn well_known(
    entropy: &mut Entropy<'_>,
    message: &MessageDescriptor,
    depth: usize,
    out: &mut Vec<u8>,
) -> bool {
    let mut put = |number: u32, value: i64| {
        put_tag(number, WireType::Varint, out);
        put_varint(value as u64, out);
    };
    match message.full_name() {
        "google.protobuf.Timestamp" => {
            put(1, (entropy.number() % 253_402_300_800) as i64);
            put(2, (entropy.number() % 1_000_000_000) as i64);
        }
        "google.protobuf.Duration" => {
            let sign = if entropy.chance(2) { -1 } else { 1 };
            put(1, sign * (entropy.number() % 315_576_000_000) as i64);
            put(2, sign * (entropy.number() % 1_000_000_000) as i64);
        }
        "google.protobuf.FieldMask" => {
            for path in ["a", "b_c.d", "long_name_of_field"].iter().take(entropy.below(4)) {
                crate::put_bytes(1, path.as_bytes(), out);
            }
        }
        "google.protobuf.Any" => {
            let types = ["random.M0", "google.protobuf.Duration", "google.protobuf.StringValue"];
            let name = types[entropy.below(types.len())];
            let pool = message.parent_pool();
            let inner = pool.get_message_by_name(name).expect("it is in the pool");
            let value = if depth > 0 { wire(entropy, &inner, depth - 1) } else { Vec::new() };
            crate::put_bytes(1, format!("type.googleapis.com/{name}").as_bytes(), out);
            crate::put_bytes(2, &value, out);
        }
        // One of its fields must be set.
        "google.protobuf.Value" => {
            let fields: Vec<FieldDescriptor> = message.fields().collect();
            let scalars = if depth == 0 { 4 } else { 6 };
            let field = &fields[entropy.below(scalars)];
            put_field(entropy, field, depth, out);
        }
        _ => return false,
    }
    true
}

fn wire_type(kind: &Kind) -> WireType {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireType::SixtyFourBit,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireType::ThirtyTwoBit,
        Kind::String | Kind::Bytes | Kind::Message(_) => WireType::LengthDelimited,
        _ => WireType::Varint,
    }
}
