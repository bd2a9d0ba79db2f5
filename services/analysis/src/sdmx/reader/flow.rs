//! One dataflow, from its start tag to its end: the only part of a document of which anything is kept.

use std::io::Read;

use super::legacy::Legacy;
use super::place::Place;
use crate::sdmx::dataflow::{
    Annotation, Dataflow, ExternalReference, LegacyFields, Localised, StructureReference,
};
use crate::sdmx::diagnostic::{Diagnostics, Reason};
use crate::sdmx::error::{Fault, ParseError, Position};
use crate::sdmx::limits::Limits;
use crate::sdmx::text::normalised;
use crate::sdmx::urn::{DEFAULT_VERSION, Urn};
use crate::sdmx::xml::namespace::Namespace;
use crate::sdmx::xml::{Event, RawValue, Start, Xml};

/// Buffers that go from one dataflow to the next, so that only what is kept is allocated.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    path: Vec<Place>,
    text: String,
    language: String,
    legacy: Legacy,
    /// How many annotations the last dataflow had, which is how many the next will have.
    annotations: usize,
}

/// A dataflow in the making.
#[derive(Debug)]
pub(super) struct Draft {
    flow: Dataflow,
    /// Oddities, told once the id is known.
    odd: Vec<(Reason, String)>,
    bytes: usize,
    parts: usize,
    cut: bool,
}

impl Draft {
    /// A dataflow with what its start tag says.
    pub(super) fn new(start: &Start<'_>) -> Result<Self, Fault> {
        let mut draft = Self { flow: empty(), odd: Vec::new(), bytes: 0, parts: 0, cut: false };
        let mut external = ExternalReference::default();
        let mut is_external = None;
        let flow = &mut draft.flow;
        for (name, value) in start.attributes() {
            match name {
                "id" => flow.id = trimmed(value)?,
                "agencyID" | "agencyId" | "agency" => flow.agency_id = trimmed(value)?,
                "version" => flow.version = trimmed(value)?,
                "urn" => flow.urn = some(value)?,
                "isFinal" => flow.is_final = boolean(name, value, &mut draft.odd)?,
                "isExternalReference" => is_external = boolean(name, value, &mut draft.odd)?,
                "structureURL" => external.structure_url = some(value)?,
                "serviceURL" => external.service_url = some(value)?,
                "validFrom" => flow.valid_from = some(value)?,
                "validTo" => flow.valid_to = some(value)?,
                _ => {}
            }
        }
        flow.external = (is_external == Some(true)).then_some(external);
        Ok(draft)
    }

    /// Reads on to the end of the element. Nothing comes back for a dataflow without identity.
    pub(super) fn read<R: Read>(
        mut self,
        xml: &mut Xml<R>,
        scratch: &mut Scratch,
        plain: bool,
        limits: &Limits,
        diagnostics: &mut Diagnostics,
    ) -> Result<Option<Dataflow>, ParseError> {
        self.flow.position = xml.position();
        let Scratch { path, text, language, legacy, annotations } = scratch;
        self.flow.annotations.reserve(*annotations);
        path.clear();
        let mut place = Place::Dataflow;
        loop {
            match xml.advance(!place.has_text() && !legacy.is_capturing())? {
                Event::Start(start) => {
                    legacy.start();
                    path.push(place);
                    place = place.child(start.namespace, start.local_name(), plain);
                    let fault = self.open(place, &start, plain, language, legacy).err();
                    match place {
                        Place::Markup => text.push(' '),
                        _ => text.clear(),
                    }
                    if let Some(fault) = fault {
                        return Err(xml.error(fault));
                    }
                }
                Event::Text(piece) if place.has_text() => {
                    legacy.text(piece);
                    text.push_str(piece);
                }
                Event::Text(piece) => legacy.text(piece),
                Event::Character(character) => {
                    legacy.character(character);
                    if place.has_text() {
                        text.push(character);
                    }
                }
                Event::End => {
                    legacy.end();
                    self.close(place, text, language, limits);
                    let Some(parent) = path.pop() else { break };
                    place = parent;
                }
                Event::Ignored | Event::Eof => {}
            }
            // One event is bounded by the input; here are many that make one text.
            if text.len() > limits.event_bytes {
                return Err(xml.error(Fault::EventTooLarge { limit: limits.event_bytes }));
            }
        }
        *annotations = self.flow.annotations.len();
        Ok(self.finish(legacy, diagnostics))
    }

    /// Takes what a start tag says.
    fn open(
        &mut self,
        place: Place,
        start: &Start<'_>,
        plain: bool,
        language: &mut String,
        legacy: &mut Legacy,
    ) -> Result<(), Fault> {
        let name = start.local_name();
        // The predecessor looked for names and descriptions at any depth.
        let in_schema = || match start.namespace {
            Namespace::Sdmx(..) => true,
            Namespace::None => plain,
            Namespace::Soap | Namespace::Foreign => false,
        };
        let is_name = name == "Name" && in_schema();
        if place.has_language() || is_name {
            language.clear();
            let tagged = start.attribute("xml:lang")?.filter(|tag| !tag.is_empty());
            let tagged = if plain && tagged.is_none() { start.attribute("lang")? } else { tagged };
            language.push_str(&tagged.unwrap_or_default());
        }
        if is_name {
            legacy.name(language, plain);
        } else if name == "Description" && in_schema() {
            legacy.description();
        }
        match place {
            Place::Annotation => {
                let id = start.attribute("id")?.unwrap_or_default().into_owned();
                self.flow.annotations.push(Annotation { id, ..Annotation::default() });
            }
            Place::StructureRef => {
                let structure = self.flow.structure.insert(StructureReference::default());
                for (name, value) in start.attributes() {
                    match name {
                        "id" => structure.id = trimmed(value)?,
                        "agencyID" => structure.agency_id = trimmed(value)?,
                        "version" => structure.version = trimmed(value)?,
                        _ => {}
                    }
                }
            }
            Place::KeyFamily => self.flow.structure = Some(StructureReference::default()),
            _ => {}
        }
        Ok(())
    }

