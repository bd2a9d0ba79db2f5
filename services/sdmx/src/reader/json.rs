//! Reads a structure message in SDMX-JSON 1.0, 2.0 or 2.1, and its drafts, whose artefacts are in `resources` and
//! `references` in place of `data`. The members of every object may be in any order.

use std::io::Read;

use super::flow::DataflowBuilder;
use super::{StructureReader, tag};
use crate::dataflow::Dataflow;
use crate::diagnostic::{Diagnostics, Reason};
use crate::error::{Fault, ParseError, Position};
use crate::footer;
use crate::input::Input;
use crate::json::{Json, Value};
use crate::sniff::Root;

mod artefact;
mod categories;
mod document;
mod header;
mod kind;
mod member;
mod structures;
mod text;

use artefact::{Artefact, Buffers};
use document::Evidence;
use kind::Kind;

/// The document, and where its reader is.
#[derive(Debug)]
pub(super) struct Message<R: Read> {
    json: Json<R>,
    container: Container,
    evidence: Evidence,
    /// Parts and lists that have been read, each a bit.
    seen: u32,
    /// The main language of the message: that of texts without a language. Empty if it is unknown.
    language: String,
    buffers: Buffers,
}

/// The innermost object or array that contains artefacts, or will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Root,
    Data,
    /// A list of artefacts of one kind, in `data`.
    List(Kind),
    /// Artefacts of any kind, in drafts.
    Resources,
    /// The same, as members that are named by their URNs.
    References,
}

/// Members of the root that it has once, and their bits; those of the lists in `data` follow.
const ONCE: [&str; 5] = ["meta", "header", "data", "resources", "references"];

// === impl StructureReader ===

impl<R: Read> StructureReader<R> {
    /// Reads up to the members of the root.
    pub(super) fn begin_json(&mut self, input: Input<R>) -> Result<(), ParseError> {
        let mut json = Json::new(input, &self.limits);
        let value = json.value()?;
        self.root = Some(Root::Structure);
        self.root_position = json.position();
        if value != Value::Object {
            return Err(json.error(Fault::NotStructure { found: "a JSON array".to_owned() }));
        }
        self.json = Some(Message {
            json,
            container: Container::Root,
            evidence: Evidence::default(),
            seen: 0,
            language: String::new(),
            buffers: Buffers::default(),
        });
        Ok(())
    }

    /// The next dataflow of a JSON document.
    pub(super) fn next_in_json(&mut self) -> Result<Option<Box<Dataflow>>, ParseError> {
        loop {
            let Some(message) = &mut self.json else { return Ok(None) };
            let kind = match message.container {
                Container::Root => {
                    if !message.json.member()? {
                        message.end(self.root_position)?;
                        return self.end_json();
                    }
                    message.root_member(&mut self.header, &mut self.diagnostics)?;
                    continue;
                }
                Container::Data => {
                    if message.json.member()? {
                        message.data_member()?;
                    } else {
                        message.container = Container::Root;
                    }
                    continue;
                }
                Container::List(kind) => {
                    if !message.json.element()? {
                        message.container = Container::Data;
                        continue;
                    }
                    Some(kind)
                }
                Container::Resources => {
                    if !message.json.element()? {
                        message.container = Container::Root;
                        continue;
                    }
                    None
                }
                Container::References => {
                    if !message.json.member()? {
                        message.container = Container::Root;
                        continue;
                    }
                    Kind::of_urn(message.json.text())
                }
            };
            if let Some(flow) = self.read_artefact(kind)? {
                return Ok(Some(flow));
            }
        }
    }

