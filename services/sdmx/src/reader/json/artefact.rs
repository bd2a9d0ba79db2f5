//! Reads one artefact: a dataflow, a category scheme or a categorisation. Drafts do not tell which before its members,
//! so one reader collects what any of them needs.

use std::io::Read;

use super::categories::{self, CategoryBuffers};
use super::kind::Kind;
use super::member::{Member, Seen};
use super::text::{self, Text};
use crate::dataflow::{Dataflow, ExternalReference};
use crate::diagnostic::{Diagnostics, Reason};
use crate::error::{ParseError, Position};
use crate::json::{Json, Value};
use crate::limits::Limits;
use crate::reader::element::ElementContext;
use crate::reader::flow::{DataflowBuilder, Scratch};
use crate::reader::tag;
use crate::themes::{Reference, Themes};

mod annotations;
mod finish;
mod links;

use links::Link;

/// Texts of one artefact that are interpreted at its end. Reused from artefact to artefact.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// The best match of several languages: used if no language is stated.
    name: String,
    description: String,
    urn: String,
    source: String,
    target: String,
    valid_to: String,
    link: Link,
    categories: CategoryBuffers,
}

/// An artefact that is being read.
pub(super) struct Artefact<'a> {
    kind: Option<Kind>,
    position: Position,
    builder: DataflowBuilder,
    seen: Seen,
    is_external: bool,
    external: ExternalReference,
    /// The scheme, once its categories are read.
    scheme: Option<usize>,
    /// The main language of the message.
    language: &'a str,
    buffers: &'a mut Buffers,
    scratch: &'a mut Scratch,
    themes: Option<&'a mut Themes>,
    limits: &'a Limits,
    diagnostics: &'a mut Diagnostics,
}

impl<'a> Artefact<'a> {
    /// An artefact of which `builder` knows only the position.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of a reader, borrowed one by one")]
    pub(super) fn new(
        kind: Option<Kind>,
        builder: DataflowBuilder,
        language: &'a str,
        buffers: &'a mut Buffers,
        scratch: &'a mut Scratch,
        themes: Option<&'a mut Themes>,
        limits: &'a Limits,
        diagnostics: &'a mut Diagnostics,
    ) -> Self {
        buffers.clear();
        Self {
            kind,
            position: builder.flow.position,
            builder,
            seen: Seen::default(),
            is_external: false,
            external: ExternalReference::default(),
            scheme: None,
            language,
            buffers,
            scratch,
            themes,
            limits,
            diagnostics,
        }
    }

    /// Reads up to the end of the object. Returns its kind, and the dataflow if it is one with an identity.
    pub(super) fn read<R: Read>(
        mut self,
        json: &mut Json<R>,
    ) -> Result<(Option<Kind>, Option<Box<Dataflow>>), ParseError> {
        while json.member()? {
            let member = Member::of(json.text());
            if self.seen.add(member) {
                self.member(member, json)?;
            } else {
                let name = json.text();
                self.builder.report(Reason::InvalidMember, || {
                    format!("it has the member {name:?} twice; the first counts")
                });
                json.skip()?;
            }
        }
        Ok(self.finish())
    }

    fn member<R: Read>(&mut self, member: Member, json: &mut Json<R>) -> Result<(), ParseError> {
        match member {
            Member::Id | Member::AgencyId | Member::Version => {
                if self.text(member, json)? {
                    let value = self.builder.normalized(json.text()).into_owned();
                    let Dataflow { id, agency_id, version, .. } = &mut *self.builder.flow;
                    match member {
                        Member::Id => *id = value,
                        Member::AgencyId => *agency_id = value,
                        _ => *version = value,
                    }
                }
            }
            Member::Urn => {
                if self.text(member, json)? {
                    self.set_urn(json.text());
                }
            }
            Member::Type => {
                if text::one(json)? == Text::One {
                    self.kind = self.kind.or_else(|| Kind::of_type(json.text()));
                }
            }
            Member::Name | Member::Names => self.texts(ElementContext::Name, member, json)?,
            Member::Description | Member::Descriptions => {
                self.texts(ElementContext::Description, member, json)?;
            }
            Member::IsFinal => self.builder.flow.is_final = self.boolean(member, json)?,
            Member::IsExternalReference => self.is_external = self.boolean(member, json)? == Some(true),
            Member::Structure => {
                if self.text(member, json)? {
                    self.builder.add_text(ElementContext::Structure, json.text(), "", self.limits);
                }
            }
            Member::StructureUrl | Member::ServiceUrl => {
                if self.text(member, json)? {
                    let url = Some(json.text().trim().to_owned()).filter(|url| !url.is_empty());
                    match member {
                        Member::StructureUrl => self.external.structure_url = url,
                        _ => self.external.service_url = url,
                    }
                }
            }
            Member::Links => self.links(json)?,
            Member::Annotations => self.annotations(json)?,
            Member::Source | Member::Target | Member::ValidTo => {
                if self.text(member, json)? {
                    let buffer = match member {
                        Member::Source => &mut self.buffers.source,
                        Member::Target => &mut self.buffers.target,
                        _ => &mut self.buffers.valid_to,
                    };
                    json.text().clone_into(buffer);
                }
            }
            Member::Categories => self.categories(json)?,
            Member::Parent | Member::Other => json.skip()?,
        }
        Ok(())
    }

