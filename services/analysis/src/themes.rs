//! The themes of each dataflow: its official categories, or else those of its parent, each of which may mean one of the
//! seven categories by a mapping.
//!
//! They are assigned once all documents have been read, because the links of a document usually follow its dataflows.
//! The dataflows are part of the result anyway; `dataflow_sdmx::Themes` bounds what waits for them.

use std::collections::HashMap;
use std::sync::Arc;

use dataflow_rules::Category;
use dataflow_rules::themes::CompiledMapping;
use dataflow_sdmx::{Dataflow, Diagnostics, Limits, Localized, Reason, Resolved, Theme, ThemeLink, Themes};

mod parent;

/// A theme of a dataflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedTheme {
    /// The theme, which many dataflows share.
    pub theme: Arc<MappedTheme>,
    /// Whether the provider has ended the assignment, so that it does not decide.
    pub deprecated: bool,
    /// The parent dataflow that has the theme; `None` if the dataflow itself has it.
    pub inherited_from: Option<Arc<str>>,
}

/// A theme and the category that it means.
#[derive(Debug, PartialEq, Eq)]
pub struct MappedTheme {
    /// `AGENCY:ID(VERSION)`.
    pub scheme: String,
    /// Ids, outermost first.
    pub path: Vec<String>,
    /// The names of the theme itself.
    pub names: Vec<Localized>,
    /// `None` if the mapping does not have the theme.
    pub category: Option<Category>,
}

/// The most themes of one dataflow that count and are listed.
pub const MAX_THEMES: usize = 16;

/// The most links of one dataflow that are looked at: several may lead to one theme.
const MAX_LINKS: usize = 256;

/// The confidence of a decision by themes that agree. The provider states them, so it is not estimated; it leaves room
/// for the provider's own mistakes.
pub const THEME_CONFIDENCE: f64 = 0.99;

/// The links to all versions of a dataflow, by its agency and id: indices, ordered by version once all are known.
type Groups<'a> = HashMap<(&'a str, &'a str), Vec<usize>>;

/// The links, and what they lead to.
struct Links<'a> {
    themes: Vec<Arc<MappedTheme>>,
    links: Vec<ThemeLink<'a>>,
    groups: Groups<'a>,
}

/// The themes of each dataflow, in their order; `None` if no document has any.
pub fn assign<'a>(
    dataflows: impl Iterator<Item = &'a Dataflow> + Clone,
    themes: &'a Themes,
    (mapping, limits): (&CompiledMapping, &Limits),
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Vec<AssignedTheme>>> {
    assign_resolved(dataflows, themes.resolve(limits, diagnostics), mapping, diagnostics)
}

/// The same of links that were resolved before.
pub fn assign_resolved<'a>(
    dataflows: impl Iterator<Item = &'a Dataflow> + Clone,
    Resolved { themes, links }: Resolved<'a>,
    mapping: &CompiledMapping,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Vec<AssignedTheme>>> {
    if links.is_empty() {
        return None;
    }
    let themes = themes.iter().map(|theme| Arc::new(MappedTheme::new(theme, mapping))).collect();
    let links = Links::new(dataflows.clone(), themes, links, diagnostics);
    Some(dataflows.map(|dataflow| links.themes_of(dataflow)).collect())
}

// === impl Links ===

impl<'a> Links<'a> {
    /// Groups the links by dataflow, and reports those that lead from none.
    fn new(
        dataflows: impl Iterator<Item = &'a Dataflow>,
        themes: Vec<Arc<MappedTheme>>,
        links: Vec<ThemeLink<'a>>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut groups = Groups::new();
        let mut agencies = HashMap::<&str, Option<&str>>::new();
        for dataflow in dataflows {
            let (agency_id, id) = (dataflow.agency_id.as_str(), dataflow.id.as_str());
            groups.entry((agency_id, id)).or_default();
            let agency = agencies.entry(id).or_insert(Some(agency_id));
            *agency = agency.filter(|known| *known == agency_id);
        }
        for (index, link) in links.iter().enumerate() {
            let ThemeLink { agency_id, dataflow_id: id, position, .. } = *link;
            let agency = match agencies.get(id).copied() {
                Some(Some(only)) if agency_id.is_empty() || only.is_empty() => only,
                Some(None) if agency_id.is_empty() => {
                    diagnostics.add(Reason::AmbiguousCategorisation, position, || {
                        format!("several agencies have a dataflow {id}; expected the agency of one")
                    });
                    continue;
                }
                _ => agency_id,
            };
            match groups.get_mut(&(agency, id)) {
                Some(group) => group.push(index),
                None => diagnostics.add(Reason::CategorisationWithoutDataflow, position, || {
                    format!(
                        "a categorisation names dataflow {agency_id}:{id}, which the catalogue does not have"
                    )
                }),
            }
        }
        groups.values_mut().for_each(|group| group.sort_by_key(|&link| links[link].version));
        Self { themes, links, groups }
    }

