//! Makes a dataflow, a scheme or a link of what was read.

use super::{Artefact, Buffers};
use crate::dataflow::Dataflow;
use crate::reader::categorisation::CategorisationReader;
use crate::reader::element::ElementContext;
use crate::reader::json::kind::Kind;
use crate::reader::{reference, tag};
use crate::themes::Reference;

impl Artefact<'_> {
    /// Interprets what was read.
    pub(super) fn finish(self) -> (Option<Kind>, Option<Box<Dataflow>>) {
        // Only dataflows have a data structure.
        let has_structure = self.builder.flow.structure.is_some();
        let kind = self.kind.or(has_structure.then_some(Kind::Dataflow));
        if kind == Some(Kind::Dataflow) {
            return (kind, self.finish_dataflow());
        }
        // The names of other artefacts are no names of the next dataflow.
        self.scratch.legacy.take("");
        let Self { position, builder, scheme, buffers, themes, limits, diagnostics, .. } = self;
        let Buffers { urn, source, target, valid_to, .. } = buffers;
        let Dataflow { id, agency_id, version, .. } = *builder.flow;
        match (kind, themes) {
            (Some(Kind::CategoryScheme), Some(themes)) => {
                let mut identity = Reference { agency_id, id, version };
                if identity.id.is_empty() {
                    reference::complete(&mut identity, urn);
                }
                let scheme =
                    scheme.or_else(|| themes.add_scheme(Reference::default(), position, limits, diagnostics));
                if let Some(scheme) = scheme {
                    themes.identify_scheme(scheme, identity, position, limits, diagnostics);
                }
            }
            (Some(Kind::Categorisation), Some(themes)) => {
                let reader = CategorisationReader::of_urns(&id, valid_to, [source, target]);
                reader.add(position, themes, limits, diagnostics);
            }
            _ => {}
        }
        (kind, None)
    }

    fn finish_dataflow(mut self) -> Option<Box<Dataflow>> {
        let best_matches = [ElementContext::Name, ElementContext::Description];
        for context in best_matches {
            let Dataflow { names, descriptions, .. } = &*self.builder.flow;
            let (texts, buffer) = match context {
                ElementContext::Name => (names, &mut self.buffers.name),
                _ => (descriptions, &mut self.buffers.description),
            };
            let text = std::mem::take(buffer);
            if texts.is_empty() && !text.is_empty() {
                self.language.clone_into(&mut self.scratch.language);
                self.add_text(context, &text);
            }
        }
        let Self { mut builder, is_external, external, buffers, scratch, diagnostics, .. } = self;
        builder.flow.external = is_external.then_some(external);
        tag::complete_identity(&mut builder.flow, &buffers.urn, &mut builder.issues);
        builder.finish(&mut scratch.legacy, diagnostics)
    }
}
