//! The themes of a provider: its categories, and the links (categorisations) that assign dataflows to them.
//!
//! Links usually follow the dataflows in a document, and categories may follow the links or be in another document, so
//! both wait here until all documents have been read. `Limits::categories`, `Limits::categorisations` and
//! `Limits::theme_bytes` bound that memory: the excess is dropped and reported. Then [`Themes::resolve`] follows the
//! links.

use std::collections::HashMap;

use super::dataflow::Localized;
use super::diagnostic::{Diagnostics, Reason};
use super::error::Position;
use super::facts::Timestamp;
use super::held::{Held, Room};
use super::limits::Limits;
pub(crate) use super::reference::Reference;

mod provisional;
mod resolve;

pub(crate) use provisional::Mark;
pub use resolve::{Resolved, Theme, ThemeLink, ThemePart};

/// The categories and links of all documents that were read. Filled by a reader, see
/// [`StructureReader::with_themes`](crate::StructureReader::with_themes).
#[derive(Debug, Default)]
pub struct Themes {
    schemes: Vec<Scheme>,
    categories: Vec<Category>,
    links: Vec<Link>,
    held: Held,
    /// Whether the excess was reported already.
    categories_cut: bool,
    links_cut: bool,
}

/// A category scheme.
#[derive(Debug)]
struct Scheme {
    identity: Reference,
}

/// A category, after the one that it is in.
#[derive(Debug)]
pub(crate) struct Category {
    /// Index of its scheme.
    scheme: usize,
    /// Index of the category around it.
    parent: Option<usize>,
    id: String,
    names: Vec<Localized>,
    position: Position,
}

/// A categorisation.
#[derive(Debug)]
pub(crate) struct Link {
    /// The dataflow.
    pub(crate) source: Reference,
    pub(crate) target: Target,
    /// When the provider ends it. The time of the document, which may be written after it, tells whether it has ended.
    pub(crate) ends: Option<Timestamp>,
    /// Whether it has.
    pub(crate) deprecated: bool,
    pub(crate) position: Position,
}

/// What a link leads to.
#[derive(Debug)]
pub(crate) enum Target {
    /// A category that was read: the link is written inside it.
    Category(usize),
    /// The category of a scheme at a dotted path, or with an id.
    Path { scheme: Reference, path: String },
}

/// More categories around one another than any scheme has: a longer way up is a cycle.
const DEEPEST: usize = 256;

/// Memory of a scheme, a category or a name beside its text: the structure itself, and the overhead of allocations.
const OVERHEAD: usize = 200;

/// The same of a link, which has more texts, and is resolved and grouped later.
const LINK_OVERHEAD: usize = 400;

// === impl Themes ===

impl Themes {
    /// None yet; the memory for them comes from `room`.
    #[must_use]
    pub fn within(room: Room) -> Self {
        Self { held: Held::within(room), ..Self::default() }
    }