    /// The themes of a dataflow, or else those of its nearest parent that has any.
    fn themes_of(&self, dataflow: &Dataflow) -> Vec<AssignedTheme> {
        let (agency_id, id) = (dataflow.agency_id.as_str(), dataflow.id.as_str());
        let mut own = self.own(agency_id, id, Some(&dataflow.version));
        if own.iter().all(|theme| theme.deprecated) {
            let mut parents = parent::candidates(id).map(|parent| self.inherited(agency_id, parent));
            let inherited = parents.find(|themes| !themes.is_empty()).unwrap_or_default();
            own.truncate(MAX_THEMES - inherited.len());
            own.extend(inherited);
        }
        own
    }

    /// The themes that a parent passes on: those of any of its versions that have not ended.
    fn inherited(&self, agency_id: &str, parent: &str) -> Vec<AssignedTheme> {
        let current = self.own(agency_id, parent, None).into_iter().filter(|theme| !theme.deprecated);
        let from = Arc::<str>::from(parent);
        current.map(|theme| AssignedTheme { inherited_from: Some(Arc::clone(&from)), ..theme }).collect()
    }

    /// The distinct themes of a version: by the links that name it, else by those of all versions, since a dataflow
    /// keeps its subject.
    fn own(&self, agency_id: &str, id: &str, version: Option<&str>) -> Vec<AssignedTheme> {
        let Some(group) = self.groups.get(&(agency_id, id)) else { return Vec::new() };
        let version_of = |&link: &usize| self.links[link].version;
        let exact = version.map_or(&[][..], |version| {
            let start = group.partition_point(|link| version_of(link) < version);
            let length = group[start..].partition_point(|link| version_of(link) == version);
            &group[start..start + length]
        });
        let links = if exact.is_empty() { group } else { exact };
        let mut links: Vec<_> = links.iter().copied().take(MAX_LINKS).collect();
        // Those that count first, in document order.
        links.sort_by_key(|&link| (self.links[link].deprecated, link));
        let mut assigned = Vec::<AssignedTheme>::new();
        for link in links {
            let ThemeLink { theme, deprecated, .. } = self.links[link];
            let theme = &self.themes[theme];
            let is_new = !assigned.iter().any(|known| Arc::ptr_eq(&known.theme, theme));
            if is_new && assigned.len() < MAX_THEMES {
                assigned.push(AssignedTheme { theme: Arc::clone(theme), deprecated, inherited_from: None });
            }
        }
        assigned
    }
}

// === impl MappedTheme ===

impl MappedTheme {
    fn new(theme: &Theme<'_>, mapping: &CompiledMapping) -> Self {
        let Theme { agency_id, scheme_id, version, path } = theme;
        let steps: Vec<_> = path.iter().map(|part| (part.id, part.names)).collect();
        Self {
            scheme: format!("{agency_id}:{scheme_id}({version})"),
            path: path.iter().map(|part| part.id.to_owned()).collect(),
            names: path.last().map_or_else(Vec::new, |part| part.names.to_vec()),
            category: mapping.category(agency_id, scheme_id, &steps),
        }
    }
}

// === impl AssignedTheme ===

impl AssignedTheme {
    /// Bytes of its texts in the result.
    pub fn bytes(&self) -> usize {
        let MappedTheme { scheme, path, names, .. } = &*self.theme;
        let names = names.iter().map(|(language, name)| language.len() + name.len()).sum::<usize>();
        let parent = self.inherited_from.as_ref().map_or(0, |parent| parent.len());
        scheme.len() + path.iter().map(String::len).sum::<usize>() + names + parent
    }
}

#[cfg(test)]
mod tests;
