//! JSON objects that others wrote: keys, headers and claims. Separate from serde_json, which takes the last of several
//! members of the same name, where another reader of the same token may take the first.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The members of an object by their names. It has no `Debug`, because a member may be a secret.
#[derive(Default)]
pub(super) struct Object {
    members: BTreeMap<String, Value>,
    /// Whether a name occurs more than once.
    repeats: bool,
}

/// The value of a member, as far as a key or a token needs it.
#[derive(PartialEq)]
pub(super) enum Value {
    Text(String),
    /// An array of strings only.
    Texts(Vec<String>),
    Number(f64),
    /// Any other value: no key or token that is valid depends on it.
    Other,
}

/// A member is not a string.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotText;

struct ObjectVisitor;

struct ValueVisitor;

// === impl Object ===

impl Object {
    /// Parses the text of an object.
    ///
    /// # Errors
    ///
    /// What it is instead.
    pub(super) fn parse(json: &[u8]) -> Result<Self, &'static str> {
        // Checked here, because serde_json does not look at the strings that it skips.
        let text = str::from_utf8(json).map_err(|_| "not UTF-8")?;
        let object: Self = serde_json::from_str(text).map_err(|_| "not a JSON object")?;
        if object.repeats { Err("a JSON object in which a name occurs twice") } else { Ok(object) }
    }

    /// Whether a name occurs more than once.
    pub(super) fn repeats(&self) -> bool {
        self.repeats
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// A member that is a string if it is present.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, NotText> {
        match self.members.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(NotText),
        }
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

// === impl ObjectVisitor ===

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut object = Object::default();
        // Names are compared after their escapes are decoded.
        while let Some((name, value)) = map.next_entry()? {
            object.repeats |= object.members.insert(name, value).is_some();
        }
        Ok(object)
    }
}

// === impl Value ===

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

// === impl ValueVisitor ===

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(element) = array.next_element()? {
            let Value::Text(text) = element else {
                while array.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Value::Other);
            };
            texts.push(text);
        }
        Ok(Value::Texts(texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_of_one_of_the_types_that_tokens_have() {
        let check = |json: &str, expected: Value| {
            let object = Object::parse(format!(r#"{{"a": {json}, "b": 1}}"#).as_bytes()).unwrap();
            assert!(object.get("a") == Some(&expected), "{json}");
            assert!(object.get("b") == Some(&Value::Number(1.0)), "{json}");
            assert!(object.get("c").is_none());
            let text = if let Value::Text(text) = &expected { Ok(Some(text.as_str())) } else { Err(NotText) };
            assert_eq!(object.text("a"), text);
            assert_eq!(object.text("c"), Ok(None));
        };
        let texts = |texts: &[&str]| Value::Texts(texts.iter().map(|&text| text.to_owned()).collect());
        check(r#""""#, Value::Text(String::new()));
        check(r#""\u0061\n""#, Value::Text("a\n".to_owned()));
        check("-1", Value::Number(-1.0));
        check("9007199254740991", Value::Number(9_007_199_254_740_991.0));
        check("18446744073709551616", Value::Number(18_446_744_073_709_551_616.0));
        check("1.5e3", Value::Number(1500.0));
        check("[]", texts(&[]));
        check(r#"["a", "b"]"#, texts(&["a", "b"]));
        for other in ["null", "true", r#"["a", 1, "b", {}]"#, "[[]]", "{}", r#"{"a": {"a": []}, "b": 1}"#] {
            check(other, Value::Other);
        }
    }

    #[test]
    fn what_is_not_one_object_is_an_error() {
        let check = |json: &[u8], expected: &str| {
            assert_eq!(Object::parse(json).err(), Some(expected), "{}", json.escape_ascii());
        };
        let deep = format!(r#"{{"a": {}}}"#, "[".repeat(10_000));
        for json in
            ["", " ", "[]", "1", "null", "{", "{}{}", "{a: 1}", r#"{"a": 1e400}"#, "\u{feff}{}", &deep]
        {
            check(json.as_bytes(), "not a JSON object");
        }
        check(b"{\"a\": \"\xff\"}", "not UTF-8");
        check(b"{\"a\": [0, \"\xff\"]}", "not UTF-8");
        for json in [r#"{"a": 1, "a": 1}"#, r#"{"a": 1, "b": 2, "\u0061": null}"#] {
            check(json.as_bytes(), "a JSON object in which a name occurs twice");
        }
        assert!(Object::parse(br#"{"a": 1, "A": 1, "b": {"a": 1, "a": 2}}"#).is_ok());
    }
}
