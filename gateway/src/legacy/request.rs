//! What the predecessor's clients ask for. Values are taken as generously as its framework took them (`"7"` is a
//! number, `"yes"` is true), and every wrong one is named, not only the first.

use std::fmt;
use std::num::IntErrorKind;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::failure::{MAX_WRONGS, Mistake, Place, Unprocessable, Wrong};
use super::selection::{Category, Filters};

/// The body of `POST /api/analysis/dataflow`. Fields that it does not know are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The catalogue (`xml_content`), not empty. Its XML declaration names no encoding any more: it is UTF-8 now.
    pub document: String,
    /// Which dataflows to list.
    pub filters: Filters,
    /// Whether to test access to the dataflows listed. Without effect: nothing tests yet.
    pub include_tests: bool,
    /// Whether to list only the tests of dataflows that Tableau can load. Without effect while there are none.
    pub only_tableau_ready: bool,
}

/// Why a body is refused. What is displayed is the `detail` of a [`Failure`](super::failure::Failure), except for a
/// 422, which has its own shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is not JSON, not an object, or values of it are of the wrong type.
    #[error("the body is not a valid request")]
    Unprocessable(Unprocessable),
    /// There is nothing to analyse.
    #[error("xml_content is required")]
    DocumentMissing,
    /// The document is said to be a file of the server.
    #[error("xml_file_path is not supported, send the document as xml_content")]
    DocumentByPath,
}

/// The values of the fields that are there. Of a field given twice the later counts.
#[derive(Debug, Default)]
struct Body {
    xml_content: Option<Value>,
    xml_file_path: Option<Value>,
    categories: Option<Value>,
    min_relevance_score: Option<Value>,
    max_results: Option<Value>,
    include_tests: Option<Value>,
    only_tableau_ready: Option<Value>,
}

/// A JSON value, as far as any field looks at it.
#[derive(Debug)]
enum Value {
    Null,
    Flag(bool),
    Integer(i64),
    Fraction,
    Text(String),
    /// Read as categories at once, so that a hostile list costs no memory; `strangers` are the places of the first
    /// elements that are none.
    List {
        categories: Vec<Category>,
        strangers: Vec<usize>,
    },
    Object,
}

/// What was wrong so far.
#[derive(Debug, Default)]
struct Wrongs(Vec<Wrong>);

// === impl Request ===

impl Request {
    /// Reads a body, once; the document that was decoded is moved into the request.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let given: Option<Body> = match body {
            [] => None,
            _ => serde_json::from_slice(body).map_err(|error| Invalid::json(body, &error))?,
        };
        let given = given.ok_or_else(|| Invalid::whole(None, Mistake::Missing))?;

        let mut wrongs = Wrongs::default();
        let document = wrongs.field("xml_content", given.xml_content, None, Value::text);
        let path = wrongs.field("xml_file_path", given.xml_file_path, None, Value::text);
        let categories = wrongs.categories("categories", given.categories);
        let score = wrongs.field("min_relevance_score", given.min_relevance_score, 0, Value::integer);
        let max_results = wrongs.field("max_results", given.max_results, 100, Value::integer);
        let include_tests = wrongs.field("include_tests", given.include_tests, true, Value::flag);
        let only_tableau_ready =
            wrongs.field("only_tableau_ready", given.only_tableau_ready, false, Value::flag);
        wrongs.none()?;

        let some = |text: &String| !text.is_empty();
        let mut document = document.filter(some).ok_or(match path.filter(some) {
            Some(_) => Invalid::DocumentByPath,
            None => Invalid::DocumentMissing,
        })?;
        forget_encoding(&mut document);
        let min_relevance_score = i32::try_from(score).unwrap_or(if score < 0 { i32::MIN } else { i32::MAX });
        let filters = Filters { categories, min_relevance_score, max_results };
        Ok(Self { document, filters, include_tests, only_tableau_ready })
    }
}

/// Blanks the encoding in the XML declaration: it is that of the file which the client read, and the predecessor did
/// not look at it. Every byte stays at its offset.
fn forget_encoding(document: &mut String) {
    let start = document.strip_prefix('\u{feff}').unwrap_or(document);
    if !start.strip_prefix("<?xml").is_some_and(|rest| rest.starts_with(char::is_whitespace)) {
        return;
    }
    let Some((declaration, _)) = start.split_once("?>") else { return };
    let Some((before, after)) = declaration.split_once("encoding") else { return };
    let value = after.trim_start().strip_prefix('=').map_or("", str::trim_start);
    let Some(quote @ ('"' | '\'')) = value.chars().next() else { return };
    let Some((_, rest)) = value[1..].split_once(quote) else { return };
    let from = document.len() - start.len() + before.len();
    let to = from + declaration.len() - before.len() - rest.len();
    document.replace_range(from..to, &" ".repeat(to - from));
}

// === impl Invalid ===

