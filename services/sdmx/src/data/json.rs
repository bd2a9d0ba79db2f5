//! Counts data messages in SDMX-JSON 1.0 and 2.0. Members may be in any order: the periods are those that the structure
//! lists, and observations refer to them by number, so that it does not matter which comes first.

use std::io::Read;

use super::{DataCounts, DataFormat, Tally};
use crate::error::{Fault, ParseError, Position};
use crate::excerpt::excerpt;
use crate::footer;
use crate::input::Input;
use crate::json::{Json, Value};
use crate::limits::Limits;

mod data_set;
mod structure;
mod text;

/// Counts the message.
pub(super) fn count<R: Read>(input: Input<R>, limits: &Limits) -> Result<DataCounts, ParseError> {
    let mut json = Json::new(input, limits);
    let value = json.value()?;
    let root = json.position();
    if value != Value::Object {
        return Err(json.error(Fault::NotData { found: "JSON that is no object".to_owned() }));
    }
    let mut message = Message { json, tally: Tally::new(limits), kind: Kind::default() };
    while message.json.member()? {
        message.member(true)?;
    }
    message.json.end()?;
    message.counts(root)
}

/// The message, and what has been read of it.
#[derive(Debug)]
struct Message<R: Read> {
    json: Json<R>,
    tally: Tally,
    kind: Kind,
}

/// What the members so far tell about the kind of the document.
#[derive(Debug, Default)]
struct Kind {
    /// It has a list of data sets, which may be empty.
    has_data_sets: bool,
    version: Option<&'static str>,
    /// The names of the first members of the root, and of `data`.
    members: Vec<String>,
    /// The text of an error message.
    error: String,
}

/// Enough of an error message to tell what is wrong.
const WORDS_BYTES: usize = 200;

/// Names of members that are quoted if the kind is unknown.
const MEMBERS: usize = 5;

/// Lists in `data` that tell a structure message, so that a large one is not read to its end.
const STRUCTURES: [&str; 8] = [
    "categorisations",
    "categorySchemes",
    "codelists",
    "conceptSchemes",
    "contentConstraints",
    "dataConstraints",
    "dataStructures",
    "dataflows",
];

const STRUCTURE: &str = "a structure message in JSON";
const METADATA: &str = "an SDMX metadata message in JSON";

// === impl Message ===

impl<R: Read> Message<R> {
    /// Reads the value of a member of the root, or of `data`.
    fn member(&mut self, of_root: bool) -> Result<(), ParseError> {
        let name = self.json.text();
        if self.kind.members.len() < MEMBERS {
            self.kind.members.push(excerpt(name));
        }
        match name {
            "data" if of_root => match self.json.value()? {
                Value::Object => {
                    while self.json.member()? {
                        self.member(false)?;
                    }
                    Ok(())
                }
                // Documents of other kinds have `data` too.
                other => self.json.skip_content(other),
            },
            "meta" | "header" if of_root => self.header(),
            "dataSets" => self.data_sets(),
            "structure" => {
                self.kind.version.get_or_insert("1.0");
                structure::read(&mut self.json, &mut self.tally)
            }
            "structures" if !of_root => {
                self.kind.version.get_or_insert("2.0");
                self.structures()
            }
            "metadataSets" => Err(self.other(METADATA)),
            "resources" | "references" if of_root => Err(self.other(STRUCTURE)),
            name if !of_root && STRUCTURES.contains(&name) => Err(self.other(STRUCTURE)),
            "errors" if of_root => {
                let words = footer::read_errors(&mut self.json, &mut self.tally.diagnostics)?;
                self.kind.error.push_str(&words);
                Ok(())
            }
            "error" | "errorMessage" | "message" | "detail" if of_root => {
                self.json.words(&mut self.kind.error, WORDS_BYTES)
            }
            _ => self.json.skip(),
        }
    }

    fn header(&mut self) -> Result<(), ParseError> {
        if !text::enter(&mut self.json, Value::Object)? {
            return Ok(());
        }
        while self.json.member()? {
            let Self { json, tally: Tally { header, .. }, .. } = self;
            match json.text() {
                "id" => text::read(json, &mut header.id)?,
                "prepared" => text::read(json, &mut header.prepared)?,
                "test" => match json.value()? {
                    Value::Bool(test) => header.test = Some(test),
                    other => json.skip_content(other)?,
                },
                "schema" => self.schema()?,
                _ => json.skip()?,
            }
        }
        Ok(())
    }

    /// Reads the schema that the message names, which tells its kind.
    fn schema(&mut self) -> Result<(), ParseError> {
        let mut schema = String::new();
        text::read(&mut self.json, &mut schema)?;
        if schema.contains("json-structure-schema") {
            return Err(self.other(STRUCTURE));
        }
        if schema.contains("json-metadata-schema") {
            return Err(self.other(METADATA));
        }
        if schema.contains("json-data-schema") {
            self.kind.version = Some(if schema.contains("/2.") { "2.0" } else { "1.0" });
        }
        Ok(())
    }

    fn data_sets(&mut self) -> Result<(), ParseError> {
        if self.kind.has_data_sets {
            return Err(text::twice(&mut self.json));
        }
        self.kind.has_data_sets = true;
        if text::enter(&mut self.json, Value::Array)? {
            while self.json.element()? {
                data_set::read(&mut self.json, &mut self.tally)?;
            }
        }
        Ok(())
    }

    fn structures(&mut self) -> Result<(), ParseError> {
        if text::enter(&mut self.json, Value::Array)? {
            while self.json.element()? {
                structure::read(&mut self.json, &mut self.tally)?;
            }
        }
        Ok(())
    }

    fn other(&mut self, found: &str) -> ParseError {
        self.json.error(Fault::NotData { found: found.to_owned() })
    }

    /// At the end of the document, whose root is at this position.
    fn counts(self, root: Position) -> Result<DataCounts, ParseError> {
        let Kind { has_data_sets, version, members, error } = self.kind;
        if has_data_sets {
            return Ok(self.tally.counts(DataFormat::Json, version, false));
        }
        let found = match members.as_slice() {
            _ if !error.is_empty() => format!("an error message in JSON: {:?}", excerpt(&error)),
            [] => "an empty JSON object".to_owned(),
            members => format!("JSON without data sets, with the members {members:?}"),
        };
        Err(ParseError { fault: Fault::NotData { found }, position: root })
    }
}
