//! Reads one categorisation: a link from a dataflow to a category.

use std::io::Read;

use super::reference;
use crate::annotations::timestamp;
use crate::diagnostic::{Diagnostics, Reason};
use crate::error::{Fault, ParseError, Position};
use crate::limits::Limits;
use crate::namespace::Namespace;
use crate::themes::{Link, Reference, Target, Themes};
use crate::urn::Urn;
use crate::xml::{Event, Start, Xml};

/// The role of an open element within its categorisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    Categorisation,
    /// An end contains a `Ref` or `URN` in SDMX 2.1, and is the URN as text in 3.x.
    Source,
    Target,
    SourceRef,
    TargetRef,
    SourceUrn,
    TargetUrn,
    Ignored,
}

/// A categorisation that is being read.
#[derive(Debug, Default)]
pub(super) struct CategorisationReader {
    id: String,
    valid_to: String,
    /// The class of the source, and its identity.
    source: Option<(String, Reference)>,
    /// The scheme, and the path of the category.
    target: Option<(Reference, String)>,
}

// === impl CategorisationReader ===

impl CategorisationReader {
    /// A categorisation with the data of its start tag.
    pub(super) fn new(start: &Start<'_>) -> Result<Self, Fault> {
        let [id, valid_to] = ["id", "validTo"].map(|name| reference::attribute(start, name));
        Ok(Self { id: id?, valid_to: valid_to?, ..Self::default() })
    }

    /// A categorisation as SDMX-JSON writes it: both ends are URNs.
    pub(super) fn of_urns(id: &str, valid_to: &str, [source, target]: [&str; 2]) -> Self {
        let [id, valid_to] = [id, valid_to].map(|text| text.trim_ascii().to_owned());
        let mut reader = Self { id, valid_to, ..Self::default() };
        reader.close(Context::Source, source);
        reader.close(Context::Target, target);
        reader
    }

    /// Reads up to the end of the element, and adds the link if it is one of a dataflow.
    pub(super) fn read<R: Read>(
        mut self,
        xml: &mut Xml<R>,
        plain: bool,
        themes: &mut Themes,
        limits: &Limits,
        diagnostics: &mut Diagnostics,
    ) -> Result<(), ParseError> {
        let position = xml.position();
        let (mut context, mut around, mut text) = (Context::Categorisation, Vec::new(), String::new());
        loop {
            match xml.advance(!context.has_text())? {
                Event::Start(start) => {
                    around.push(context);
                    context = context.child(start.namespace, start.local_name(), plain);
                    text.clear();
                    let opened = self.open(context, &start);
                    opened.map_err(|fault| xml.error(fault))?;
                }
                Event::Text(piece) if context.has_text() => text.push_str(piece),
                Event::Character(character) if context.has_text() => text.push(character),
                Event::End => {
                    self.close(context, text.trim_ascii());
                    text.clear();
                    let Some(parent) = around.pop() else { break };
                    context = parent;
                }
                _ => {}
            }
            if text.len() > limits.event_bytes {
                return Err(xml.error(Fault::EventTooLarge { limit: limits.event_bytes }));
            }
        }
        self.add(position, themes, limits, diagnostics);
        Ok(())
    }

    /// Adds the link if it is one of a dataflow.
    pub(super) fn add(
        self,
        position: Position,
        themes: &mut Themes,
        limits: &Limits,
        diagnostics: &mut Diagnostics,
    ) {
        let Self { id, valid_to, source, target } = self;
        let mut report = |message: &str| {
            diagnostics
                .add(Reason::InvalidCategorisation, position, || format!("categorisation {id}: {message}"));
        };
        let (source, (scheme, path)) = match (source, target) {
            // Other artefacts have themes too.
            (Some((class, _)), _) if !matches!(class.as_str(), "" | "Dataflow") => return,
            (Some((_, source)), Some(target)) => (source, target),
            (source, _) => {
                let end = if source.is_none() { "source" } else { "target" };
                report(&format!("it has no valid {end}, and was skipped; expected a Ref or a URN"));
                return;
            }
        };
        let ends = timestamp(&valid_to);
        if ends.is_none() && !valid_to.is_empty() {
            report(&format!("validTo is {valid_to:?}, which is no time; it counts as valid"));
        }
        let target = Target::Path { scheme, path };
        themes.add_link(Link { source, target, ends, deprecated: false, position }, limits, diagnostics);
    }

    /// Handles a start tag.
    fn open(&mut self, context: Context, start: &Start<'_>) -> Result<(), Fault> {
        match context {
            Context::SourceRef => {
                let source = reference::identity(start)?;
                let class = reference::attribute(start, "class")?;
                self.source = Some((class, source)).filter(|(_, source)| !source.id.is_empty());
            }
            Context::TargetRef => {
                let names = ["agencyID", "maintainableParentID", "maintainableParentVersion", "id"];
                let [agency_id, id, version, path] = names.map(|name| reference::attribute(start, name));
                let scheme = Reference { agency_id: agency_id?, id: id?, version: version? };
                self.target = Some((scheme, path?));
                self.target.take_if(|(scheme, path)| scheme.id.is_empty() || path.is_empty());
            }
            _ => {}
        }
        Ok(())
    }

    /// Handles an end tag, with the text of the element.
    fn close(&mut self, context: Context, text: &str) {
        let Some(Urn { class, agency_id, id, version, item }) = Urn::parse(text) else { return };
        let reference = || {
            let [agency_id, id, version] = [agency_id, id, version].map(str::to_owned);
            Reference { agency_id, id, version }
        };
        match context {
            Context::Source | Context::SourceUrn => self.source = Some((class.to_owned(), reference())),
            Context::Target | Context::TargetUrn if !item.is_empty() => {
                self.target = Some((reference(), item.replace(':', ".")));
            }
            _ => {}
        }
    }
}

// === impl Context ===

impl Context {
    fn child(self, namespace: Namespace, name: &str, plain: bool) -> Self {
        let known = match namespace {
            Namespace::Sdmx(..) => true,
            // `Ref` and `URN` are in no namespace in SDMX 2.1.
            Namespace::None => plain || matches!(self, Self::Source | Self::Target),
            Namespace::Soap | Namespace::Foreign => false,
        };
        match (self, name) {
            _ if !known => Self::Ignored,
            (Self::Categorisation, "Source") => Self::Source,
            (Self::Categorisation, "Target") => Self::Target,
            (Self::Source, "Ref") => Self::SourceRef,
            (Self::Source, "URN") => Self::SourceUrn,
            (Self::Target, "Ref") => Self::TargetRef,
            (Self::Target, "URN") => Self::TargetUrn,
            _ => Self::Ignored,
        }
    }

    fn has_text(self) -> bool {
        matches!(self, Self::Source | Self::Target | Self::SourceUrn | Self::TargetUrn)
    }
}
