//! Follows the links to their categories, once all documents have been read.

use std::collections::{BTreeSet, HashMap};

use super::{Category, Link, Reference, Scheme, Target, Themes};
use crate::dataflow::Localized;
use crate::diagnostic::{Diagnostics, Reason};
use crate::error::Position;
use crate::facts::Timestamp;
use crate::limits::Limits;

/// The links of all documents, each with its theme.
#[derive(Debug, Default)]
pub struct Resolved<'a> {
    /// The themes that links lead to.
    pub themes: Vec<Theme<'a>>,
    /// The links in document order, without those that lead nowhere.
    pub links: Vec<ThemeLink<'a>>,
}

/// A category, with those around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme<'a> {
    /// The agency that maintains the scheme; empty if it is not stated.
    pub agency_id: &'a str,
    /// The identifier of the scheme.
    pub scheme_id: &'a str,
    /// The version of the scheme; empty if it is not stated.
    pub version: &'a str,
    /// From the outermost category to the theme itself.
    pub path: Vec<ThemePart<'a>>,
}

/// One category of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThemePart<'a> {
    /// Its identifier.
    pub id: &'a str,
    /// Its names; empty if the scheme is in no document.
    pub names: &'a [Localized],
}

/// A link from a dataflow to a theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThemeLink<'a> {
    /// The agency of the dataflow; empty if it is not stated.
    pub agency_id: &'a str,
    /// The identifier of the dataflow.
    pub dataflow_id: &'a str,
    /// The version of the dataflow, which may be a wildcard; empty if it is not stated.
    pub version: &'a str,
    /// Index of the theme.
    pub theme: usize,
    /// Whether the provider has ended it.
    pub deprecated: bool,
    /// When the provider ends it.
    pub ends: Option<Timestamp>,
    /// Where it is written.
    pub position: Position,
}

/// Memory of one category of a path beside its id.
const PART_OVERHEAD: usize = 64;

/// Why a link leads nowhere.
type Problem = (Reason, String);

/// The schemes and categories by what links name. Each look-up takes one step, because a document may have any number
/// of either.
struct Index<'a> {
    themes: &'a Themes,
    /// Schemes by agency, id and version; the first of several with one identity, which count as one scheme.
    exact: HashMap<&'a Reference, usize>,
    /// Schemes by agency and id; the last version.
    any_version: HashMap<(&'a str, &'a str), usize>,
    /// The agency of a scheme with this id; `None` if there are several.
    agencies: HashMap<&'a str, Option<&'a str>>,
    /// Categories by scheme, the category around them, and id; the first of several.
    children: HashMap<(usize, Option<usize>, &'a str), usize>,
    /// Categories by scheme and id, wherever they are; `None` if there are several.
    anywhere: HashMap<(usize, &'a str), Option<usize>>,
}

/// What a target was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Found<'a> {
    Category(usize),
    /// The scheme is in no document; the path is as the link states it.
    Stated {
        scheme: &'a Reference,
        path: &'a str,
    },
}

// === impl Themes ===

impl Themes {
    /// Follows every link. One that leads nowhere is reported and left out. The paths of all themes together have at most
    /// `theme_bytes` of the limits: a path repeats the categories around its own.
    #[must_use]
    pub fn resolve(&self, limits: &Limits, diagnostics: &mut Diagnostics) -> Resolved<'_> {
        if self.links.is_empty() {
            return Resolved::default();
        }
        let index = Index::new(self);
        let (mut resolved, mut known, mut missing) = (Resolved::default(), HashMap::new(), BTreeSet::new());
        let mut bytes = 0;
        for Link { source, target, deprecated, ends, position } in &self.links {
            let found = match index.find(target) {
                Ok(found) => found,
                Err((reason, message)) => {
                    let dataflow = &source.id;
                    diagnostics.add(reason, *position, || format!("categorisation of {dataflow}: {message}"));
                    continue;
                }
            };
            if let Found::Stated { scheme: Reference { agency_id, id, version }, .. } = found
                && missing.insert((agency_id, id, version))
            {
                diagnostics.add(Reason::CategorySchemeMissing, *position, || {
                    format!("category scheme {agency_id}:{id}({version}) is in no document: send it too")
                });
            }
            let theme = match known.get(&found) {
                Some(theme) => *theme,
                None => {
                    let theme = index.theme(found);
                    bytes += theme.path.iter().map(|part| part.id.len() + PART_OVERHEAD).sum::<usize>();
                    if bytes > limits.theme_bytes {
                        diagnostics.add(Reason::CategorisationsCutShort, *position, || {
                            format!("the paths of themes have more than {} bytes", limits.theme_bytes)
                        });
                        break;
                    }
                    resolved.themes.push(theme);
                    known.insert(found, resolved.themes.len() - 1);
                    resolved.themes.len() - 1
                }
            };
            let (agency_id, dataflow_id, version) = (&source.agency_id, &source.id, &source.version);
            let (deprecated, ends, position) = (*deprecated, *ends, *position);
            let link = ThemeLink { agency_id, dataflow_id, version, theme, deprecated, ends, position };
            resolved.links.push(link);
        }
        resolved
    }
}

