//! The well-known types, each from the JSON of its own.

use std::borrow::Cow;

use super::Reader;
use crate::json::{JsonProblem, JsonToWireError, Result};
use crate::mask;
use crate::preset::{expected_message, put_bytes, put_text};
use crate::scalar;
use crate::schema::{Form, Kind, MessageId};
use crate::wire::{close_delimited, is_default, open_delimited, put_tag};

/// The member of an `Any` that names its type.
const TYPE: &str = "@type";

/// How often a text may be read again to find the types of its `Any`s.
const MAX_READ_TWICE: usize = 4;

/// The member of an `Any` that is its message, if that has a form of its own.
const VALUE: &str = "value";

impl<'a> Reader<'a, '_> {
    pub(super) fn well_known(&mut self, form: Form, id: MessageId, depth: usize) -> Result<()> {
        match form {
            Form::Timestamp | Form::Duration | Form::FieldMask => {
                let start = self.json.clone();
                let text = if self.json.peek() == b'"' { Some(self.json.string()?) } else { None };
                let is_camel = |text: &str| {
                    form != Form::FieldMask || text.split(',').all(|path| mask::snake_case(path).is_some())
                };
                let written = text
                    .filter(|text| is_camel(text))
                    .and_then(|text| put_text(self.schema, form, &text, self.out));
                written.ok_or_else(|| {
                    self.json = start;
                    self.json.unexpected(expected_message(self.schema, form))
                })
            }
            Form::Wrapper(kind) => {
                let start = self.out.len();
                put_tag(1, kind.wire_type(), self.out);
                let value = self.out.len();
                scalar::from_json(self.schema, kind, &mut self.json, self.out)?;
                if is_default(&self.out[value..]) {
                    self.out.truncate(start);
                }
                Ok(())
            }
            Form::Struct | Form::ListValue => {
                let field = &self.schema[id].fields()[0];
                self.value(field, None, depth)
            }
            Form::Value => self.any_json(id, depth),
            Form::Any => self.any(depth),
            Form::Object | Form::Empty => unreachable!("these are read as objects"),
        }
    }

    /// A `google.protobuf.Value`.
    fn any_json(&mut self, id: MessageId, depth: usize) -> Result<()> {
        // The fields are those of `struct.proto`: null, number, text, flag, object, array.
        let index = match self.json.peek() {
            b'n' => 0,
            b'-' | b'0'..=b'9' => 1,
            b'"' => 2,
            b't' | b'f' => 3,
            b'{' => 4,
            b'[' => 5,
            _ => return Err(self.json.syntax("a value that JSON does not have")),
        };
        let field = &self.schema[id].fields()[index];
        self.value(field, None, depth)
    }

    fn any(&mut self, depth: usize) -> Result<()> {
        let at = self.json.at();
        let Some(url) = self.type_of_any()? else {
            // Without a type it must be empty.
            self.json.expect(b'{', "an object")?;
            if self.json.take(b'}') {
                return Ok(());
            }
            return Err(JsonToWireError::new(JsonProblem::UnknownType(String::new()), at).within(TYPE));
        };
        let name = url.rsplit_once('/').map(|(_, name)| name);
        let Some(id) = name.and_then(|name| self.schema.message_named(name)) else {
            let problem = JsonProblem::UnknownType(url.chars().take(100).collect());
            return Err(JsonToWireError::new(problem, at).within(TYPE));
        };
        put_bytes(1, url.as_bytes(), self.out);
        let start = self.out.len();
        put_tag(2, Kind::Bytes.wire_type(), self.out);
        let value = open_delimited(self.out);
        let depth = self.deeper(depth)?;
        match self.schema[id].form {
            Form::Object => self.object(id, None, depth, Some(TYPE))?,
            form => self.typed_value(id, form, depth)?,
        }
        if self.out.len() == value {
            self.out.truncate(start);
        } else {
            close_delimited(value, self.out);
        }
        Ok(())
    }

    /// The type that an `Any` names, wherever in it. Mostly it comes first; else all of the object is read twice, which
    /// has a limit, since such objects may be within each other.
    fn type_of_any(&mut self) -> Result<Option<Cow<'a, str>>> {
        let mut ahead = self.json.clone();
        ahead.expect(b'{', "an object")?;
        if ahead.peek() == b'"' && ahead.name()?.1 == TYPE {
            return ahead.string().map(Some).map_err(|error| error.within(TYPE));
        }
        let mut url = None;
        let (mut ahead, start) = (self.json.clone(), self.json.at());
        ahead.object(|json, name| {
            if name != TYPE {
                return json.skip();
            }
            url = Some(json.string().map_err(|error| error.within(TYPE))?);
            Ok(())
        })?;
        self.read_twice += ahead.at() - start;
        if self.read_twice > MAX_READ_TWICE * self.json.len() {
            let problem = "an Any within others whose member \"@type\" does not come first";
            return Err(JsonToWireError::new(JsonProblem::Syntax(problem), start).within(TYPE));
        }
        Ok(url)
    }

    /// The message of an `Any`, as its member `value`.
    fn typed_value(&mut self, id: MessageId, form: Form, depth: usize) -> Result<()> {
        let (mut has_value, mut has_type) = (false, false);
        self.json.expect(b'{', "an object")?;
        loop {
            let (at, name) = self.json.name()?;
            match &*name {
                TYPE if !has_type => {
                    has_type = true;
                    self.json.skip()?;
                }
                VALUE if !has_value => {
                    has_value = true;
                    self.message(id, None, depth).map_err(|error| error.within(VALUE))?;
                }
                TYPE | VALUE => {
                    return Err(JsonToWireError::new(JsonProblem::Duplicate, at).within(&name));
                }
                name => return Err(self.unknown(id, name, at)),
            }
            if !self.json.comma(b'}')? {
                break;
            }
        }
        // The JSON of an empty message has no members in any case.
        if has_value || form == Form::Empty {
            return Ok(());
        }
        Err(self.json.syntax("an Any of a well-known type without the member \"value\""))
    }
}
