//! Random JSON of a random type. Some of it is rejected: a number beyond its type, two members of one oneof.

use fastrand::Rng;
use serde_json::{Value, json};

use super::{File, Kind, Shape, VALUES, letter, number, text};

impl File {
    pub(super) fn json(&self, message: usize, depth: usize, rng: &mut Rng) -> String {
        self.object(message, depth, rng).to_string()
    }

    fn object(&self, message: usize, depth: usize, rng: &mut Rng) -> Value {
        let mut object = serde_json::Map::new();
        for field in &self.messages[message] {
            if rng.bool() || (matches!(field.kind, Kind::Message(_)) && depth == 0) {
                continue;
            }
            let letter = letter(field.number);
            let name = match rng.bool() {
                true => format!("field{}", letter.to_ascii_uppercase()),
                false => format!("field_{letter}"),
            };
            let value = match field.shape {
                _ if rng.u8(..16) == 0 => Value::Null,
                Shape::Singular => self.value(field.kind, depth, rng),
                Shape::Repeated => (0..rng.usize(..4)).map(|_| self.value(field.kind, depth, rng)).collect(),
                Shape::Map(key) => {
                    let entries =
                        (0..rng.usize(..4)).map(|_| (map_key(key, rng), self.value(field.kind, depth, rng)));
                    Value::Object(entries.collect())
                }
            };
            object.insert(name, value);
        }
        Value::Object(object)
    }

    fn value(&self, kind: Kind, depth: usize, rng: &mut Rng) -> Value {
        match kind {
            Kind::Message(message) => self.object(message, depth.saturating_sub(1), rng),
            Kind::Enum(name) => {
                let (value, number) = VALUES[rng.usize(..VALUES.len())];
                match rng.u8(..12) {
                    0 => json!(7),
                    1..4 => json!(number),
                    _ => json!(format!("{}_{value}", name.to_uppercase())),
                }
            }
            Kind::Scalar(name) => scalar(name, rng),
        }
    }
}

fn scalar(name: &str, rng: &mut Rng) -> Value {
    match name {
        "bool" => json!(rng.bool()),
        "string" => json!(text(rng)),
        "bytes" => json!(["", "AA==", "_-8", "/+8=", "YWJj"][rng.usize(..5)]),
        "float" | "double" => {
            let values = [
                json!(0),
                json!(-0.0),
                json!(1.5),
                json!("-2.25"),
                json!(1e10),
                json!("NaN"),
                json!("-Infinity"),
            ];
            values[rng.usize(..values.len())].clone()
        }
        _ => {
            let value = in_range(name, rng);
            if rng.bool() { json!(value.to_string()) } else { json!(value) }
        }
    }
}

/// A number of an integer type, rarely one beyond it.
fn in_range(name: &str, rng: &mut Rng) -> i64 {
    let value = number(rng);
    match name {
        _ if rng.u8(..64) == 0 => value,
        "int32" | "sint32" | "sfixed32" => (value as i32).into(),
        "uint32" | "fixed32" => (value as u32).into(),
        "uint64" | "fixed64" => value & i64::MAX,
        _ => value,
    }
}

fn map_key(kind: &str, rng: &mut Rng) -> String {
    match kind {
        "string" => text(rng),
        "bool" => rng.bool().to_string(),
        _ => in_range(kind, rng).to_string(),
    }
}
