//! Reads one category scheme: its categories at any depth, and the dataflows that SDMX 2.0 lists inside them.

use std::io::Read;

use super::flow::LANGUAGE_BYTES;
use super::reference::{self, ID_BYTES};
use crate::diagnostic::{Diagnostics, Reason};
use crate::error::{Fault, ParseError, Position};
use crate::limits::Limits;
use crate::namespace::Namespace;
use crate::text::normalized;
use crate::themes::{Link, Reference, Target, Themes};
use crate::urn::Urn;
use crate::xml::{Event, Start, Xml};

/// The role of an open element within its scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    Scheme,
    Category,
    /// The name of a category.
    Name,
    /// An element inside a name, usually HTML.
    Markup,
    /// A category may state the one around it, as codes do.
    Parent,
    ParentRef,
    /// `DataflowRef` of SDMX 2.0.
    Dataflow,
    DataflowUrn,
    DataflowAgency,
    DataflowId,
    DataflowVersion,
    Ignored,
}

/// A scheme that is being read.
struct SchemeReader<'a> {
    themes: &'a mut Themes,
    limits: &'a Limits,
    diagnostics: &'a mut Diagnostics,
    plain: bool,
    scheme: usize,
    /// The open categories; `None` for one that was skipped, with all inside it.
    open: Vec<Option<usize>>,
    /// Categories that state their parent, with its id.
    parents: Vec<(usize, String)>,
    language: String,
    /// The dataflow of the open `DataflowRef`, and where it begins.
    dataflow: (Reference, Position),
}

/// Reads up to the end of the scheme whose start tag, with this identity, was read last.
pub(super) fn read<R: Read>(
    xml: &mut Xml<R>,
    identity: Reference,
    plain: bool,
    themes: &mut Themes,
    limits: &Limits,
    diagnostics: &mut Diagnostics,
) -> Result<(), ParseError> {
    let position = xml.position();
    let Some(scheme) = themes.add_scheme(identity, position, limits, diagnostics) else { return Ok(()) };
    let before = themes.categories();
    let mut reader = SchemeReader {
        themes,
        limits,
        diagnostics,
        plain,
        scheme,
        open: Vec::new(),
        parents: Vec::new(),
        language: String::new(),
        dataflow: (Reference::default(), position),
    };
    reader.read(xml)?;
    let SchemeReader { themes, parents, diagnostics, .. } = reader;
    themes.set_parents(before, parents, diagnostics);
    Ok(())
}

// === impl SchemeReader ===