impl Invalid {
    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Unprocessable(_) => 422,
            Self::DocumentMissing | Self::DocumentByPath => 400,
        }
    }

    /// There is no body, or it is not a JSON object.
    fn whole(place: Option<Place>, mistake: Mistake) -> Self {
        Self::Unprocessable(Unprocessable { detail: vec![Wrong::new(place, mistake)] })
    }

    fn json(body: &[u8], error: &serde_json::Error) -> Self {
        if error.is_data() {
            return Self::whole(None, Mistake::NotObject);
        }
        let lines = body.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
        let offset = match error.is_eof() {
            true => body.len(),
            // Columns are bytes from 1.
            false => lines.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1),
        };
        Self::whole(Some(Place::Index(offset)), Mistake::NotJson)
    }
}

// === impl Wrongs ===

impl Wrongs {
    /// The value of a field; its default when it is absent or wrong.
    fn field<T>(
        &mut self,
        name: &'static str,
        value: Option<Value>,
        default: T,
        read: fn(Value) -> Result<T, Mistake>,
    ) -> T {
        match value.map(read) {
            Some(Ok(value)) => return value,
            Some(Err(mistake)) => self.add(name, None, mistake),
            None => {}
        }
        default
    }

    fn categories(&mut self, name: &'static str, value: Option<Value>) -> Vec<Category> {
        match value {
            Some(Value::List { categories, strangers }) => {
                strangers.into_iter().for_each(|index| self.add(name, Some(index), Mistake::NotCategory));
                return categories;
            }
            None | Some(Value::Null) => {}
            Some(_) => self.add(name, None, Mistake::NotList),
        }
        Vec::new()
    }

    fn add(&mut self, name: &'static str, index: Option<usize>, mistake: Mistake) {
        self.0.push(Wrong::new([Place::Field(name)].into_iter().chain(index.map(Place::Index)), mistake));
    }

    fn none(mut self) -> Result<(), Invalid> {
        self.0.truncate(MAX_WRONGS);
        if self.0.is_empty() { Ok(()) } else { Err(Invalid::Unprocessable(Unprocessable { detail: self.0 })) }
    }
}

// === impl Value ===

impl Value {
    fn text(self) -> Result<Option<String>, Mistake> {
        match self {
            Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            _ => Err(Mistake::NotText),
        }
    }

    fn integer(self) -> Result<i64, Mistake> {
        match self {
            Self::Integer(number) => Ok(number),
            Self::Flag(flag) => Ok(flag.into()),
            Self::Text(text) => match text.trim().parse::<i64>().map_err(|error| *error.kind()) {
                Ok(number) => Ok(number),
                Err(IntErrorKind::PosOverflow) => Ok(i64::MAX),
                Err(IntErrorKind::NegOverflow) => Ok(i64::MIN),
                Err(_) => Err(Mistake::NotNumeral),
            },
            Self::Fraction => Err(Mistake::NotWhole),
            Self::Null | Self::List { .. } | Self::Object => Err(Mistake::NotInteger),
        }
    }

    fn flag(self) -> Result<bool, Mistake> {
        match self {
            Self::Flag(flag) => Ok(flag),
            Self::Integer(0) => Ok(false),
            Self::Integer(1) => Ok(true),
            Self::Text(word) => match word.to_ascii_lowercase().as_str() {
                "1" | "t" | "true" | "y" | "yes" | "on" => Ok(true),
                "0" | "f" | "false" | "n" | "no" | "off" => Ok(false),
                _ => Err(Mistake::NotFlagWord),
            },
            Self::Integer(_) => Err(Mistake::NotFlagWord),
            Self::Null | Self::Fraction | Self::List { .. } | Self::Object => Err(Mistake::NotFlag),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Integer(number.try_into().unwrap_or(i64::MAX)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        // The cast saturates.
        Ok(if number.fract() == 0.0 { Value::Integer(number as i64) } else { Value::Fraction })
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let (mut categories, mut strangers) = (Vec::new(), Vec::new());
        let mut index = 0;
        while let Some(element) = elements.next_element()? {
            let category = match element {
                Value::Text(word) => Category::ALL.into_iter().find(|category| category.word() == word),
                _ => None,
            };
            match category {
                Some(category) => categories.push(category),
                None if strangers.len() < MAX_WRONGS => strangers.push(index),
                None => {}
            }
            index += 1;
        }
        Ok(Value::List { categories, strangers })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object)
    }
}

// === impl Body ===

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnyObject)
    }
}

struct AnyObject;

impl<'de> Visitor<'de> for AnyObject {
    type Value = Body;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Body, A::Error> {
        let mut body = Body::default();
        while let Some(name) = fields.next_key::<String>()? {
            let value = match name.as_str() {
                "xml_content" => &mut body.xml_content,
                "xml_file_path" => &mut body.xml_file_path,
                "categories" => &mut body.categories,
                "min_relevance_score" => &mut body.min_relevance_score,
                "max_results" => &mut body.max_results,
                "include_tests" => &mut body.include_tests,
                "only_tableau_ready" => &mut body.only_tableau_ready,
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *value = Some(fields.next_value()?);
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests;
