//! Parses one dataflow, from its start tag to its end tag: the only part of a document that is stored.

use std::borrow::Cow;
use std::io::Read;

use super::legacy::Legacy;
use super::place::Place;
use super::tag;
use crate::annotations::Interpreter;
use crate::dataflow::{Annotation, Dataflow, StructureReference};
use crate::diagnostic::{Diagnostics, Reason};
use crate::error::{Fault, ParseError};
use crate::limits::Limits;
use crate::text::{is_blank, normalised};
use crate::urn::{DEFAULT_VERSION, Urn};
use crate::xml::namespace::Namespace;
use crate::xml::{Event, Start, Xml};

/// Limit for the texts of one annotation in all languages; the rest is dropped.
const ANNOTATION_BYTES: usize = 1 << 20;

/// The longest accepted language tag: BCP 47 requires implementations to support this many bytes.
const LANGUAGE_BYTES: usize = 35;

/// Memory of an empty text: two strings and their heap allocations.
const TEXT_OVERHEAD: usize = 80;

/// Buffers that are reused from dataflow to dataflow, so that only stored data is allocated.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    path: Vec<Place>,
    text: String,
    language: String,
    pub(super) legacy: Legacy,
    annotation: Annotation,
    /// Bytes left for the texts of the annotation.
    room: usize,
    pub(super) keep_annotations: bool,
}

/// A dataflow under construction.
#[derive(Debug)]
pub(super) struct Draft {
    /// Boxed from the start: it is large and is moved often.
    flow: Box<Dataflow>,
    /// Irregularities, reported once the id is known.
    odd: Vec<(Reason, String)>,
    facts: Interpreter,
    bytes: usize,
    parts: usize,
    cut: bool,
}