    /// Reads one artefact, of a kind that may have to be found out. Returns it if it is a dataflow.
    fn read_artefact(&mut self, kind: Option<Kind>) -> Result<Option<Box<Dataflow>>, ParseError> {
        if let Some(Kind::Structure(kind)) = kind {
            return self.read_structure_in_json(kind).map(|()| None);
        }
        let Self { json, scratch, themes, limits, diagnostics, .. } = self;
        let Some(Message { json, language, buffers, evidence, .. }) = json else { return Ok(None) };
        let is_used = match kind {
            Some(Kind::Dataflow) | None => true,
            Some(Kind::CategoryScheme | Kind::Categorisation) => themes.is_some(),
            Some(Kind::Structure(_) | Kind::Other) => false,
        };
        if !is_used {
            json.skip()?;
            return Ok(None);
        }
        let value = json.value()?;
        let position = json.position();
        if value != Value::Object {
            json.skip_content(value)?;
            self.has_definitions |= kind == Some(Kind::Dataflow);
            let reason = match kind {
                Some(Kind::CategoryScheme) => Reason::InvalidCategory,
                Some(Kind::Categorisation) => Reason::InvalidCategorisation,
                _ => Reason::DataflowWithoutId,
            };
            diagnostics.add(reason, position, || {
                format!("an artefact is {} and was skipped; expected an object", text::shown(value))
            });
            return Ok(None);
        }
        let mut flow = tag::empty();
        flow.position = position;
        let builder = DataflowBuilder::of(flow, Vec::new(), evidence.default_version());
        let themes = themes.as_mut();
        let reader = Artefact::new(kind, builder, language, buffers, scratch, themes, limits, diagnostics);
        let (kind, flow) = reader.read(json)?;
        self.has_definitions |= kind == Some(Kind::Dataflow);
        let is_theme = matches!(kind, Some(Kind::CategoryScheme | Kind::Categorisation));
        self.has_artefacts |= is_theme && self.themes.is_some();
        if let Some(flow) = &flow {
            let counted = self.count(flow);
            if let (Err(fault), Some(Message { json, .. })) = (counted, &mut self.json) {
                return Err(json.error(fault));
            }
        }
        Ok(flow)
    }

    /// Checks at the end of the document.
    fn end_json(&mut self) -> Result<Option<Box<Dataflow>>, ParseError> {
        self.end().map(|()| None)
    }
}

// === impl Message ===

impl<R: Read> Message<R> {
    /// The start of the last name or value.
    pub(super) fn position(&mut self) -> Position {
        self.json.position()
    }

    /// Reads the value of a member of the root, or enters it.
    fn root_member(
        &mut self,
        header: &mut super::Header,
        diagnostics: &mut Diagnostics,
    ) -> Result<(), ParseError> {
        let Self { json, evidence, .. } = self;
        evidence.add_root_member(json.text());
        match json.text() {
            "meta" | "header" => {
                self.check_once()?;
                header::read(&mut self.json, header, &mut self.language, &mut self.evidence)
            }
            "$schema" => match self.json.value()? {
                Value::String => document::check_schema(&mut self.json, &mut self.evidence),
                other => self.json.skip_content(other),
            },
            "data" => self.enter(Value::Object, Container::Data),
            "resources" => self.enter(Value::Array, Container::Resources),
            "references" => self.enter(Value::Object, Container::References),
            "errors" => {
                evidence.add_error(&footer::read_errors(json, diagnostics)?);
                Ok(())
            }
            _ => document::other_member(json, evidence),
        }
    }

    /// Reads the value of a member of `data`, or enters it.
    fn data_member(&mut self) -> Result<(), ParseError> {
        let Some((_, kind)) = Kind::of_list(self.json.text()) else {
            return document::data_member(&mut self.json, &mut self.evidence);
        };
        self.evidence.is_structure = true;
        self.enter(Value::Array, Container::List(kind))
    }

    /// Enters the value of the member whose name was read last, which has to be of this kind unless it is null.
    fn enter(&mut self, expected: Value, container: Container) -> Result<(), ParseError> {
        self.check_once()?;
        let name = self.json.text().to_owned();
        let value = self.json.value()?;
        if value == expected {
            self.container = container;
            self.evidence.is_structure |= container == Container::Resources;
            self.evidence.is_structure |= container == Container::References;
            return Ok(());
        }
        if value == Value::Null {
            return Ok(());
        }
        // Documents of other kinds have `data` too.
        if container == Container::Data {
            return self.json.skip_content(value);
        }
        let found = format!("found {} as the value of {name:?}", text::shown(value));
        let expected = text::shown(expected).to_owned();
        Err(self.json.error(Fault::MalformedJson { found, expected }))
    }

    /// Checks that the member whose name was read last has not been read before: which one counts is not defined.
    fn check_once(&mut self) -> Result<(), ParseError> {
        let name = self.json.text();
        let part = ONCE.iter().position(|once| *once == name);
        let list = || Kind::of_list(name).map(|(list, _)| ONCE.len() + list);
        let Some(index) = part.or_else(list) else { return Ok(()) };
        if self.seen & 1 << index == 0 {
            self.seen |= 1 << index;
            return Ok(());
        }
        let found = format!("found the member {name:?} twice");
        Err(self.json.error(Fault::MalformedJson { found, expected: "it once".to_owned() }))
    }

    /// Checks the end of the root: nothing follows it, and it was a structure message.
    fn end(&mut self, root: Position) -> Result<(), ParseError> {
        match self.evidence.other_kind() {
            None => self.json.end(),
            Some(found) => Err(ParseError { fault: Fault::NotStructure { found }, position: root }),
        }
    }
}