// === impl Index ===

impl<'a> Index<'a> {
    fn new(themes: &'a Themes) -> Self {
        let mut index = Self {
            themes,
            exact: HashMap::new(),
            any_version: HashMap::new(),
            agencies: HashMap::new(),
            children: HashMap::new(),
            anywhere: HashMap::new(),
        };
        let mut schemes = Vec::with_capacity(themes.schemes.len());
        for (number, Scheme { identity }) in themes.schemes.iter().enumerate() {
            let Reference { agency_id, id, .. } = identity;
            schemes.push(*index.exact.entry(identity).or_insert(number));
            index.any_version.insert((agency_id, id), number);
            let agency = index.agencies.entry(id).or_insert(Some(agency_id));
            *agency = agency.filter(|known| known == agency_id);
        }
        // The first category of several at one path: a scheme may be in several documents.
        let mut first = Vec::with_capacity(themes.categories.len());
        for (number, Category { scheme, parent, id, .. }) in themes.categories.iter().enumerate() {
            let (scheme, around) =
                (schemes[*scheme], parent.map(|parent| first.get(parent).copied().unwrap_or(parent)));
            let known = *index.children.entry((scheme, around, id.as_str())).or_insert(number);
            let same_id = index.anywhere.entry((scheme, id.as_str())).or_insert(Some(known));
            *same_id = same_id.filter(|same| *same == known);
            first.push(known);
        }
        index.any_version.values_mut().for_each(|scheme| *scheme = schemes[*scheme]);
        index
    }

    fn find(&self, target: &'a Target) -> Result<Found<'a>, Problem> {
        let (scheme, path) = match target {
            Target::Category(category) => return Ok(Found::Category(*category)),
            Target::Path { scheme, path } => (scheme, path.as_str()),
        };
        let Reference { agency_id, id, version } = scheme;
        let agency_id = match self.agencies.get(id.as_str()) {
            _ if !agency_id.is_empty() => agency_id.as_str(),
            Some(Some(agency_id)) => *agency_id,
            Some(None) => {
                let message = format!("several agencies have a scheme {id}; expected the agency of one");
                return Err((Reason::AmbiguousCategorisation, message));
            }
            None => return Ok(Found::Stated { scheme, path }),
        };
        let Some(&any_version) = self.any_version.get(&(agency_id, id.as_str())) else {
            return Ok(Found::Stated { scheme, path });
        };
        let identity =
            Reference { agency_id: agency_id.to_owned(), id: id.clone(), version: version.clone() };
        let exact = self.exact.get(&identity).and_then(|&scheme| self.at(scheme, path));
        // Without that version any counts: a scheme gets a new version before its links name it.
        let found = exact.or_else(|| self.at(any_version, path));
        found.map(Found::Category).ok_or_else(|| {
            let message = format!("scheme {agency_id}:{id} has no category {path:?}");
            (Reason::CategorisationWithoutCategory, message)
        })
    }

    /// The category at a path, or else the only one of the scheme with that id: some providers state the id alone.
    fn at(&self, scheme: usize, path: &str) -> Option<usize> {
        let step = |around, id| self.children.get(&(scheme, around, id)).map(|&category| Some(category));
        let at_path = path.split('.').try_fold(None, step).flatten();
        at_path.or_else(|| self.anywhere.get(&(scheme, path)).copied().flatten())
    }

    fn theme(&self, found: Found<'a>) -> Theme<'a> {
        match found {
            Found::Category(category) => {
                let part = |category: &'a Category| ThemePart { id: &category.id, names: &category.names };
                let mut path: Vec<_> = self.themes.upwards(Some(category)).map(part).collect();
                path.reverse();
                let scheme = self.themes.categories[category].scheme;
                let Reference { agency_id, id, version } = &self.themes.schemes[scheme].identity;
                Theme { agency_id, scheme_id: id, version, path }
            }
            Found::Stated { scheme: Reference { agency_id, id, version }, path } => {
                let path = path.split('.').map(|id| ThemePart { id, names: &[] }).collect();
                Theme { agency_id, scheme_id: id, version, path }
            }
        }
    }
}
