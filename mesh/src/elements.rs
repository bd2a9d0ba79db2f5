//! Counts the elements of a message while it arrives. A message of two bytes for each element takes a hundred times its
//! size once it is decoded, and prost decodes it as a whole before the handler sees it.

use std::collections::HashMap;
use std::sync::Arc;

use prost_types::field_descriptor_proto::{Label, Type};

use crate::descriptor_set::{FileSet, Message};

/// The memory of a decoded message and of another length-delimited field, beside its bytes: estimates, rounded up.
const MESSAGE: u64 = 256;
const FIELD: u64 = 64;

/// The memory of a number of a list: its own, and as much again that the list reserves.
const NUMBER: u64 = 16;

/// Bytes of the prefix of a gRPC message: a flag and the length.
const PREFIX: usize = 5;

/// The types of all messages that a server can receive. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct MessageTypes {
    /// By type, the fields that take more memory than their bytes.
    fields: Arc<Vec<HashMap<u64, Field>>>,
    names: Arc<HashMap<String, usize>>,
}

/// A field that takes more memory than its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// Messages of this type.
    Message(usize),
    /// A list of numbers, packed or not.
    Numbers,
}

/// Counts the elements of the messages of one body.
#[derive(Debug)]
pub(crate) struct ElementCounter {
    types: MessageTypes,
    root: usize,
    /// The most bytes that a message may take in addition to its own.
    limit: u64,
    cost: u64,
    /// Bytes of the present message that were read, and its length.
    position: u64,
    length: u64,
    /// The types and ends of the open messages, outermost first.
    open: Vec<(usize, u64)>,
    expected: Expected,
    /// The number that is being read, and its next bit.
    number: (u64, u32),
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// The prefix of a message, of which so many bytes were read.
    Prefix(usize),
    Tag,
    Varint,
    /// The length of this field.
    Length(u64),
    /// So many bytes of a value.
    Value(u64),
    /// Anything: it is malformed, which the decoder reports.
    Malformed,
}

/// The message has too many elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyElements;

// === impl MessageTypes ===

impl MessageTypes {
    /// All types of a descriptor set.
    pub(crate) fn of(set: &FileSet) -> Self {
        let mut messages = Vec::new();
        for file in &set.files {
            let package = if file.package.is_empty() { String::new() } else { format!(".{}", file.package) };
            for message in &file.messages {
                collect(&package, message, &mut messages);
            }
        }
        let names: HashMap<_, _> =
            messages.iter().enumerate().map(|(index, (name, _))| (name.clone(), index)).collect();
        let fields = messages.iter().map(|(_, message)| {
            let fields = message.fields.iter().filter_map(|field| {
                let kind = match field.kind() {
                    Type::Message => Field::Message(*names.get(&field.type_name)?),
                    Type::String | Type::Bytes | Type::Group => return None,
                    _ if field.label() == Label::Repeated => Field::Numbers,
                    _ => return None,
                };
                Some((u64::try_from(field.number).ok()?, kind))
            });
            fields.collect()
        });
        Self { fields: Arc::new(fields.collect()), names: Arc::new(names) }
    }

    /// A counter for the messages of a type, with its full name after a dot, that may take `limit` bytes more than they
    /// have.
    pub(crate) fn counter(&self, name: &str, limit: u64) -> Option<ElementCounter> {
        let root = *self.names.get(name)?;
        Some(ElementCounter {
            types: self.clone(),
            root,
            limit,
            cost: 0,
            position: 0,
            length: 0,
            open: Vec::new(),
            expected: Expected::Prefix(0),
            number: (0, 0),
        })
    }
}

/// Collects a message and those within it, with their full names.
fn collect<'a>(around: &str, message: &'a Message, into: &mut Vec<(String, &'a Message)>) {
    let name = format!("{around}.{}", message.name);
    for inner in &message.messages {
        collect(&name, inner, into);
    }
    into.push((name, message));
}

// === impl ElementCounter ===

