//! Both directions against prost-reflect.

use proptest::prelude::*;
use std::sync::Arc;

use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value;

use super::random::{Entropy, pool, wire};
use crate::{FieldId, IncrementalWriter, JsonWriter, MessageId, Preset, Root, Schema, Style, json_to_wire};

const LIMIT: usize = 1 << 24;

/// A random message type, as both sides know it.
pub(super) struct Subject {
    pub(super) schema: Arc<Schema>,
    pub(super) id: MessageId,
    pub(super) descriptor: MessageDescriptor,
}

impl Subject {
    pub(super) fn new(entropy: &mut Entropy<'_>) -> Self {
        let pool = pool(entropy);
        let schema = Schema::new(&pool.encode_to_vec()).expect("prost-reflect accepts it");
        let id = schema.message_named("random.M0").expect("it is there");
        let schema = Arc::new(schema);
        Self { schema, id, descriptor: pool.get_message_by_name("random.M0").expect("it is there") }
    }

    pub(super) fn to_json(&self, wire: &[u8]) -> Result<String, String> {
        let mut writer = JsonWriter::new(&self.schema, Style::default(), LIMIT);
        writer.message(self.id, wire).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(writer.take()).expect("JSON is UTF-8"))
    }

    /// The JSON of a message that arrives in pieces, or of one of its fields.
    pub(super) fn in_pieces(
        &self,
        only: Option<FieldId>,
        wire: &[u8],
        piece: usize,
    ) -> Result<String, String> {
        let schema = Arc::clone(&self.schema);
        let mut writer =
            IncrementalWriter::new(schema, self.id, only, Some(wire.len()), Style::default(), LIMIT);
        let mut json = Vec::new();
        for piece in wire.chunks(piece) {
            writer.feed(piece).map_err(|error| error.to_string())?;
            json.extend(writer.take());
        }
        writer.feed(b"").map_err(|error| error.to_string())?;
        json.extend(writer.take());
        assert!(writer.is_finished(), "{}", String::from_utf8_lossy(&json));
        Ok(String::from_utf8(json).expect("JSON is UTF-8"))
    }

    pub(super) fn to_wire(&self, json: &[u8]) -> Result<Vec<u8>, String> {
        let (preset, mut out) = (Preset::new(&self.schema, self.id), Vec::new());
        let read = json_to_wire(&preset, Root::Message, json, LIMIT, &mut out);
        read.map_err(|error| format!("{}: {error}", error.field()))?;
        Ok(out)
    }

    pub(super) fn decode(&self, wire: &[u8]) -> Result<DynamicMessage, String> {
        DynamicMessage::decode(self.descriptor.clone(), wire).map_err(|error| error.to_string())
    }

    pub(super) fn oracle_to_json(&self, message: &DynamicMessage) -> Result<Value, String> {
        let options = SerializeOptions::new().skip_default_fields(false);
        // By a text: as a value, a float would become a double of more digits.
        let mut json = Vec::new();
        let written = message.serialize_with_options(&mut serde_json::Serializer::new(&mut json), &options);
        written.map_err(|error| error.to_string())?;
        Ok(serde_json::from_slice(&json).expect("it is JSON"))
    }

    pub(super) fn oracle_from_json(&self, json: &[u8]) -> Result<DynamicMessage, String> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        let read = DynamicMessage::deserialize_with_options(self.descriptor.clone(), &mut reader, &options);
        let read = read.and_then(|message| reader.end().map(|()| message));
        read.map_err(|error| error.to_string())
    }
}

/// The result of the oracle, unless it fails where it differs from protobuf: it has no JSON for an empty `Any`.
macro_rules! given {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) if error.contains("unsupported type url ''") => return Ok(()),
            Err(error) => panic!("{error}"),
        }
    };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn messages_have_the_json_of_the_oracle(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut entropy = Entropy::new(&bytes);
        let subject = Subject::new(&mut entropy);
        let wire = wire(&mut entropy, &subject.descriptor, 4);
        let message = subject.decode(&wire).unwrap();
        let json = subject.to_json(&wire).unwrap();
        let found: Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(found, given!(subject.oracle_to_json(&message)));
    }

    #[test]
    fn a_message_that_arrives_in_pieces_has_the_same_json(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        piece in 1_usize..40,
    ) {
        let mut entropy = Entropy::new(&bytes);
        let subject = Subject::new(&mut entropy);
        // As encoders order it.
        let wire = subject.decode(&wire(&mut entropy, &subject.descriptor, 4)).unwrap().encode_to_vec();
        prop_assert_eq!(subject.in_pieces(None, &wire, piece).unwrap(), subject.to_json(&wire).unwrap());
        for field in subject.descriptor.fields() {
            let field = subject.schema.field_named(subject.id, field.name()).unwrap();
            let mut writer = JsonWriter::new(&subject.schema, Style::default(), LIMIT);
            writer.field(field, &wire).unwrap();
            let expected = String::from_utf8(writer.take()).unwrap();
            prop_assert_eq!(subject.in_pieces(Some(field), &wire, piece).unwrap(), expected);
        }
    }

    #[test]
    fn json_is_the_message_of_the_oracle(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut entropy = Entropy::new(&bytes);
        let subject = Subject::new(&mut entropy);
        let wire = wire(&mut entropy, &subject.descriptor, 4);
        let message = subject.decode(&wire).unwrap();
        let json = given!(subject.oracle_to_json(&message));
        let json = serde_json::to_vec_pretty(&json).unwrap();
        let expected = subject.oracle_from_json(&json).unwrap();
        let found = subject.decode(&subject.to_wire(&json).unwrap()).unwrap();
        // By their JSON: fields have another order in the bytes of an `Any`, and where one without presence is set to
        // its default, the oracle does not forget that.
        let expected = subject.decode(&expected.encode_to_vec()).unwrap();
        prop_assert_eq!(given!(subject.oracle_to_json(&found)), given!(subject.oracle_to_json(&expected)));
    }
}
