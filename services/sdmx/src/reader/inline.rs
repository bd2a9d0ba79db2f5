//! The categories that SDMX 2.0 names inside a dataflow, as `CategoryRef`.

use super::element::ElementContext;
use super::reference;
use crate::themes::Reference;
use crate::urn::Urn;

/// The references of one dataflow.
#[derive(Debug, Default)]
pub(super) struct InlineCategories {
    /// Set if the caller needs them.
    pub(super) enabled: bool,
    /// Each a scheme, and the dotted path of a category.
    pub(super) found: Vec<(Reference, String)>,
    scheme: Reference,
    path: String,
}

// === impl InlineCategories ===

impl InlineCategories {
    /// A `CategoryRef` starts.
    pub(super) fn start(&mut self) {
        (self.scheme, self.path) = Default::default();
    }

    /// An element inside it ends, with this text.
    pub(super) fn text(&mut self, context: ElementContext, text: &str) {
        let text = text.trim_ascii();
        match context {
            ElementContext::CategoryUrn => {
                reference::complete(&mut self.scheme, text);
                if let Some(Urn { item, .. }) = Urn::parse(text) {
                    self.path = item.replace(':', ".");
                }
            }
            ElementContext::CategorySchemeAgency => text.clone_into(&mut self.scheme.agency_id),
            ElementContext::CategorySchemeId => text.clone_into(&mut self.scheme.id),
            ElementContext::CategorySchemeVersion => text.clone_into(&mut self.scheme.version),
            // From the outermost category to the innermost, each inside the one before.
            ElementContext::CategoryId if !text.is_empty() => {
                if !self.path.is_empty() {
                    self.path.push('.');
                }
                self.path.push_str(text);
            }
            _ => {}
        }
    }

    /// It ends. Returns the bytes of the reference; `None` if it names no category.
    pub(super) fn end(&self) -> Option<usize> {
        let Self { scheme, path, .. } = self;
        let is_complete = !scheme.id.is_empty() && !path.is_empty();
        is_complete.then(|| scheme.bytes() + path.len())
    }

    /// Keeps the reference that ended last.
    pub(super) fn keep(&mut self) {
        self.found.push((std::mem::take(&mut self.scheme), std::mem::take(&mut self.path)));
    }
}