    /// Whether no document had any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.schemes.is_empty() && self.links.is_empty()
    }

    /// Adds a scheme, and returns its index; `None` above the limit.
    pub(crate) fn add_scheme(
        &mut self,
        identity: Reference,
        position: Position,
        limits: &Limits,
        diagnostics: &mut Diagnostics,
    ) -> Option<usize> {
        // Counted as a category: a document may have as many empty schemes.
        if self.schemes.len() + self.categories.len() >= limits.categories
            || !self.reserve(identity.bytes() + OVERHEAD, limits)
        {
            self.cut_categories(position, limits, diagnostics);
            return None;
        }
        self.schemes.push(Scheme { identity });
        Some(self.schemes.len() - 1)
    }

    /// Adds a category, and returns its index; `None` above the limit.
    pub(crate) fn add_category(
        &mut self,
        (scheme, parent): (usize, Option<usize>),
        id: String,
        position: Position,
        limits: &Limits,
        diagnostics: &mut Diagnostics,
    ) -> Option<usize> {
        if self.schemes.len() + self.categories.len() >= limits.categories
            || !self.reserve(id.len() + OVERHEAD, limits)
        {
            self.cut_categories(position, limits, diagnostics);
            return None;
        }
        self.categories.push(Category { scheme, parent, id, names: Vec::new(), position });
        Some(self.categories.len() - 1)
    }

    /// Adds a name to a category, if there is room.
    pub(crate) fn add_name(
        &mut self,
        category: usize,
        name: Localized,
        limits: &Limits,
        diagnostics: &mut Diagnostics,
    ) {
        let (language, text) = &name;
        if self.reserve(language.len() + text.len() + OVERHEAD, limits) {
            self.categories[category].names.push(name);
        } else {
            self.cut_categories(self.categories[category].position, limits, diagnostics);
        }
    }

    /// Adds a link, if there is room.
    pub(crate) fn add_link(&mut self, link: Link, limits: &Limits, diagnostics: &mut Diagnostics) {
        let target = match &link.target {
            Target::Category(_) => 0,
            Target::Path { scheme, path } => scheme.bytes() + path.len(),
        };
        let bytes = link.source.bytes() + target + LINK_OVERHEAD;
        if self.links.len() < limits.categorisations && self.reserve(bytes, limits) {
            self.links.push(link);
        } else if !std::mem::replace(&mut self.links_cut, true) {
            let Limits { categorisations, theme_bytes, .. } = limits;
            diagnostics.add(Reason::CategorisationsCutShort, link.position, || {
                format!(
                    "more than {categorisations} categorisations, or {theme_bytes} bytes with the categories; the \
                     excess was dropped"
                )
            });
        }
    }

    /// Marks the links after the first `before` that have ended at the time of their document. A document without its
    /// time cannot tell whether an end has passed; it counts as passed.
    pub(crate) fn end_links(
        &mut self,
        before: usize,
        prepared: Option<Timestamp>,
        diagnostics: &mut Diagnostics,
    ) {
        for link in &mut self.links[before..] {
            let has_ended = |end| prepared.is_none_or(|prepared| end <= prepared);
            link.deprecated = link.ends.is_some_and(has_ended);
            if link.deprecated {
                let Reference { agency_id, id, .. } = &link.source;
                diagnostics.add(Reason::DeprecatedCategorisation, link.position, || {
                    format!("a categorisation of dataflow {agency_id}:{id} has ended")
                });
            }
        }
    }

    /// Number of links so far.
    pub(crate) fn links(&self) -> usize {
        self.links.len()
    }

    /// The id of a category.
    pub(crate) fn id(&self, category: usize) -> &str {
        &self.categories[category].id
    }

    /// Whether a category, or one around it, has this id.
    pub(crate) fn is_within(&self, category: Option<usize>, id: &str) -> bool {
        self.upwards(category).any(|category| category.id == id)
    }

    /// Number of categories so far.
    pub(crate) fn categories(&self) -> usize {
        self.categories.len()
    }

    /// Moves categories into those that they name as their parents, and reports cycles. The categories of the scheme
    /// are those after the first `before`.
    pub(crate) fn set_parents(
        &mut self,
        before: usize,
        parents: Vec<(usize, String)>,
        diagnostics: &mut Diagnostics,
    ) {
        if parents.is_empty() {
            return;
        }
        let own = self.categories.iter().enumerate().skip(before);
        let by_id: HashMap<_, _> = own.map(|(index, category)| (category.id.clone(), index)).collect();
        for (category, parent) in &parents {
            self.categories[*category].parent = by_id.get(parent).copied();
        }
        for (category, _) in parents {
            if self.upwards(Some(category)).nth(DEEPEST).is_some() {
                let Category { id, position, .. } = &self.categories[category];
                diagnostics.add(Reason::CategoryCycle, *position, || {
                    format!(
                        "category {id} is inside itself, by the parents stated; it counts as a top category"
                    )
                });
                self.categories[category].parent = None;
            }
        }
    }

    /// A category and those around it, innermost first.
    fn upwards(&self, category: Option<usize>) -> impl Iterator<Item = &Category> {
        let category = category.map(|index| &self.categories[index]);
        std::iter::successors(category, |category| category.parent.map(|index| &self.categories[index]))
    }

    fn cut_categories(&mut self, position: Position, limits: &Limits, diagnostics: &mut Diagnostics) {
        if !std::mem::replace(&mut self.categories_cut, true) {
            let Limits { categories, theme_bytes, .. } = limits;
            diagnostics.add(Reason::CategoriesCutShort, position, || {
                format!(
                    "more than {categories} categories, or {theme_bytes} bytes with the categorisations; the excess \
                     was dropped"
                )
            });
        }
    }

    /// Reserves memory for one more part. Returns false above the limit.
    fn reserve(&mut self, bytes: usize, limits: &Limits) -> bool {
        self.held.add(bytes, limits.theme_bytes)
    }
}
