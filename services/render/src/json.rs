//! The response as proto3 JSON, by the writer of the gateway, so that both write the same bytes. A catalogue has
//! thousands of dataflows: they are encoded and written one by one, and dropped, so that memory holds the
//! analysis and one encoded dataflow.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use dataflow_proto::{FILE_DESCRIPTOR_SET, analysis::v1 as pb};
use dataflow_transcode::{FieldId, IncrementalWriter, JsonWriter, MessageId, Schema, Style, first_from};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::text::controls_terminal;

/// Names come from untrusted documents: what controls a terminal is escaped. Programs read the same text either way.
const STYLE: Style = Style { is_indented: true, is_unsafe: Some(controls_terminal), skips_defaults: false };

/// The analysis is here already: its JSON has no limit.
const UNLIMITED: usize = usize::MAX;

/// The fields of `dataflow.analysis.v1.Analysis` that are lists.
const DATAFLOWS: &str = "dataflows";
const DIAGNOSTICS: &str = "diagnostics";

/// Writes one document, indented by two spaces.
pub(super) fn write_document(mut analysis: pb::Analysis, out: &mut impl Write) -> io::Result<()> {
    let schema = Arc::new(schema());
    let id = message(&schema, "dataflow.analysis.v1.Analysis");
    let number = |name: &str| schema[schema.field_named(id, name).expect("the contract has it")].number();
    let (dataflows, diagnostics) = (mem::take(&mut analysis.dataflows), mem::take(&mut analysis.diagnostics));
    let header = analysis.encode_to_vec();
    drop(analysis);
    let mut document = Document {
        writer: IncrementalWriter::new(Arc::clone(&schema), id, None, None, STYLE, UNLIMITED),
        header: &header,
        buffer: Vec::new(),
        out,
    };
    // In the order of their numbers, as the writer needs them.
    document.list(number(DATAFLOWS), dataflows)?;
    document.list(number(DIAGNOSTICS), diagnostics)?;
    document.finish()
}

/// Writes any message of the contract, by its full name, with the same indentation.
pub(super) fn write_message(name: &str, message: &impl Message, out: &mut impl Write) -> io::Result<()> {
    let schema = schema();
    let mut writer = JsonWriter::new(&schema, STYLE, UNLIMITED);
    writer.message(self::message(&schema, name), &message.encode_to_vec()).map_err(io::Error::other)?;
    out.write_all(writer.written())?;
    out.write_all(b"\n")
}

/// Writes one dataflow per line.
pub(super) fn write_lines(dataflows: &[pb::Dataflow], out: &mut impl Write) -> io::Result<()> {
    let schema = schema();
    let id = message(&schema, "dataflow.analysis.v1.Dataflow");
    let mut writer = JsonWriter::new(&schema, Style { is_indented: false, ..STYLE }, UNLIMITED);
    let mut buffer = Vec::new();
    for dataflow in dataflows {
        buffer.clear();
        dataflow.encode_raw(&mut buffer);
        writer.clear();
        writer.message(id, &buffer).map_err(io::Error::other)?;
        out.write_all(writer.written())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Single fields of messages of one type, each on one line as in NDJSON, for cells of CSV.
pub(super) struct FieldWriter<'s> {
    schema: &'s Schema,
    id: MessageId,
    writer: JsonWriter<'s>,
    buffer: Vec<u8>,
}

// === impl FieldWriter ===

impl<'s> FieldWriter<'s> {
    /// A writer for the message with this full name.
    pub(super) fn new(schema: &'s Schema, name: &str) -> Self {
        let id = message(schema, name);
        let writer = JsonWriter::new(schema, Style { is_indented: false, ..STYLE }, UNLIMITED);
        Self { schema, id, writer, buffer: Vec::new() }
    }

    /// The JSON of these fields.
    pub(super) fn fields<const N: usize>(
        &mut self,
        message: &impl Message,
        names: [&str; N],
    ) -> io::Result<[String; N]> {
        self.buffer.clear();
        message.encode_raw(&mut self.buffer);
        let mut fields = [const { String::new() }; N];
        for (field, name) in fields.iter_mut().zip(names) {
            let id: FieldId = self.schema.field_named(self.id, name).expect("the contract has it");
            self.writer.clear();
            self.writer.field(id, &self.buffer).map_err(io::Error::other)?;
            *field = String::from_utf8_lossy(self.writer.written()).into_owned();
        }
        Ok(fields)
    }
}

pub(super) fn schema() -> Schema {
    Schema::new(FILE_DESCRIPTOR_SET).expect("the descriptor set was written by our own build")
}

fn message(schema: &Schema, name: &str) -> MessageId {
    schema.message_named(name).expect("the descriptor set has every message that code was generated from")
}

/// A message that is written part by part.
struct Document<'a, W> {
    writer: IncrementalWriter,
    /// The fields that are not lists, as far as they are not written.
    header: &'a [u8],
    buffer: Vec<u8>,
    out: &'a mut W,
}

impl<W: Write> Document<'_, W> {
    /// Writes the fields before this list, and its elements.
    fn list<M: Message>(&mut self, number: u32, elements: Vec<M>) -> io::Result<()> {
        let (before, after) = self.header.split_at(first_from(self.header, number));
        self.header = after;
        self.feed(before)?;
        for element in elements {
            let mut buffer = mem::take(&mut self.buffer);
            buffer.clear();
            encode_key(number, WireType::LengthDelimited, &mut buffer);
            encode_varint(element.encoded_len() as u64, &mut buffer);
            buffer.reserve(element.encoded_len());
            element.encode_raw(&mut buffer);
            self.feed(&buffer)?;
            self.buffer = buffer;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.feed(self.header)?;
        self.writer.finish().map_err(io::Error::other)?;
        self.out.write_all(&self.writer.take())?;
        self.out.write_all(b"\n")
    }

    fn feed(&mut self, wire: &[u8]) -> io::Result<()> {
        self.writer.feed(wire).map_err(io::Error::other)?;
        if self.writer.written() >= 16 * 1024 {
            self.out.write_all(&self.writer.take())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
    use serde_json::Value;

    use super::*;
    use crate::tests::sample;

    /// The whole message at once, by prost-reflect.
    fn reference(analysis: &pb::Analysis) -> Value {
        let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
        let descriptor = pool.get_message_by_name("dataflow.analysis.v1.Analysis").unwrap();
        let message = DynamicMessage::decode(descriptor, &analysis.encode_to_vec()[..]).unwrap();
        let options = SerializeOptions::new().skip_default_fields(false);
        message.serialize_with_options(serde_json::value::Serializer, &options).unwrap()
    }

    fn document(analysis: pb::Analysis) -> String {
        let mut out = Vec::new();
        write_document(analysis, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_document_equals_the_whole_message() {
        for analysis in [sample(), pb::Analysis::default()] {
            let document = document(analysis.clone());
            assert_eq!(serde_json::from_str::<Value>(&document).unwrap(), reference(&analysis));
            let mut whole = Vec::new();
            write_message("dataflow.analysis.v1.Analysis", &analysis, &mut whole).unwrap();
            assert_eq!(document.as_bytes(), whole, "however it is written");
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