    /// Reads a member with one text. Returns whether it has one; a value of another type counts as absent.
    fn text<R: Read>(&mut self, member: Member, json: &mut Json<R>) -> Result<bool, ParseError> {
        let text = text::one(json)?;
        if let Text::Other(value) = text {
            self.report_type(member, value, "a string");
        }
        Ok(text == Text::One)
    }

    /// Reads a flag; also as a string, as in SDMX-ML.
    fn boolean<R: Read>(&mut self, member: Member, json: &mut Json<R>) -> Result<Option<bool>, ParseError> {
        match json.value()? {
            Value::Bool(flag) => return Ok(Some(flag)),
            Value::String | Value::Number => {
                return Ok(tag::boolean_of(member.name(), json.text(), &mut self.builder.issues));
            }
            Value::Null => {}
            other => {
                json.skip_content(other)?;
                self.report_type(member, other, "true or false");
            }
        }
        Ok(None)
    }

    /// Reads a name or description: in the languages that it states, or one text for the main language.
    fn texts<R: Read>(
        &mut self,
        context: ElementContext,
        member: Member,
        json: &mut Json<R>,
    ) -> Result<(), ParseError> {
        match text::one_or_more(json)? {
            Text::One => {
                let Buffers { name, description, .. } = &mut *self.buffers;
                let buffer = if context == ElementContext::Name { name } else { description };
                json.text().clone_into(buffer);
            }
            Text::ByLanguage => {
                while json.member()? {
                    json.text().clone_into(&mut self.scratch.language);
                    if self.text(member, json)? {
                        self.add_text(context, json.text());
                    }
                }
            }
            Text::Absent => {}
            Text::Other(value) => self.report_type(member, value, "a text, or an object of texts"),
        }
        Ok(())
    }

    /// Adds a text in the language that the scratch has.
    fn add_text(&mut self, context: ElementContext, text: &str) {
        let Scratch { legacy, language, .. } = &mut *self.scratch;
        match context {
            ElementContext::Name => legacy.name(language, false),
            _ => legacy.description(),
        }
        legacy.text(text);
        legacy.end();
        self.builder.check_language(language);
        self.builder.add_text(context, text, language, self.limits);
    }

    /// Reads an array of objects, each of which `each` reads.
    fn list<R: Read>(
        &mut self,
        member: Member,
        json: &mut Json<R>,
        mut each: impl FnMut(&mut Self, &mut Json<R>) -> Result<(), ParseError>,
    ) -> Result<(), ParseError> {
        match json.value()? {
            Value::Array => {
                while json.element()? {
                    match json.value()? {
                        Value::Object => each(self, json)?,
                        other => {
                            json.skip_content(other)?;
                            self.report_type(member, other, "objects");
                        }
                    }
                }
            }
            Value::Null => {}
            other => {
                json.skip_content(other)?;
                self.report_type(member, other, "an array");
            }
        }
        Ok(())
    }

    /// Reads the categories of a scheme. In drafts other artefacts have `items` too.
    fn categories<R: Read>(&mut self, json: &mut Json<R>) -> Result<(), ParseError> {
        let (Some(Kind::CategoryScheme), Some(themes)) = (self.kind, &mut self.themes) else {
            return json.skip();
        };
        let scheme = themes.add_scheme(Reference::default(), self.position, self.limits, self.diagnostics);
        self.scheme = scheme;
        let Some(scheme) = scheme else { return json.skip() };
        let buffers = &mut self.buffers.categories;
        categories::read(json, scheme, self.language, buffers, themes, self.limits, self.diagnostics)
    }

    /// Notes a URN: it completes the identity, and in drafts tells the kind.
    fn set_urn(&mut self, urn: &str) {
        if self.buffers.urn.is_empty() {
            urn.trim().clone_into(&mut self.buffers.urn);
        }
        self.kind = self.kind.or_else(|| Kind::of_urn(urn));
    }

    #[cold]
    fn report_type(&mut self, member: Member, value: Value, expected: &str) {
        self.builder.report(Reason::InvalidMember, || {
            format!("{} is {} and counts as absent; expected {expected}", member.name(), text::shown(value))
        });
    }
}

// === impl Buffers ===

impl Buffers {
    fn clear(&mut self) {
        let Self { name, description, urn, source, target, valid_to, .. } = self;
        [name, description, urn, source, target, valid_to].into_iter().for_each(String::clear);
    }
}
