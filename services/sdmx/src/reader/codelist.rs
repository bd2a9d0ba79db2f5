//! Counts the codes of a code list.

use super::walk::Walk;
use crate::error::Fault;
use crate::limits::Limits;
use crate::namespace::Namespace;
use crate::reference::Reference;
use crate::structures::Structures;
use crate::xml::Start;

/// The role of an open element within a code list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    Codelist,
    Code,
    Ignored,
}

/// A code list that is being read.
#[derive(Debug)]
pub(super) struct CodelistReader {
    plain: bool,
    codes: u64,
}

// === impl CodelistReader ===

impl CodelistReader {
    pub(super) fn new(plain: bool) -> Self {
        Self { plain, codes: 0 }
    }

    /// The number of codes.
    pub(super) fn codes(&self) -> u64 {
        self.codes
    }
}

/// Keeps the number of codes of a list, unless it is a stub. Returns false above the limits.
pub(super) fn keep(identity: Reference, codes: u64, structures: &mut Structures, limits: &Limits) -> bool {
    if codes == 0 || identity.id.is_empty() {
        return true;
    }
    let fits = structures.reserve_artefact(&identity, limits);
    if fits {
        structures.add_codelist(identity, codes);
    }
    fits
}

impl Walk for CodelistReader {
    type Context = Context;

    const ROOT: Context = Context::Codelist;

    fn child(&self, context: Context, namespace: Namespace, name: &str) -> Context {
        let known = matches!(namespace, Namespace::Sdmx(..)) || (self.plain && namespace == Namespace::None);
        match (context, name) {
            (
                Context::Codelist | Context::Code,
                "Code" | "ValueItem" | "GeoFeatureSetCode" | "GeoGridCode",
            ) if known => Context::Code,
            _ => Context::Ignored,
        }
    }

    fn has_text(_: Context) -> bool {
        false
    }

    fn open(&mut self, context: Context, _: &Start<'_>) -> Result<(), Fault> {
        self.codes += u64::from(context == Context::Code);
        Ok(())
    }

    fn close(&mut self, _: Context, _: &str) {}
}
