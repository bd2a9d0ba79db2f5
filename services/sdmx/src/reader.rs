//! Reads a structure message, in SDMX-ML or SDMX-JSON, as a stream of dataflows. Keeps one dataflow in memory at a time,
//! independent of the size of the catalogue.

use std::hash::{BuildHasher, RandomState};
use std::io::Read;

use fnv::FnvHashSet;

use super::annotations::timestamp;
use super::dataflow::Dataflow;
use super::diagnostic::{Diagnostics, Reason};
use super::error::{Fault, ParseError, Position};
use super::footer;
use super::limits::Limits;
use super::namespace::Namespace;
use super::sniff::Root;
use super::structures::Structures;
use super::themes::Themes;
use super::xml::{Event, Xml};

mod absence;
mod annotation;
mod categorisation;
mod codelist;
mod constraint;
mod data_structure;
mod element;
mod flow;
mod header;
mod inline;
mod json;
mod languages;
mod legacy;
mod reference;
mod root;
mod scheme;
mod structures;
mod tag;
mod themes;
mod walk;

use categorisation::CategorisationReader;
use flow::{DataflowBuilder, Scratch};
pub use header::Header;
use json::Message;
use structures::Opened;

/// Reads the dataflows of a structure message one by one, in document order.
#[derive(Debug)]
pub struct StructureReader<R: Read> {
    xml: Xml<R>,
    /// The document, if it is JSON; `xml` is empty then.
    json: Option<Message<R>>,
    limits: Limits,
    header: Header,
    root: Option<Root>,
    /// No element so far has an SDMX namespace, so dataflows may be anywhere.
    plain: bool,
    /// The open container: its depth, and the name of the elements that count in it.
    container: Option<(usize, &'static str)>,
    dataflows: u64,
    /// Whether there was a definition, valid or not.
    has_definitions: bool,
    /// `Dataflow` elements that refer to one.
    references: u64,
    key_families: u64,
    first_key_family: Position,
    root_position: Position,
    /// Hashes of the identities so far, not the identities: with a full set, one false positive in 2^32. They are
    /// keyed, so that hashing them once more needs no key.
    identities: FnvHashSet<u64>,
    hasher: RandomState,
    /// `None` if themes are not collected.
    themes: Option<Themes>,
    /// The number of links of the documents before this one.
    links_before: usize,
    /// `None` if structures are not collected.
    structures: Option<Structures>,
    /// Whether this document has any themes or structures.
    has_artefacts: bool,
    diagnostics: Diagnostics,
    /// Diagnostics of the documents before this one.
    diagnosed_before: u64,
    scratch: Scratch,
    has_ended: bool,
}

impl<R: Read> StructureReader<R> {
    /// A reader over `read`, from which nothing has been read yet.
    pub fn new(read: R, limits: Limits) -> Self {
        Self {
            xml: Xml::new(read, &limits),
            json: None,
            header: Header::default(),
            root: None,
            plain: false,
            container: None,
            dataflows: 0,
            has_definitions: false,
            references: 0,
            key_families: 0,
            first_key_family: Position::START,
            root_position: Position::START,
            identities: FnvHashSet::default(),
            hasher: RandomState::new(),
            themes: None,
            links_before: 0,
            structures: None,
            has_artefacts: false,
            diagnostics: Diagnostics::new(limits.diagnostics),
            diagnosed_before: 0,
            scratch: Scratch::default(),
            has_ended: false,
            limits,
        }
    }

    /// Keeps every annotation, not only what [`Dataflow::facts`] contains.
    #[must_use]
    pub fn with_annotations(mut self) -> Self {
        self.scratch.keep_annotations = true;
        self
    }

    /// Leaves [`Dataflow::legacy`] empty, for callers that do not need the predecessor's texts.
    #[must_use]
    pub fn without_legacy(mut self) -> Self {
        self.scratch.legacy.disabled = true;
        self
    }

    /// Adds the categories and categorisations of the document to those of the documents before it.
    #[must_use]
    pub fn with_themes(mut self, themes: Themes) -> Self {
        self.links_before = themes.links();
        self.themes = Some(themes);
        self.scratch.categories.enabled = true;
        self
    }

    /// Reads the document with this number among several, and adds its diagnostics to those of the documents before it.
    #[must_use]
    pub fn following(mut self, document: u32, diagnostics: Diagnostics) -> Self {
        self.xml.set_document(document);
        self.diagnosed_before = diagnostics.total();
        self.diagnostics = diagnostics;
        self
    }

    /// The next dataflow; `None` from the end of the document on. Do not call it again after an error.
    pub fn next_dataflow(&mut self) -> Result<Option<Box<Dataflow>>, ParseError> {
        if self.has_ended {
            return Ok(None);
        }
        if self.root.is_none() {
            self.begin()?;
        }
        let next = if self.json.is_some() { self.next_in_json() } else { self.next_in_xml() }?;
        self.has_ended = next.is_none();
        Ok(next)
    }

