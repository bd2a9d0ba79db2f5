//! JSON bodies as the predecessor's framework read them: generously (`"7"` is a number, `"yes"` is true), and naming
//! every invalid value, not only the first.

use std::fmt;
use std::marker::PhantomData;
use std::num::IntErrorKind;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::category::Category;
use super::failure::{InvalidValue, MAX_INVALID_VALUES, PathStep, ValidationError, ValueError};

/// The values of the known fields of a body, and the invalid ones found so far. Fields are taken in the order in which
/// a 422 lists them.
#[derive(Debug)]
pub(super) struct Body<E> {
    /// Of a field given twice the later counts.
    fields: Vec<(&'static str, Value<E>)>,
    invalid: Vec<InvalidValue>,
}

/// A JSON value, as far as any field looks at it.
#[derive(Debug)]
pub(super) enum Value<E> {
    Null,
    Flag(bool),
    Integer(i64),
    Fraction,
    Text(String),
    List(List<E>),
    Object,
}

/// A list whose elements are converted while it is parsed, so that a hostile one uses no more memory than the result.
#[derive(Debug)]
pub(super) struct List<E> {
    elements: Vec<E>,
    /// The indexes of the first invalid elements.
    invalid: Vec<usize>,
}

/// The values of texts in the lists of a body.
pub(super) trait Element: Sized {
    /// The error of an invalid element.
    const ERROR: ValueError;

    /// Parses the value of a text.
    fn read(text: String) -> Option<Self>;
}

// === impl Body ===

impl<E: Element> Body<E> {
    /// Reads a body, once; none when it is empty or `null`. Fields that are not `known` are passed over.
    pub(super) fn read(body: &[u8], known: &'static [&'static str]) -> Result<Option<Self>, ValidationError> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        if body.is_empty() {
            return Ok(None);
        }
        let mut reader = serde_json::Deserializer::from_slice(body);
        let fields = Object { known, elements: PhantomData }.deserialize(&mut reader);
        let fields = fields.and_then(|fields| reader.end().map(|()| fields));
        let fields = fields.map_err(|error| not_an_object(body, &error))?;
        Ok(fields.map(|fields| Self { fields, invalid: Vec::new() }))
    }

    /// The value of a field; its default when it is absent or invalid.
    pub(super) fn field<T>(
        &mut self,
        name: &'static str,
        default: T,
        read: fn(Value<E>) -> Result<T, ValueError>,
    ) -> T {
        let value = self.take(name);
        value.and_then(|value| self.check(name, read(value))).unwrap_or(default)
    }

    /// The value of a field that may be `null`; none then, and when it is absent or invalid.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        read: fn(Value<E>) -> Result<T, ValueError>,
    ) -> Option<T> {
        let value = self.take(name).filter(|value| !matches!(value, Value::Null))?;
        self.check(name, read(value))
    }

    /// The value of a field that must be there; none when it is absent or invalid.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        read: fn(Value<E>) -> Result<T, ValueError>,
    ) -> Option<T> {
        let value = self.take(name).ok_or(ValueError::Missing);
        self.check(name, value.and_then(read))
    }

    /// The elements of a list; the invalid ones are recorded.
    pub(super) fn elements(&mut self, name: &'static str, list: List<E>) -> Vec<E> {
        let path = |index| [PathStep::Field(name), PathStep::Index(index)];
        self.invalid.extend(list.invalid.into_iter().map(|index| InvalidValue::new(path(index), E::ERROR)));
        list.elements
    }

    /// Rejects the body if a value was invalid.
    pub(super) fn finish(mut self) -> Result<(), ValidationError> {
        self.invalid.truncate(MAX_INVALID_VALUES);
        if self.invalid.is_empty() { Ok(()) } else { Err(ValidationError::unprocessable(self.invalid)) }
    }

    fn take(&mut self, name: &str) -> Option<Value<E>> {
        let at = self.fields.iter().position(|(known, _)| *known == name)?;
        Some(self.fields.swap_remove(at).1)
    }

    fn check<T>(&mut self, name: &'static str, read: Result<T, ValueError>) -> Option<T> {
        read.map_err(|error| self.invalid.push(InvalidValue::new([PathStep::Field(name)], error))).ok()
    }
}

fn not_an_object(body: &[u8], error: &serde_json::Error) -> ValidationError {
    if error.is_data() {
        return ValidationError::whole(None, ValueError::NotObject);
    }
    let lines = body.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    let offset = match error.is_eof() {
        true => body.len(),
        // Columns are bytes from 1.
        false => lines.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1),
    };
    ValidationError::whole(Some(PathStep::Index(offset)), ValueError::NotJson)
}

