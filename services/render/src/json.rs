//! The response as proto3 JSON, converted element by element: a catalogue has thousands of dataflows, and converting
//! all of them to dynamic values at once would need many times the memory of the response.
//!
//! prost-reflect does the mapping; this module adds the order. prost-reflect stores maps as hash maps, so two runs
//! would print languages in different orders; here fields are ordered by number and map entries by key.

use std::io::{self, Write};
use std::mem;

use dataflow_proto::{FILE_DESCRIPTOR_SET, analysis::v1 as pb};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions,
};
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use serde_json::Value;
use serde_json::ser::{CompactFormatter, PrettyFormatter};

use self::escape::Escaping;

mod escape;

/// Writes one document, indented by two spaces.
pub(super) fn write_document(mut analysis: pb::Analysis, out: &mut impl Write) -> io::Result<()> {
    let pool = pool();
    let (dataflows, diagnostics) = (mem::take(&mut analysis.dataflows), mem::take(&mut analysis.diagnostics));
    let reply = Reply {
        header: Element { message: &analysis, descriptor: &descriptor(&pool, "Analysis") },
        dataflows: Elements { messages: &dataflows, descriptor: &descriptor(&pool, "Dataflow") },
        diagnostics: Elements { messages: &diagnostics, descriptor: &descriptor(&pool, "Diagnostic") },
    };
    let formatter = Escaping(PrettyFormatter::new());
    reply.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, formatter))?;
    out.write_all(b"\n")
}

/// Writes any message of the contract, by its full name, with the same indentation.
pub(super) fn write_message(name: &str, message: &impl Message, out: &mut impl Write) -> io::Result<()> {
    let descriptor = pool().get_message_by_name(name).expect("the descriptor set has every message");
    let formatter = Escaping(PrettyFormatter::new());
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, formatter);
    Element { message, descriptor: &descriptor }.serialize(&mut serializer)?;
    out.write_all(b"\n")
}

/// Writes one dataflow per line.
pub(super) fn write_lines(dataflows: &[pb::Dataflow], out: &mut impl Write) -> io::Result<()> {
    let descriptor = &descriptor(&pool(), "Dataflow");
    for message in dataflows {
        let formatter = Escaping(CompactFormatter);
        let mut serializer = serde_json::Serializer::with_formatter(&mut *out, formatter);
        Element { message, descriptor }.serialize(&mut serializer)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn pool() -> DescriptorPool {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the descriptor set was written by our own build")
}

fn descriptor(pool: &DescriptorPool, name: &str) -> MessageDescriptor {
    let message = pool.get_message_by_name(&format!("dataflow.analysis.v1.{name}"));
    message.expect("the descriptor set has every message that code was generated from")
}

/// An analysis with its long lists separate.
struct Reply<'a> {
    header: Element<'a, pb::Analysis>,
    dataflows: Elements<'a, pb::Dataflow>,
    diagnostics: Elements<'a, pb::Diagnostic>,
}

impl Serialize for Reply<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let header = self.header.to_value().map_err(S::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in entries(&header, Some(self.header.descriptor)) {
            match name {
                "dataflows" => map.serialize_entry(name, &self.dataflows)?,
                "diagnostics" => map.serialize_entry(name, &self.diagnostics)?,
                _ => map.serialize_entry(name, &value)?,
            }
        }
        map.end()
    }
}

/// Messages of one type; each is converted when it is written, and dropped afterwards.
struct Elements<'a, M> {
    messages: &'a [M],
    descriptor: &'a MessageDescriptor,
}

impl<M: Message> Serialize for Elements<'_, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let descriptor = self.descriptor;
        serializer.collect_seq(self.messages.iter().map(|message| Element { message, descriptor }))
    }
}

/// One message.
struct Element<'a, M> {
    message: &'a M,
    descriptor: &'a MessageDescriptor,
}