impl SchemeReader<'_> {
    fn read<R: Read>(&mut self, xml: &mut Xml<R>) -> Result<(), ParseError> {
        let (mut context, mut around, mut text) = (Context::Scheme, Vec::new(), String::new());
        loop {
            match xml.advance(!context.has_text())? {
                Event::Start(start) => {
                    around.push(context);
                    context = context.child(start.namespace, start.local_name(), self.plain);
                    match context {
                        Context::Markup => text.push(' '),
                        _ => text.clear(),
                    }
                    let opened = self.open(context, &start);
                    let opened = opened.map_err(|fault| xml.error(fault))?;
                    if let Some(id) = opened {
                        self.open_category(id, xml.position());
                    } else if context == Context::Dataflow {
                        self.dataflow.1 = xml.position();
                    }
                }
                Event::Text(piece) if context.has_text() => text.push_str(piece),
                Event::Character(character) if context.has_text() => text.push(character),
                Event::End => {
                    self.close(context, &mut text);
                    let Some(parent) = around.pop() else { return Ok(()) };
                    context = parent;
                }
                _ => {}
            }
            if text.len() > self.limits.event_bytes {
                return Err(xml.error(Fault::EventTooLarge { limit: self.limits.event_bytes }));
            }
        }
    }

    /// Handles a start tag. Returns the id of a category.
    fn open(&mut self, context: Context, start: &Start<'_>) -> Result<Option<String>, Fault> {
        match context {
            Context::Category => {
                let id = reference::attribute(start, "id")?;
                let urn = if id.is_empty() { reference::attribute(start, "urn")? } else { String::new() };
                let item = Urn::parse(&urn).and_then(|urn| urn.item.rsplit('.').next());
                return Ok(Some(item.map_or(id, str::to_owned)));
            }
            Context::Name => {
                self.language.clear();
                let tagged = start.attribute("xml:lang")?.filter(|tag| !tag.is_empty());
                let tagged = if self.plain && tagged.is_none() { start.attribute("lang")? } else { tagged };
                let tagged = tagged.unwrap_or_default();
                let language = tagged.trim_ascii();
                if language.len() <= LANGUAGE_BYTES {
                    self.language.push_str(language);
                }
            }
            Context::ParentRef => {
                let id = reference::attribute(start, "id")?;
                self.set_parent(&id);
            }
            Context::Dataflow => self.dataflow.0 = Reference::default(),
            _ => {}
        }
        Ok(None)
    }

    fn open_category(&mut self, id: String, position: Position) {
        let parent = match self.open.last() {
            Some(None) => return self.open.push(None),
            around => around.copied().flatten(),
        };
        if id.is_empty() || id.len() > ID_BYTES {
            self.diagnostics.add(Reason::InvalidCategory, position, || {
                let length = id.len();
                format!("a category has an id of {length} bytes and was skipped; expected 1 to {ID_BYTES}")
            });
            return self.open.push(None);
        }
        if self.themes.is_within(parent, &id) {
            self.diagnostics
                .add(Reason::CategoryCycle, position, || format!("category {id} is inside one with its id"));
        }
        let place = (self.scheme, parent);
        self.open.push(self.themes.add_category(place, id, position, self.limits, self.diagnostics));
    }

    /// Handles an end tag, with the text of the element.
    fn close(&mut self, context: Context, text: &mut String) {
        let category = self.open.last().copied().flatten();
        let dataflow = &mut self.dataflow.0;
        match context {
            Context::Markup => return text.push(' '),
            Context::Category => drop(self.open.pop()),
            Context::Name => {
                let (name, _) = normalized(text);
                if let Some(category) = category.filter(|_| !name.is_empty()) {
                    let name = (std::mem::take(&mut self.language), name.into_owned());
                    self.themes.add_name(category, name, self.limits, self.diagnostics);
                }
            }
            Context::Parent => {
                let id = Urn::parse(text).map_or(text.trim_ascii(), |urn| urn.item).to_owned();
                self.set_parent(&id);
            }
            Context::DataflowUrn => reference::complete(dataflow, text),
            Context::DataflowAgency => text.trim_ascii().clone_into(&mut dataflow.agency_id),
            Context::DataflowId => text.trim_ascii().clone_into(&mut dataflow.id),
            Context::DataflowVersion => text.trim_ascii().clone_into(&mut dataflow.version),
            Context::Dataflow => self.add_dataflow(),
            _ => {}
        }
        text.clear();
    }

    /// Notes the parent that the open category states.
    fn set_parent(&mut self, id: &str) {
        let Some(category) = self.open.last().copied().flatten().filter(|_| !id.is_empty()) else { return };
        if self.parents.last().is_none_or(|(known, _)| *known != category) {
            let id = id.rsplit('.').next().unwrap_or_default();
            self.parents.push((category, id.to_owned()));
        }
    }

    /// Adds the link from the dataflow of a `DataflowRef` to the open category.
    fn add_dataflow(&mut self) {
        let (source, position) = (std::mem::take(&mut self.dataflow.0), self.dataflow.1);
        let Some(category) = self.open.last().copied().flatten() else { return };
        if source.id.is_empty() {
            let category = self.themes.id(category);
            return self.diagnostics.add(Reason::InvalidCategorisation, position, || {
                format!("category {category} refers to a dataflow without an id; the reference was skipped")
            });
        }
        let link =
            Link { source, target: Target::Category(category), ends: None, deprecated: false, position };
        self.themes.add_link(link, self.limits, self.diagnostics);
    }
}

// === impl Context ===

impl Context {
    fn child(self, namespace: Namespace, name: &str, plain: bool) -> Self {
        if matches!(self, Self::Name | Self::Markup) {
            return Self::Markup;
        }
        let known = match namespace {
            Namespace::Sdmx(..) => true,
            // `Ref` is in no namespace in SDMX 2.1.
            Namespace::None => plain || self == Self::Parent,
            Namespace::Soap | Namespace::Foreign => false,
        };
        match (self, name) {
            _ if !known => Self::Ignored,
            (Self::Scheme | Self::Category, "Category") => Self::Category,
            (Self::Category, "Name") => Self::Name,
            (Self::Category, "Parent") => Self::Parent,
            (Self::Parent, "Ref") => Self::ParentRef,
            (Self::Category, "DataflowRef") => Self::Dataflow,
            (Self::Dataflow, "URN") => Self::DataflowUrn,
            (Self::Dataflow, "AgencyID") => Self::DataflowAgency,
            (Self::Dataflow, "DataflowID") => Self::DataflowId,
            (Self::Dataflow, "Version") => Self::DataflowVersion,
            _ => Self::Ignored,
        }
    }

    fn has_text(self) -> bool {
        !matches!(self, Self::Scheme | Self::Category | Self::ParentRef | Self::Dataflow | Self::Ignored)
    }
}