    /// Takes the text of an element that ends.
    fn close(&mut self, place: Place, text: &mut String, language: &str, limits: &Limits) {
        match place {
            Place::Markup => return text.push(' '),
            Place::Annotation if !self.admit(0, limits) => drop(self.flow.annotations.pop()),
            _ if !place.has_text() => {}
            _ => {
                let (value, replaced) = normalised(text);
                if replaced {
                    self.odd.push((Reason::ControlCharacter, "a text holds control characters".to_owned()));
                }
                self.keep(place, value, language, limits);
            }
        }
        text.clear();
    }

    fn keep(&mut self, place: Place, value: String, language: &str, limits: &Limits) {
        if value.is_empty() || !self.admit(value.len(), limits) {
            return;
        }
        let localised = |text| -> Localised { (language.trim().to_owned(), text) };
        let annotation = self.flow.annotations.last_mut();
        let structure = self.flow.structure.as_mut();
        match (place, annotation, structure) {
            (Place::Name, ..) => self.flow.names.push(localised(value)),
            (Place::Description, ..) => self.flow.descriptions.push(localised(value)),
            (Place::AnnotationTitle, Some(annotation), _) => annotation.title = value,
            (Place::AnnotationType, Some(annotation), _) => annotation.kind = value,
            (Place::AnnotationUrl, Some(annotation), _) if annotation.url.is_empty() => {
                annotation.url = value
            }
            (Place::AnnotationText, Some(annotation), _) => annotation.texts.push(localised(value)),
            (Place::AnnotationValue, Some(annotation), _) => annotation.value = value,
            (Place::KeyFamilyId, _, Some(structure)) => structure.id = value,
            (Place::KeyFamilyAgency, _, Some(structure)) => structure.agency_id = value,
            (Place::KeyFamilyVersion, _, Some(structure)) => structure.version = value,
            (Place::StructureUrn | Place::Structure, ..) => self.refer(&value),
            _ => {}
        }
    }

    /// Takes a structure reference that is written as a URN.
    fn refer(&mut self, urn: &str) {
        match Urn::parse(urn) {
            Some(Urn { class: "DataStructure" | "KeyFamily", agency_id, id, version }) => {
                let [agency_id, id, version] = [agency_id, id, version].map(str::to_owned);
                self.flow.structure = Some(StructureReference { agency_id, id, version });
            }
            _ => {
                self.odd.push((Reason::InvalidStructureReference, format!("{urn:?} names no data structure")))
            }
        }
    }

    /// Whether one more part with so much text may be kept.
    fn admit(&mut self, bytes: usize, limits: &Limits) -> bool {
        let fits = self.parts < limits.dataflow_parts && self.bytes + bytes <= limits.dataflow_bytes;
        if fits {
            self.parts += 1;
            self.bytes += bytes;
        }
        self.cut |= !fits;
        fits
    }

    /// Settles the identity, fills in defaults, and tells what was odd.
    fn finish(mut self, legacy: &mut Legacy, diagnostics: &mut Diagnostics) -> Option<Dataflow> {
        let flow = &mut self.flow;
        if let Some(urn) = &flow.urn {
            match Urn::parse(urn) {
                Some(parsed) => {
                    let parts = [
                        (&mut flow.id, parsed.id),
                        (&mut flow.agency_id, parsed.agency_id),
                        (&mut flow.version, parsed.version),
                    ];
                    for (attribute, part) in parts.into_iter().filter(|(attribute, _)| attribute.is_empty()) {
                        attribute.push_str(part);
                    }
                }
                None => self.odd.push((Reason::InvalidUrn, format!("{urn:?} is no URN of SDMX"))),
            }
        }
        default_version(&mut flow.version);
        if let Some(structure) = &mut flow.structure {
            default_version(&mut structure.version);
            if structure.id.is_empty() {
                flow.structure = None;
                self.odd.push((Reason::InvalidStructureReference, "the data structure has no id".to_owned()));
            }
        }
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

fn empty() -> Dataflow {
    Dataflow {
        id: String::new(),
        agency_id: String::new(),
        version: String::new(),
        urn: None,
        names: Vec::new(),
        descriptions: Vec::new(),
        structure: None,
        is_final: None,
        external: None,
        valid_from: None,
        valid_to: None,
        annotations: Vec::new(),
        legacy: LegacyFields::default(),
        position: Position::START,
    }
}

fn default_version(version: &mut String) {
    if version.is_empty() {
        version.push_str(DEFAULT_VERSION);
    }
}

fn trimmed(value: RawValue<'_>) -> Result<String, Fault> {
    value.resolve().map(|value| value.trim().to_owned())
}

fn some(value: RawValue<'_>) -> Result<Option<String>, Fault> {
    trimmed(value).map(|value| Some(value).filter(|value| !value.is_empty()))
}

/// A flag of XML Schema; anything else is told and left out.
fn boolean(name: &str, value: RawValue<'_>, odd: &mut Vec<(Reason, String)>) -> Result<Option<bool>, Fault> {
    let value = value.resolve()?;
    Ok(match value.trim() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        other => {
            odd.push((Reason::InvalidBoolean, format!("{name} is {other:?}; expected true or false")));
            None
        }
    })
}