// === impl List ===

impl<E> List<E> {
    pub(super) fn is_empty(&self) -> bool {
        self.elements.is_empty() && self.invalid.is_empty()
    }
}

// === impl Value ===

impl<E> Value<E> {
    pub(super) fn text(self) -> Result<String, ValueError> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(ValueError::NotText),
        }
    }

    pub(super) fn category(self) -> Result<Category, ValueError> {
        self.text().ok().and_then(|word| Category::of(&word)).ok_or(ValueError::NotCategory)
    }

    pub(super) fn list(self) -> Result<List<E>, ValueError> {
        match self {
            Self::List(list) => Ok(list),
            _ => Err(ValueError::NotList),
        }
    }

    pub(super) fn integer(self) -> Result<i64, ValueError> {
        match self {
            Self::Integer(number) => Ok(number),
            Self::Flag(flag) => Ok(flag.into()),
            Self::Text(text) => match text.trim().parse::<i64>().map_err(|error| *error.kind()) {
                Ok(number) => Ok(number),
                Err(IntErrorKind::PosOverflow) => Ok(i64::MAX),
                Err(IntErrorKind::NegOverflow) => Ok(i64::MIN),
                Err(_) => Err(ValueError::NotNumeral),
            },
            Self::Fraction => Err(ValueError::NotWhole),
            Self::Null | Self::List(_) | Self::Object => Err(ValueError::NotInteger),
        }
    }

    pub(super) fn flag(self) -> Result<bool, ValueError> {
        match self {
            Self::Flag(flag) => Ok(flag),
            Self::Integer(0) => Ok(false),
            Self::Integer(1) => Ok(true),
            Self::Text(word) => match word.to_ascii_lowercase().as_str() {
                "1" | "t" | "true" | "y" | "yes" | "on" => Ok(true),
                "0" | "f" | "false" | "n" | "no" | "off" => Ok(false),
                _ => Err(ValueError::NotFlagWord),
            },
            Self::Integer(_) => Err(ValueError::NotFlagWord),
            Self::Null | Self::Fraction | Self::List(_) | Self::Object => Err(ValueError::NotFlag),
        }
    }
}

impl<'de, E: Element> Deserialize<'de> for Value<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue(PhantomData))
    }
}

struct AnyValue<E>(PhantomData<E>);

impl<'de, E: Element> Visitor<'de> for AnyValue<E> {
    type Value = Value<E>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<X>(self) -> Result<Value<E>, X> {
        Ok(Value::Null)
    }

    fn visit_bool<X>(self, flag: bool) -> Result<Value<E>, X> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<X>(self, number: i64) -> Result<Value<E>, X> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<X>(self, number: u64) -> Result<Value<E>, X> {
        Ok(Value::Integer(number.try_into().unwrap_or(i64::MAX)))
    }

    fn visit_f64<X>(self, number: f64) -> Result<Value<E>, X> {
        // The cast saturates.
        Ok(if number.fract() == 0.0 { Value::Integer(number as i64) } else { Value::Fraction })
    }

    fn visit_str<X>(self, text: &str) -> Result<Value<E>, X> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value<E>, A::Error> {
        let mut list = List { elements: Vec::new(), invalid: Vec::new() };
        let mut index = 0;
        while let Some(value) = values.next_element::<Value<E>>()? {
            match value.text().ok().and_then(E::read) {
                Some(element) => list.elements.push(element),
                None if list.invalid.len() < MAX_INVALID_VALUES => list.invalid.push(index),
                None => {}
            }
            index += 1;
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value<E>, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object)
    }
}

/// The known fields of an object, or none for `null`.
struct Object<E> {
    known: &'static [&'static str],
    elements: PhantomData<E>,
}

impl<'de, E: Element> DeserializeSeed<'de> for Object<E> {
    type Value = Option<Vec<(&'static str, Value<E>)>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, E: Element> Visitor<'de> for Object<E> {
    type Value = Option<Vec<(&'static str, Value<E>)>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<X>(self) -> Result<Self::Value, X> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut fields: Vec<(&'static str, Value<E>)> = Vec::with_capacity(self.known.len());
        while let Some(name) = entries.next_key::<String>()? {
            let Some(known) = self.known.iter().find(|known| **known == name) else {
                entries.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = entries.next_value()?;
            match fields.iter_mut().find(|(earlier, _)| earlier == known) {
                Some(earlier) => earlier.1 = value,
                None => fields.push((known, value)),
            }
        }
        Ok(Some(fields))
    }
}