impl<M: Message> Element<'_, M> {
    fn to_value(&self) -> Result<Value, serde_json::Error> {
        /// As the contract specifies: fields without presence are printed even with their default value.
        const OPTIONS: SerializeOptions = SerializeOptions::new().skip_default_fields(false);

        let mut message = DynamicMessage::new(self.descriptor.clone());
        message.transcode_from(self.message).expect("type and descriptor were generated from the same file");
        message.serialize_with_options(serde_json::value::Serializer, &OPTIONS)
    }
}

impl<M: Message> Serialize for Element<'_, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.to_value().map_err(S::Error::custom)?;
        Ordered { value: &value, message: Some(self.descriptor.clone()) }.serialize(serializer)
    }
}

/// A JSON value whose objects are written in order.
struct Ordered<'a> {
    value: &'a Value,
    /// The type of the value, or of its elements; `None` if it is not a message.
    message: Option<MessageDescriptor>,
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Object(_) => serializer.collect_map(entries(self.value, self.message.as_ref())),
            Value::Array(items) => serializer
                .collect_seq(items.iter().map(|value| Ordered { value, message: self.message.clone() })),
            scalar => scalar.serialize(serializer),
        }
    }
}

/// The members of an object: those of a message by field number, those of a map by key. None is omitted.
fn entries<'a>(
    object: &'a Value,
    message: Option<&MessageDescriptor>,
) -> impl Iterator<Item = (&'a str, Ordered<'a>)> {
    let field = |name: &str| message.and_then(|message| message.get_field_by_json_name(name));
    let members = object.as_object().into_iter().flatten();
    let mut members: Vec<_> = members.map(|(name, value)| (field(name), name.as_str(), value)).collect();
    members.sort_by_key(|&(ref field, name, _)| {
        (field.as_ref().map_or(u32::MAX, FieldDescriptor::number), name)
    });
    members.into_iter().map(|(field, name, value)| {
        let message = field.filter(|field| !field.is_map()).and_then(|field| match field.kind() {
            Kind::Message(message) => Some(message),
            _ => None,
        });
        (name, Ordered { value, message })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    /// The whole message at once, by prost-reflect alone.
    fn reference(analysis: &pb::Analysis) -> Value {
        let descriptor = &descriptor(&pool(), "Analysis");
        Element { message: analysis, descriptor }.to_value().unwrap()
    }

    fn document(analysis: pb::Analysis) -> String {
        let mut out = Vec::new();
        write_document(analysis, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_document_equals_the_whole_message() {
        for analysis in [sample(), pb::Analysis::default()] {
            let expected = reference(&analysis);
            let document = document(analysis.clone());
            assert_eq!(serde_json::from_str::<Value>(&document).unwrap(), expected);

            let mut read = serde_json::Deserializer::from_str(&document);
            let read = DynamicMessage::deserialize(descriptor(&pool(), "Analysis"), &mut read).unwrap();
            assert_eq!(read.transcode_to::<pb::Analysis>().unwrap(), analysis);
        }
    }

    #[test]
    fn lines_equal_the_dataflows_of_the_document() {
        let analysis = sample();
        let mut out = Vec::new();
        write_lines(&analysis.dataflows, &mut out).unwrap();
        let lines: Vec<Value> =
            str::from_utf8(&out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(Value::Array(lines), reference(&analysis)["dataflows"]);
    }

    #[test]
    fn fields_follow_their_numbers_and_maps_their_keys() {
        let document = document(sample());
        let place = |word: &str| document.find(word).unwrap_or_else(|| panic!("{word} is missing"));
        let check =
            |words: &[&str]| assert!(words.is_sorted_by_key(|word| place(word)), "{words:?} in {document}");
        check(&[
            "\"analysis\"",
            "\"total\"",
            "\"counts\"",
            "\"dataflows\"",
            "\"diagnostics\"",
            "\"ruleset\"",
        ]);
        check(&["\"id\"", "\"agencyId\"", "\"names\"", "\"structure\"", "\"category\"", "\"lastUpdate\""]);
        check(&["\"de\"", "\"en\"", "\"fr\"", "\"it\""]);
        check(&["\"ECONOMY\"", "\"OTHER\"", "\"POPULATION\""]);
    }
}
