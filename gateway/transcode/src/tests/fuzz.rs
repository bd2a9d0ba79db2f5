//! Fuzz targets, which `cargo test` runs for a second each: any bytes as JSON and as a message, against prost-reflect.
//! What ours accepts, the oracle accepts, unless a difference is listed here; and both make the same of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use prost::Message as _;
use prost_reflect::Syntax;
use serde_json::Value;

use super::effective::effective;
use super::oracle::Subject;
use super::random::{Entropy, wire};
use crate::{JsonWriter, Style};

/// Why the oracle rejects what protobuf accepts, by what it says.
const STRICTER: [&str; 6] = [
    // An integer with a fraction of zeros or an exponent, in quotes or not.
    "invalid digit found in string",
    "invalid type: floating point",
    // An empty `Any`, and the type of one behind any host.
    "unsupported type url",
    "expected '@type' field",
    // An `Any` of an empty message without the member `value`.
    "expected 'value' field",
    // A name within an `Any` is not known before its type is.
    "unrecognized field name '@type'",
];

/// A type, bytes that decide on a message of it, and changes to its bytes.
type Input = (u8, Vec<u8>, Vec<(u16, u8)>);

thread_local! {
    /// A few hundred types: compiling one takes a thousand times as long as reading a message.
    static SUBJECTS: RefCell<HashMap<u8, Rc<Subject>>> = RefCell::default();
}

fn subject(number: u8) -> Rc<Subject> {
    let of = |seed: u8| {
        let bytes: Vec<u8> =
            (0..400).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 13) as u8 ^ seed).collect();
        Subject::new(&mut Entropy::new(&bytes))
    };
    // The oracle takes unknown values also where an enum is closed, as it is in proto2.
    let is_proto3 = |subject: &Subject| subject.descriptor.parent_file().syntax() == Syntax::Proto3;
    let new = || {
        let mut seeds = (0..=u8::MAX).map(|step| of(number.wrapping_add(step)));
        Rc::new(seeds.find(is_proto3).expect("most are"))
    };
    SUBJECTS.with_borrow_mut(|subjects| Rc::clone(subjects.entry(number).or_insert_with(new)))
}

/// JSON with fewer digits: the oracle's reader, serde_json, may be wrong in the last one. For it, -0.0 is the default.
fn rounded(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().expect("it is a double");
            Value::String(format!("{:.13e}", if number == 0.0 { 0.0 } else { number }))
        }
        Value::Array(values) => values.into_iter().map(rounded).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, rounded(value))).collect(),
        other => other,
    }
}

/// A copy with some bytes replaced, removed or inserted.
fn mutated(bytes: &[u8], changes: &[(u16, u8)], alphabet: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (place, change) in changes {
        let at = usize::from(*place) % (bytes.len() + 1);
        let byte =
            if alphabet.is_empty() { *change } else { alphabet[usize::from(*change) % alphabet.len()] };
        match change % 3 {
            0 if at < bytes.len() => bytes[at] = byte,
            1 if at < bytes.len() => _ = bytes.remove(at),
            _ => bytes.insert(at, byte),
        }
    }
    bytes
}

#[test]
fn mutated_messages_are_written_as_by_the_oracle_or_rejected() {
    bolero::check!().with_type::<Input>().for_each(|(number, bytes, changes)| {
        let (mut entropy, subject) = (Entropy::new(bytes), subject(*number));
        let wire = mutated(&wire(&mut entropy, &subject.descriptor, 3), changes, &[]);
        let Ok(json) = subject.to_json(&wire) else { return };
        let message = subject.decode(&wire).or_else(|_| {
            let effective = effective(&subject.descriptor, &wire).expect("ours accepts it");
            subject.decode(&effective)
        });
        let message = message.unwrap_or_else(|error| panic!("{error}: {json}: {wire:?}"));
        match subject.oracle_to_json(&message) {
            Ok(expected) => {
                let found = serde_json::from_str::<Value>(&json).expect("it is JSON");
                assert_eq!(rounded(found), rounded(expected), "{wire:?}");
            }
            Err(error) => assert!(STRICTER.iter().any(|why| error.contains(why)), "{error}: {json}"),
        }
    });
}

#[test]
fn a_message_is_written_by_its_order_as_by_its_index() {
    bolero::check!().with_type::<(Vec<u8>, Vec<(u16, u8)>, bool)>().for_each(|(bytes, changes, skips)| {
        let mut entropy = Entropy::new(bytes);
        // Also with closed enums.
        let subject = Subject::new(&mut entropy);
        let wire = mutated(&wire(&mut entropy, &subject.descriptor, 3), changes, &[]);
        let style = Style { skips_defaults: *skips, ..Style::default() };
        let written = [JsonWriter::message, JsonWriter::message_by_index].map(|write| {
            let mut writer = JsonWriter::new(&subject.schema, style, 1 << 20);
            write(&mut writer, subject.id, &wire).map_err(|error| error.to_string())?;
            Ok::<_, String>(writer.take())
        });
        assert_eq!(written[0], written[1], "{wire:?}");
    });
}

#[test]
fn mutated_json_is_read_as_by_the_oracle_or_rejected() {
    bolero::check!().with_type::<Input>().for_each(|(number, bytes, changes)| {
        let (mut entropy, subject) = (Entropy::new(bytes), subject(*number));
        let wire = wire(&mut entropy, &subject.descriptor, 3);
        let json = subject.to_json(&wire).expect("it is a message");
        let json = mutated(json.as_bytes(), changes, br#"{}[]",:\un0123456789eE+-. aZ@/tfsl_"#);
        let Ok(read) = subject.to_wire(&json) else { return };
        let found = subject.decode(&read).expect("it is a message");
        match subject.oracle_from_json(&json) {
            Ok(expected) => {
                let expected = subject.decode(&expected.encode_to_vec()).expect("it is a message");
                let (found, expected) = (subject.oracle_to_json(&found), subject.oracle_to_json(&expected));
                let (found, expected) = (found.map(rounded), expected.map(rounded));
                assert_eq!(found, expected, "{}", String::from_utf8_lossy(&json));
            }
            Err(error) => {
                let is_listed = STRICTER.iter().any(|why| error.contains(why));
                assert!(is_listed, "{error}: {}", String::from_utf8_lossy(&json));
            }
        }
    });
}

#[test]
fn any_bytes_are_json_of_a_message_or_an_error() {
    bolero::check!().with_type::<(u8, Vec<u8>)>().for_each(|(number, json)| {
        let subject = subject(*number);
        if let Ok(wire) = subject.to_wire(json) {
            subject.decode(&wire).expect("it is a message");
        }
        if let Ok(written) = subject.to_json(json) {
            serde_json::from_str::<Value>(&written).expect("it is JSON");
        }
    });
}
