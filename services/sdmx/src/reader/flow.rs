//! Parses one dataflow, from its start tag to its end tag: the only part of a document that is stored.

use std::borrow::Cow;
use std::io::Read;

mod finish;

use super::annotation::{self, ANNOTATION_BYTES};
use super::element::ElementContext;
use super::inline::InlineCategories;
use super::languages;
use super::legacy::Legacy;
use super::tag;
use crate::annotations::FactsBuilder;
use crate::dataflow::{Annotation, Dataflow, StructureReference};
use crate::diagnostic::{Diagnostics, Reason};
use crate::error::{Fault, ParseError};
use crate::limits::Limits;
use crate::namespace::Namespace;
use crate::text::{is_garbled, normalized};
use crate::urn::{self, STRUCTURE_CLASSES, Urn};
use crate::xml::{Event, Start, Xml};

/// The longest accepted language tag: BCP 47 requires implementations to support this many bytes.
pub(super) const LANGUAGE_BYTES: usize = 35;

/// Buffers that are reused from dataflow to dataflow, so that only stored data is allocated.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    path: Vec<ElementContext>,
    pub(super) identity: Vec<u8>,
    pub(super) text: String,
    pub(super) language: String,
    pub(super) legacy: Legacy,
    pub(super) categories: InlineCategories,
    pub(super) annotation: Annotation,
    /// Bytes left for the texts of the annotation.
    pub(super) room: usize,
    pub(super) keep_annotations: bool,
}

impl Scratch {
    /// An annotation starts.
    pub(super) fn begin_annotation(&mut self) {
        self.annotation.clear();
        // Facts need only one text.
        self.room = if self.keep_annotations { ANNOTATION_BYTES } else { 1 };
    }
}

/// A dataflow under construction.
#[derive(Debug)]
pub(super) struct DataflowBuilder {
    /// Boxed from the start: it is large and is moved often.
    pub(super) flow: Box<Dataflow>,
    /// Irregularities, reported once the id is known.
    pub(super) issues: Vec<(Reason, String)>,
    facts: FactsBuilder,
    /// The version of an artefact that states none.
    default_version: &'static str,
    bytes: usize,
    parts: usize,
    truncated: bool,
}

impl DataflowBuilder {
    /// A dataflow with the data of its start tag.
    pub(super) fn new(start: &Start<'_>) -> Result<Self, Fault> {
        let mut issues = Vec::new();
        let flow = tag::dataflow(start, &mut issues)?;
        Ok(Self::of(flow, issues, urn::default_version(start.namespace)))
    }

    /// A dataflow whose attributes, with these irregularities, are known or follow. Versions that are not stated are the
    /// default.
    pub(super) fn of(
        flow: Box<Dataflow>,
        issues: Vec<(Reason, String)>,
        default_version: &'static str,
    ) -> Self {
        let facts = FactsBuilder::default();
        Self { flow, issues, facts, default_version, bytes: 0, parts: 0, truncated: false }
    }

    /// Reads up to the end of the element. Returns `None` for a dataflow without identity.
    pub(super) fn read<R: Read>(
        mut self,
        xml: &mut Xml<R>,
        scratch: &mut Scratch,
        plain: bool,
        limits: &Limits,
        diagnostics: &mut Diagnostics,
    ) -> Result<Option<Box<Dataflow>>, ParseError> {
        self.flow.position = xml.position();
        scratch.path.clear();
        let mut context = ElementContext::Dataflow;
        loop {
            match xml.advance(!context.has_text() && !scratch.legacy.is_capturing())? {
                Event::Start(start) => {
                    scratch.legacy.start();
                    scratch.path.push(context);
                    context = context.child(start.namespace, start.local_name(), plain);
                    match context {
                        ElementContext::Markup => scratch.text.push(' '),
                        _ => scratch.text.clear(),
                    }
                    if let Err(fault) = self.open(context, &start, plain, scratch) {
                        return Err(xml.error(fault));
                    }
                }
                Event::Text(piece) => {
                    scratch.legacy.text(piece);
                    if context.has_text() {
                        scratch.text.push_str(piece);
                    }
                }
                Event::Character(character) => {
                    scratch.legacy.character(character);
                    if context.has_text() {
                        scratch.text.push(character);
                    }
                }
                Event::End => {
                    scratch.legacy.end();
                    self.close(context, scratch, limits);
                    let Some(parent) = scratch.path.pop() else { break };
                    context = parent;
                }
                Event::Ignored | Event::Eof => {}
            }
            // The input limits single events; this limits a text that consists of many.
            if scratch.text.len().max(scratch.legacy.len()) > limits.event_bytes {
                return Err(xml.error(Fault::EventTooLarge { limit: limits.event_bytes }));
            }
        }
        Ok(self.finish(&mut scratch.legacy, diagnostics))
    }

    /// Handles a start tag.
    fn open(
        &mut self,
        context: ElementContext,
        start: &Start<'_>,
        plain: bool,
        scratch: &mut Scratch,
    ) -> Result<(), Fault> {
        let name = start.local_name();
        let Scratch { language, legacy, .. } = scratch;
        // The predecessor searched names and descriptions at any depth.
        let in_schema = || match start.namespace {
            Namespace::Sdmx(..) => true,
            Namespace::None => plain,
            Namespace::Soap | Namespace::Foreign => false,
        };
        let is_name = !legacy.disabled && name == "Name" && in_schema();
        if context.has_language() || is_name {
            language.clear();
            let tagged = start.attribute("xml:lang")?.filter(|tag| !tag.is_empty());
            let tagged = if plain && tagged.is_none() { start.attribute("lang")? } else { tagged };
            language.push_str(&tagged.unwrap_or_default());
        }
        if is_name {
            legacy.name(language, plain);
        } else if !legacy.disabled && name == "Description" && in_schema() {
            legacy.description();
        }
        if context.has_language() {
            self.check_language(language);
        }
        match context {
            ElementContext::Annotation => {
                scratch.begin_annotation();
                scratch.annotation.id.push_str(&start.attribute("id")?.unwrap_or_default());
            }
            ElementContext::StructureRef => self.flow.structure = Some(tag::reference(start)?),
            ElementContext::KeyFamily => self.flow.structure = Some(StructureReference::default()),
            ElementContext::CategoryRef => scratch.categories.start(),
            _ => {}
        }
        Ok(())
    }