    fn next_in_xml(&mut self) -> Result<Option<Box<Dataflow>>, ParseError> {
        loop {
            let start = match self.xml.next_tag()? {
                Event::Start(start) => start,
                Event::End => {
                    self.leave();
                    continue;
                }
                Event::Eof => return self.end().map(|()| None),
                Event::Text(_) | Event::Character(_) | Event::Ignored => continue,
            };
            let in_sdmx = matches!(start.namespace, Namespace::Sdmx(..));
            self.plain &= !in_sdmx;
            let (depth, name) = (start.depth, start.local_name());
            let known = in_sdmx || (self.plain && start.namespace == Namespace::None);
            // Without namespaces the root itself may be the container, whatever its name.
            let counts = known && (self.container == Some((depth - 1, name)) || (self.plain && depth == 2));
            match name {
                "Dataflow" if counts => {
                    self.has_definitions = true;
                    let builder = DataflowBuilder::new(&start).map_err(|fault| self.xml.error(fault))?;
                    if let Some(flow) = self.read(builder)? {
                        return Ok(Some(flow));
                    }
                }
                "CategoryScheme" if counts && self.themes.is_some() => {
                    let identity = reference::identity(&start).map_err(|fault| self.xml.error(fault))?;
                    self.read_scheme(identity)?;
                }
                "Categorisation" if counts && self.themes.is_some() => {
                    let reader = CategorisationReader::new(&start).map_err(|fault| self.xml.error(fault))?;
                    self.read_categorisation(reader)?;
                }
                _ if structures::begins(name, known, counts) => {
                    let is_key_family = name == "KeyFamily";
                    let opened = Opened::new(&start).map_err(|fault| self.xml.error(fault))?;
                    if is_key_family {
                        self.count_key_family();
                    }
                    self.read_structure(opened)?;
                }
                "Dataflow" if known => self.references += 1,
                "Header" if depth == 2 => self.header.read(&mut self.xml)?,
                "Footer" if depth == 2 => footer::read(&mut self.xml, &mut self.diagnostics)?,
                "KeyFamily" if known => self.count_key_family(),
                _ if known => {
                    if let Some(item) = structures::item_of(name) {
                        self.container = Some((depth, item));
                    }
                }
                _ => {}
            }
        }
    }

    /// The header of the message; complete once the first dataflow, or the end, has been read.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The diagnostics so far.
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }

    /// The diagnostics, after the document was read.
    pub fn into_diagnostics(self) -> Diagnostics {
        self.diagnostics
    }

    /// The diagnostics and the themes, after the document was read.
    pub fn into_parts(self) -> (Diagnostics, Themes) {
        (self.diagnostics, self.themes.unwrap_or_default())
    }

    /// Progress of the parser: the start of the last event.
    pub fn position(&mut self) -> Position {
        self.json.as_mut().map_or_else(|| self.xml.position(), Message::position)
    }

    fn leave(&mut self) {
        if self.container.is_some_and(|(container, _)| self.xml.depth() < container) {
            self.container = None;
        }
    }

    fn read(&mut self, builder: DataflowBuilder) -> Result<Option<Box<Dataflow>>, ParseError> {
        let Self { xml, scratch, plain, limits, diagnostics, .. } = self;
        let flow = builder.read(xml, scratch, *plain, limits, diagnostics)?;
        if let Some(flow) = &flow {
            self.count(flow).map_err(|fault| self.xml.error(fault))?;
            self.add_inline_links(flow);
        }
        self.scratch.categories.found.clear();
        Ok(flow)
    }

    /// Counts a dataflow.
    fn count(&mut self, flow: &Dataflow) -> Result<(), Fault> {
        self.dataflows += 1;
        if self.dataflows > self.limits.dataflows as u64 {
            return Err(Fault::TooManyDataflows { limit: self.limits.dataflows });
        }
        self.check_duplicate(flow);
        Ok(())
    }

    /// Reports a dataflow whose identity occurred before.
    fn check_duplicate(&mut self, flow: &Dataflow) {
        // As one text, which is hashed faster than three. No text has the byte between them.
        let identity = &mut self.scratch.identity;
        identity.clear();
        for part in [&flow.agency_id, &flow.id, &flow.version] {
            identity.extend_from_slice(part.as_bytes());
            identity.push(u8::MAX);
        }
        let identity = self.hasher.hash_one(identity.as_slice());
        let known = if self.identities.len() < self.limits.identities {
            !self.identities.insert(identity)
        } else {
            self.identities.contains(&identity)
        };
        if known {
            let Dataflow { agency_id, id, version, position, .. } = flow;
            self.diagnostics.add(Reason::DuplicateDataflow, *position, || {
                format!("dataflow {agency_id}:{id}({version}) is a duplicate; both are kept")
            });
        }
    }

    /// Checks at the end of the document.
    fn end(&mut self) -> Result<(), ParseError> {
        if self.root == Some(Root::Unknown)
            && self.plain
            && self.dataflows == 0
            && !self.has_artefacts
            && self.diagnostics.total() == self.diagnosed_before
        {
            let found = "XML without an SDMX namespace and without dataflows".to_owned();
            return Err(ParseError { fault: Fault::NotStructure { found }, position: self.root_position });
        }
        if let Some(themes) = &mut self.themes {
            themes.end_links(self.links_before, timestamp(&self.header.prepared), &mut self.diagnostics);
        }
        let position = self.root_position;
        if position.document > 0 && self.themes.is_some() && !self.has_artefacts {
            self.diagnostics.add(Reason::DocumentUnused, position, || {
                "the document has neither themes, data structures nor constraints, and was not used"
                    .to_owned()
            });
        }
        if let Some((encoding, position)) = self.xml.mislabeled() {
            self.diagnostics.add(Reason::EncodingMislabeled, position, || {
                format!(
                    "the document is {encoding} and declares a part of ISO 8859; it was read as {encoding}"
                )
            });
        }
        self.report_absence();
        Ok(())
    }
}
