//! Schemes and categories whose identity is written after their content, as the members of a JSON object may be.

use super::{Category, Reference, Themes};
use crate::diagnostic::{Diagnostics, Reason};
use crate::error::Position;
use crate::limits::Limits;

/// A state to return to, if it turns out that what follows is not used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    categories: usize,
    bytes: usize,
}

// === impl Themes ===

impl Themes {
    /// The categories so far.
    pub(crate) fn mark(&self) -> Mark {
        Mark { categories: self.categories.len(), bytes: self.held.bytes() }
    }

    /// Drops the categories since then.
    pub(crate) fn return_to(&mut self, mark: Mark) {
        self.categories.truncate(mark.categories);
        self.held.return_to(mark.bytes);
    }

    /// Sets the identity of a scheme that was added without one, at this position.
    pub(crate) fn identify_scheme(
        &mut self,
        scheme: usize,
        identity: Reference,
        position: Position,
        limits: &Limits,
        diagnostics: &mut Diagnostics,
    ) {
        if self.reserve(identity.bytes(), limits) {
            self.schemes[scheme].identity = identity;
        } else {
            self.cut_categories(position, limits, diagnostics);
        }
    }

    /// Sets the id of a category that was added without one. Returns whether there was room.
    pub(crate) fn identify_category(
        &mut self,
        category: usize,
        id: &str,
        limits: &Limits,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        let fits = self.reserve(id.len(), limits);
        if fits {
            id.clone_into(&mut self.categories[category].id);
        } else {
            self.cut_categories(self.categories[category].position, limits, diagnostics);
        }
        fits
    }

    /// Reports the categories after the first `before` that are inside one with their id.
    pub(crate) fn report_cycles(&self, before: usize, diagnostics: &mut Diagnostics) {
        for Category { parent, id, position, .. } in &self.categories[before..] {
            if self.is_within(*parent, id) {
                diagnostics.add(Reason::CategoryCycle, *position, || {
                    format!("category {id} is inside one with its id")
                });
            }
        }
    }
}
