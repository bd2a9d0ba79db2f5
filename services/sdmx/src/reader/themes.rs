//! Reads what links dataflows to themes: category schemes, categorisations, and the links inside a dataflow.

use std::io::Read;

use super::StructureReader;
use super::categorisation::CategorisationReader;
use super::scheme;
use crate::dataflow::Dataflow;
use crate::error::ParseError;
use crate::themes::{Link, Reference, Target};

// === impl StructureReader ===

impl<R: Read> StructureReader<R> {
    pub(super) fn read_scheme(&mut self, identity: Reference) -> Result<(), ParseError> {
        self.has_artefacts = true;
        let Self { xml, plain, themes, limits, diagnostics, .. } = self;
        let Some(themes) = themes else { return Ok(()) };
        scheme::read(xml, identity, *plain, themes, limits, diagnostics)
    }

    pub(super) fn read_categorisation(&mut self, reader: CategorisationReader) -> Result<(), ParseError> {
        self.has_artefacts = true;
        let Self { xml, plain, themes, limits, diagnostics, .. } = self;
        let Some(themes) = themes else { return Ok(()) };
        reader.read(xml, *plain, themes, limits, diagnostics)
    }

    /// Adds the links that the dataflow itself states.
    pub(super) fn add_inline_links(&mut self, flow: &Dataflow) {
        let Some(themes) = &mut self.themes else { return };
        for (scheme, path) in self.scratch.categories.found.drain(..) {
            self.has_artefacts = true;
            let [agency_id, id, version] = [&flow.agency_id, &flow.id, &flow.version].map(String::clone);
            let source = Reference { agency_id, id, version };
            let target = Target::Path { scheme, path };
            let link = Link { source, target, ends: None, deprecated: false, position: flow.position };
            themes.add_link(link, &self.limits, &mut self.diagnostics);
        }
    }
}