impl Draft {
    /// A dataflow with the data of its start tag.
    pub(super) fn new(start: &Start<'_>) -> Result<Self, Fault> {
        let mut odd = Vec::new();
        let flow = tag::dataflow(start, &mut odd)?;
        Ok(Self { flow, odd, facts: Interpreter::default(), bytes: 0, parts: 0, cut: false })
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
        let mut place = Place::Dataflow;
        loop {
            match xml.advance(!place.has_text() && !scratch.legacy.is_capturing())? {
                Event::Start(start) => {
                    scratch.legacy.start();
                    scratch.path.push(place);
                    place = place.child(start.namespace, start.local_name(), plain);
                    match place {
                        Place::Markup => scratch.text.push(' '),
                        _ => scratch.text.clear(),
                    }
                    if let Err(fault) = self.open(place, &start, plain, scratch) {
                        return Err(xml.error(fault));
                    }
                }
                Event::Text(piece) => {
                    scratch.legacy.text(piece);
                    if place.has_text() {
                        scratch.text.push_str(piece);
                    }
                }
                Event::Character(character) => {
                    scratch.legacy.character(character);
                    if place.has_text() {
                        scratch.text.push(character);
                    }
                }
                Event::End => {
                    scratch.legacy.end();
                    self.close(place, scratch, limits);
                    let Some(parent) = scratch.path.pop() else { break };
                    place = parent;
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
        place: Place,
        start: &Start<'_>,
        plain: bool,
        scratch: &mut Scratch,
    ) -> Result<(), Fault> {
        let name = start.local_name();
        let Scratch { language, legacy, annotation, room, keep_annotations, .. } = scratch;
        // The predecessor searched names and descriptions at any depth.
        let in_schema = || match start.namespace {
            Namespace::Sdmx(..) => true,
            Namespace::None => plain,
            Namespace::Soap | Namespace::Foreign => false,
        };
        let is_name = !legacy.declined && name == "Name" && in_schema();
        if place.has_language() || is_name {
            language.clear();
            let tagged = start.attribute("xml:lang")?.filter(|tag| !tag.is_empty());
            let tagged = if plain && tagged.is_none() { start.attribute("lang")? } else { tagged };
            language.push_str(&tagged.unwrap_or_default());
        }
        if is_name {
            legacy.name(language, plain);
        } else if !legacy.declined && name == "Description" && in_schema() {
            legacy.description();
        }
        if place.has_language() && language.trim_ascii().len() > LANGUAGE_BYTES {
            let length = language.trim_ascii().len();
            language.clear();
            self.tell(Reason::InvalidLanguage, || {
                format!("a language tag has {length} bytes; expected at most {LANGUAGE_BYTES}")
            });
        }
        match place {
            Place::Annotation => {
                annotation.clear();
                // Facts need only one text.
                *room = if *keep_annotations { ANNOTATION_BYTES } else { 1 };
                annotation.id.push_str(&start.attribute("id")?.unwrap_or_default());
            }
            Place::StructureRef => self.flow.structure = Some(tag::reference(start)?),
            Place::KeyFamily => self.flow.structure = Some(StructureReference::default()),
            _ => {}
        }
        Ok(())
    }

    /// Handles an end tag, with the text of the element.
    fn close(&mut self, place: Place, scratch: &mut Scratch, limits: &Limits) {
        if place == Place::Markup {
            return scratch.text.push(' ');
        }
        let Scratch { text, language, annotation, room, keep_annotations, .. } = scratch;
        if place == Place::Annotation {
            self.facts.add(annotation);
            if *keep_annotations {
                self.keep_annotation(annotation, limits);
            }
        } else if place.is_annotation() {
            annotate(place, text, language, annotation, room);
        } else if place.has_text() {
            let value = self.normalised(text);
            if !value.is_empty() {
                self.keep(place, &value, language, limits);
            }
        }
        text.clear();
    }

    /// [`normalised`]; reports replaced characters.
    fn normalised<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        let (value, replaced) = normalised(text);
        if replaced {
            self.tell(Reason::ControlCharacter, || "a text holds control characters".to_owned());
        }
        value
    }

    /// Stores an annotation; `written` has the texts as written.
    fn keep_annotation(&mut self, written: &Annotation, limits: &Limits) {
        let mut text = |text: &String| self.normalised(text).into_owned();
        let annotation = Annotation {
            id: written.id.clone(),
            kind: text(&written.kind),
            title: text(&written.title),
            url: text(&written.url),
            texts: written.texts.iter().map(|(language, value)| (language.clone(), text(value))).collect(),
            value: text(&written.value),
        };
        if self.admit(annotation.bytes(), limits) {
            self.flow.annotations.push(annotation);
        }
    }

    /// Stores a text that does not belong to an annotation.
    fn keep(&mut self, place: Place, value: &str, language: &str, limits: &Limits) {
        if let Place::Name | Place::Description = place {
            if self.admit(language.len() + value.len(), limits) {
                let Dataflow { names, descriptions, .. } = &mut *self.flow;
                let texts = if place == Place::Name { names } else { descriptions };
                texts.push((language.trim().to_owned(), value.to_owned()));
            }
            return;
        }
        match (place, &mut self.flow.structure) {
            (Place::KeyFamilyId, Some(structure)) => value.clone_into(&mut structure.id),
            (Place::KeyFamilyAgency, Some(structure)) => value.clone_into(&mut structure.agency_id),
            (Place::KeyFamilyVersion, Some(structure)) => value.clone_into(&mut structure.version),
            (Place::StructureUrn | Place::Structure, _) => self.refer(value),
            _ => {}
        }
    }

    /// Stores a structure reference that is written as a URN.
    fn refer(&mut self, urn: &str) {
        match Urn::parse(urn) {
            Some(Urn { class: "DataStructure" | "KeyFamily", agency_id, id, version }) => {
                let [agency_id, id, version] = [agency_id, id, version].map(str::to_owned);
                self.flow.structure = Some(StructureReference { agency_id, id, version });
            }
            _ => {
                self.tell(Reason::InvalidStructureReference, || format!("{urn:?} names no data structure"));
            }
        }
    }

    /// Records an irregularity, the first of its kind.
    #[cold]
    fn tell(&mut self, reason: Reason, message: impl FnOnce() -> String) {
        if self.odd.iter().all(|(told, _)| *told != reason) {
            self.odd.push((reason, message()));
        }
    }

    /// Reserves room for one more part with this much text. Returns false above the limits.
    fn admit(&mut self, bytes: usize, limits: &Limits) -> bool {
        let fits = self.parts < limits.dataflow_parts && self.bytes + bytes <= limits.dataflow_bytes;
        if fits {
            self.parts += 1;
            self.bytes += bytes;
        }
        self.cut |= !fits;
        fits
    }

    /// Sets defaults, and reports the irregularities.
    fn finish(mut self, legacy: &mut Legacy, diagnostics: &mut Diagnostics) -> Option<Box<Dataflow>> {
        let flow = &mut self.flow;
        default_version(&mut flow.version);
        if let Some(structure) = &mut flow.structure {
            default_version(&mut structure.version);
            if structure.id.is_empty() {
                flow.structure = None;
                self.odd.push((Reason::InvalidStructureReference, "the data structure has no id".to_owned()));
            }
        }
        flow.facts = self.facts.finish(flow.external.is_some());
        flow.legacy = legacy.take(&flow.id);
        let position = flow.position;
        if flow.id.is_empty() {
            let name = flow.names.first().map_or("", |(_, text)| text);
            diagnostics.add(Reason::DataflowWithoutId, position, || {
                format!("dataflow {name:?} has no id and was skipped; expected an id attribute or a URN")
            });
            return None;
        }
        let id = &flow.id;
        if self.cut {
            let message = "more than is kept of one dataflow; the excess was dropped".to_owned();
            self.odd.push((Reason::DataflowCutShort, message));
        }
        for (reason, message) in self.odd {
            diagnostics.add(reason, position, || format!("dataflow {id}: {message}"));
        }
        if flow.names.is_empty() {
            diagnostics.add(Reason::DataflowWithoutName, position, || format!("dataflow {id} has no name"));
        }
        Some(self.flow)
    }
}

/// Stores a text of an annotation as written, because few annotations are inspected further; `room` limits its texts in
/// several languages.
fn annotate(place: Place, text: &mut String, language: &str, annotation: &mut Annotation, room: &mut usize) {
    let field = match place {
        Place::AnnotationTitle => &mut annotation.title,
        Place::AnnotationType => &mut annotation.kind,
        Place::AnnotationUrl if is_blank(&annotation.url) => &mut annotation.url,
        Place::AnnotationValue => &mut annotation.value,
        Place::AnnotationText if !is_blank(text) && *room > 0 => {
            *room = room.saturating_sub(language.len() + text.len() + TEXT_OVERHEAD);
            return annotation.texts.push((language.trim().to_owned(), text.clone()));
        }
        _ => return,
    };
    std::mem::swap(field, text);
}

fn default_version(version: &mut String) {
    if version.is_empty() {
        version.push_str(DEFAULT_VERSION);
    }
}