impl ElementCounter {
    /// What the elements of the present message take so far, in bytes.
    pub(crate) fn cost(&self) -> u64 {
        self.cost
    }

    /// Counts the next bytes of the body.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> Result<(), TooManyElements> {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.expected {
                Expected::Malformed => return Ok(()),
                Expected::Prefix(read) => {
                    bytes = rest;
                    self.prefix(read, byte);
                }
                Expected::Value(left) => {
                    let skipped = left.min(bytes.len() as u64);
                    // At most the length of a slice.
                    bytes = &bytes[usize::try_from(skipped).unwrap_or(bytes.len())..];
                    self.position += skipped;
                    self.expected =
                        if skipped == left { Expected::Tag } else { Expected::Value(left - skipped) };
                    self.close();
                }
                Expected::Tag | Expected::Varint | Expected::Length(_) => {
                    bytes = rest;
                    self.position += 1;
                    self.digit(byte);
                    if self.cost > self.limit {
                        return Err(TooManyElements);
                    }
                    self.close();
                }
            }
        }
        Ok(())
    }

    fn prefix(&mut self, read: usize, byte: u8) {
        if read > 0 {
            self.length = self.length << 8 | u64::from(byte);
        }
        if read + 1 < PREFIX {
            self.expected = Expected::Prefix(read + 1);
            return;
        }
        (self.position, self.cost) = (0, 0);
        self.open = vec![(self.root, self.length)];
        self.expected = Expected::Tag;
        self.close();
    }

    /// The next byte of a number (protobuf's base 128 varint).
    fn digit(&mut self, byte: u8) {
        let (value, bit) = self.number;
        if bit >= 64 {
            self.expected = Expected::Malformed;
            return;
        }
        let value = value | u64::from(byte & 0x7f) << bit;
        if byte & 0x80 != 0 {
            self.number = (value, bit + 7);
            return;
        }
        self.number = (0, 0);
        if self.expected == Expected::Tag && self.field(value >> 3) == Some(Field::Numbers) {
            self.cost += NUMBER;
        }
        self.expected = match self.expected {
            Expected::Tag => match value & 7 {
                0 => Expected::Varint,
                1 => Expected::Value(8),
                2 => Expected::Length(value >> 3),
                5 => Expected::Value(4),
                _ => Expected::Malformed,
            },
            Expected::Length(field) => return self.value(field, value),
            _ => Expected::Tag,
        };
    }

    /// A length-delimited value begins.
    fn value(&mut self, field: u64, length: u64) {
        let field = self.field(field);
        self.cost = self.cost.saturating_add(match field {
            Some(Field::Message(_)) => MESSAGE,
            // Each byte may be a number.
            Some(Field::Numbers) => length.saturating_mul(NUMBER),
            None => FIELD,
        });
        self.expected = match field {
            Some(Field::Message(message)) => {
                self.open.push((message, self.position.saturating_add(length)));
                Expected::Tag
            }
            _ if length == 0 => Expected::Tag,
            _ => Expected::Value(length),
        };
    }

    /// What is known of a field of the present message.
    fn field(&self, field: u64) -> Option<Field> {
        let (message, _) = self.open.last()?;
        self.types.fields[*message].get(&field).copied()
    }

    /// Closes the messages that end here.
    fn close(&mut self) {
        if self.expected != Expected::Tag || self.number != (0, 0) {
            return;
        }
        while self.open.last().is_some_and(|(_, end)| self.position >= *end) {
            self.open.pop();
        }
        if self.open.is_empty() {
            self.length = 0;
            self.expected = Expected::Prefix(0);
        }
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::{FileDescriptorProto, FileDescriptorSet};

    use super::*;

    /// The descriptors of health and of descriptors themselves, which nest.
    pub(super) fn types() -> MessageTypes {
        MessageTypes::of(&FileSet::read(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET))
    }

    fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
        let frame = |message: &Vec<u8>| {
            let length = u32::try_from(message.len()).unwrap().to_be_bytes();
            [&[0][..], &length, message].concat()
        };
        messages.iter().flat_map(frame).collect()
    }

    /// The cost of the last message, however its bytes are cut.
    #[track_caller]
    fn cost(name: &str, messages: &[Vec<u8>]) -> u64 {
        let bytes = framed(messages);
        let mut costs = [1, 2, 3, 7, 1000].map(|size| {
            let mut counter = types().counter(name, u64::MAX).unwrap();
            bytes.chunks(size).for_each(|piece| counter.read(piece).unwrap());
            counter.cost
        });
        costs.sort_unstable();
        assert_eq!(costs[0], costs[4]);
        costs[0]
    }

    #[test]
    fn messages_and_fields_count_at_every_level() {
        const RESPONSE: &str = ".grpc.reflection.v1.ServerReflectionResponse";
        // list_services_response (6) { service (1) { name (1) } service {} }, then valid_host (1).
        let inner = [&[0x0a, 3, 0x0a, 1, b'x', 0x0a, 0][..]].concat();
        let message = [&[0x32, u8::try_from(inner.len()).unwrap()][..], &inner, &[0x0a, 1, b'h']].concat();
        assert_eq!(cost(RESPONSE, std::slice::from_ref(&message)), 3 * MESSAGE + 2 * FIELD);
        assert_eq!(cost(RESPONSE, &[vec![], message.clone(), vec![]]), 0, "each message by itself");
        assert_eq!(cost(RESPONSE, &[vec![], message]), 3 * MESSAGE + 2 * FIELD);
        // Fixed and variable numbers, unknown fields, and what is malformed.
        assert_eq!(
            cost(RESPONSE, &[vec![0x08, 0x96, 0x01, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0x15, 0, 0, 0, 0]]),
            0
        );
        assert_eq!(cost(RESPONSE, &[vec![0x0b, 0x0a, 0x0a]]), 0);
    }

    #[test]
    fn each_number_of_a_list_counts_packed_or_not() {
        // base_type_name (1), extension_number (2).
        const NUMBERS: &str = ".grpc.reflection.v1.ExtensionNumberResponse";
        assert_eq!(cost(NUMBERS, &[vec![0x10, 5, 0x10, 0x96, 1]]), 2 * NUMBER);
        assert_eq!(cost(NUMBERS, &[vec![0x12, 3, 1, 2, 3, 0x0a, 1, b'x']]), 4 * NUMBER + FIELD);
        assert_eq!(cost(NUMBERS, &[vec![0x12, 0]]), NUMBER);
        let huge = [&[0x12][..], &[0xff; 9], &[1]].concat();
        assert_eq!(types().counter(NUMBERS, 1000).unwrap().read(&framed(&[huge])), Err(TooManyElements));
    }

    #[test]
    fn a_message_of_many_empty_elements_is_rejected_early() {
        let name = ".grpc.reflection.v1.ListServiceResponse";
        let empty = [0x0a, 0].repeat(1000);
        let read =
            |limit: u64| types().counter(name, limit).unwrap().read(&framed(std::slice::from_ref(&empty)));
        assert_eq!(read(1000 * MESSAGE), Ok(()));
        assert_eq!(read(1000 * MESSAGE - 1), Err(TooManyElements));
    }

    #[test]
    fn a_real_message_costs_what_its_parts_do() {
        let file = FileDescriptorProto { name: Some("a".to_owned()), ..Default::default() };
        let set = FileDescriptorSet { file: vec![file; 3] };
        let types = MessageTypes {
            names: Arc::new([(".a".to_owned(), 0), (".b".to_owned(), 1)].into()),
            fields: Arc::new(vec![[(1, Field::Message(1))].into(), HashMap::new()]),
        };
        let mut counter = types.counter(".a", u64::MAX).unwrap();
        counter.read(&framed(&[set.encode_to_vec()])).unwrap();
        assert_eq!(counter.cost, 3 * MESSAGE + 3 * FIELD);
    }
}