    /// Handles an end tag, with the text of the element.
    fn close(&mut self, context: ElementContext, scratch: &mut Scratch, limits: &Limits) {
        if context == ElementContext::Markup {
            return scratch.text.push(' ');
        }
        let Scratch { text, language, categories, annotation, room, keep_annotations, .. } = scratch;
        if context == ElementContext::Annotation {
            self.add_annotation(annotation, *keep_annotations, limits);
        } else if context == ElementContext::CategoryRef && categories.enabled {
            match categories.end() {
                Some(bytes) if self.reserve(bytes, limits) => categories.keep(),
                Some(_) => {}
                None => self
                    .report(Reason::InvalidCategorisation, || "a CategoryRef names no category".to_owned()),
            }
        } else if context.is_of_category() {
            categories.text(context, text);
        } else if context.is_annotation() {
            annotation::set_text(context, text, language, annotation, room);
        } else if context.has_text() {
            self.add_text(context, text, language, limits);
        }
        text.clear();
    }

    /// Empties a language tag that is longer than any valid one.
    pub(super) fn check_language(&mut self, language: &mut String) {
        let length = language.trim_ascii().len();
        if length > LANGUAGE_BYTES {
            language.clear();
            self.report(Reason::InvalidLanguage, || {
                format!("a language tag has {length} bytes; expected at most {LANGUAGE_BYTES}")
            });
        }
    }

    /// Interprets an annotation, and stores it on request.
    pub(super) fn add_annotation(&mut self, annotation: &Annotation, keep: bool, limits: &Limits) {
        self.facts.add(annotation);
        if keep {
            self.store_annotation(annotation, limits);
        }
    }

    /// Stores a text that does not belong to an annotation, unless it is blank.
    pub(super) fn add_text(&mut self, context: ElementContext, text: &str, language: &str, limits: &Limits) {
        let value = self.normalized(text);
        if !value.is_empty() {
            self.store_text(context, &value, language, limits);
        }
    }

    /// [`normalized`]; reports replaced characters.
    pub(super) fn normalized<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        let (value, replaced) = normalized(text);
        if replaced {
            self.report(Reason::ControlCharacter, || "a text contains control characters".to_owned());
        }
        value
    }

    /// Stores an annotation; `written` has the texts as written.
    fn store_annotation(&mut self, written: &Annotation, limits: &Limits) {
        let mut text = |text: &String| self.normalized(text).into_owned();
        let annotation = Annotation {
            id: written.id.clone(),
            kind: text(&written.kind),
            title: text(&written.title),
            url: text(&written.url),
            texts: written.texts.iter().map(|(language, value)| (language.clone(), text(value))).collect(),
            value: text(&written.value),
        };
        if self.reserve(annotation.bytes(), limits) {
            self.flow.annotations.push(annotation);
        }
    }

    fn store_text(&mut self, context: ElementContext, value: &str, language: &str, limits: &Limits) {
        if let ElementContext::Name | ElementContext::Description = context {
            if self.reserve(language.len() + value.len(), limits) {
                let Dataflow { names, descriptions, .. } = &mut *self.flow;
                let texts = if context == ElementContext::Name { names } else { descriptions };
                texts.push((languages::tag(language), value.to_owned()));
            }
            if is_garbled(value) {
                self.report(Reason::GarbledText, || format!("{value:?} was decoded in a wrong encoding"));
            }
            return;
        }
        match (context, &mut self.flow.structure) {
            (ElementContext::KeyFamilyId, Some(structure)) => value.clone_into(&mut structure.id),
            (ElementContext::KeyFamilyAgency, Some(structure)) => value.clone_into(&mut structure.agency_id),
            (ElementContext::KeyFamilyVersion, Some(structure)) => value.clone_into(&mut structure.version),
            (ElementContext::StructureUrn | ElementContext::Structure, _) => self.set_structure_urn(value),
            _ => {}
        }
    }

    /// Stores a structure reference that is written as a URN.
    fn set_structure_urn(&mut self, urn: &str) {
        match Urn::parse(urn) {
            Some(Urn { class, agency_id, id, version, .. }) if STRUCTURE_CLASSES.contains(&class) => {
                let [agency_id, id, version] = [agency_id, id, version].map(str::to_owned);
                self.flow.structure = Some(StructureReference { agency_id, id, version });
            }
            _ => {
                self.report(Reason::InvalidStructureReference, || {
                    format!("{urn:?} does not name a data structure")
                });
            }
        }
    }

    /// Records an irregularity, the first of its kind.
    #[cold]
    pub(super) fn report(&mut self, reason: Reason, message: impl FnOnce() -> String) {
        if self.issues.iter().all(|(known, _)| *known != reason) {
            self.issues.push((reason, message()));
        }
    }

    /// Reserves room for one more part with this much text. Returns false above the limits.
    fn reserve(&mut self, bytes: usize, limits: &Limits) -> bool {
        let fits = self.parts < limits.dataflow_parts && self.bytes + bytes <= limits.dataflow_bytes;
        if fits {
            self.parts += 1;
            self.bytes += bytes;
        }
        self.truncated |= !fits;
        fits
    }
}
