//! The mapping of themes, compiled for look-ups.

use std::collections::HashMap;

use super::Mapping;
use crate::Category;
use crate::fold::{SPACE, fold_into};

/// A mapping, compiled for look-ups.
#[derive(Debug)]
pub struct CompiledMapping {
    rows: Vec<Row>,
    by_agency: HashMap<String, FirstParts>,
}

/// One category on the path of a theme: its id, and its names as (language, text).
pub type Step<'a> = (&'a str, &'a [(String, String)]);

/// The rows of an agency, in their order, by the first part of their paths.
#[derive(Debug, Default)]
struct FirstParts {
    by_id: HashMap<String, Vec<usize>>,
    by_name: HashMap<Vec<u8>, Vec<usize>>,
}

/// A theme and the category that it means.
#[derive(Debug)]
struct Row {
    /// The id of the scheme; `None` for any.
    scheme_id: Option<String>,
    path: Vec<Part>,
    category: Category,
}

/// An id, which is also a name in any spelling.
#[derive(Debug)]
struct Part {
    id: String,
    name: Vec<u8>,
}

// === impl CompiledMapping ===

impl CompiledMapping {
    /// Compiles a valid mapping. A row without a path, which a later release may have sent, leads to nothing.
    pub fn new(mapping: &Mapping) -> Self {
        let mut by_agency = HashMap::<_, FirstParts>::new();
        let mut rows = Vec::with_capacity(mapping.themes.len());
        for theme in &mapping.themes {
            let path: Vec<_> =
                theme.path.iter().map(|id| Part { id: id.clone(), name: folded(id) }).collect();
            let Some(first) = path.first() else { continue };
            let of_agency = by_agency.entry(theme.scheme.agency_id.clone()).or_default();
            of_agency.by_id.entry(first.id.clone()).or_default().push(rows.len());
            of_agency.by_name.entry(first.name.clone()).or_default().push(rows.len());
            rows.push(Row { scheme_id: theme.scheme.scheme_id.clone(), path, category: theme.category });
        }
        Self { rows, by_agency }
    }

    /// The category of a theme, by the longest path of the mapping that leads to it or to a category around it, the
    /// first of several; `None` if there is none.
    pub fn category(&self, agency_id: &str, scheme_id: &str, path: &[Step<'_>]) -> Option<Category> {
        let FirstParts { by_id, by_name } = self.by_agency.get(agency_id)?;
        let names: Vec<Vec<_>> =
            path.iter().map(|(_, names)| names.iter().map(|(_, name)| folded(name)).collect()).collect();
        let begins_by_id = by_id.get(path.first()?.0).into_iter();
        let begins_by_name = names.first()?.iter().filter_map(|name| by_name.get(name));
        let leads_to = |row: &Row| {
            let is_at = |(part, (step, names)): (&Part, (&Step<'_>, &Vec<Vec<u8>>))| {
                part.id == step.0 || names.contains(&part.name)
            };
            row.scheme_id.as_ref().is_none_or(|id| id == scheme_id)
                && row.path.len() <= path.len()
                && row.path.iter().zip(path.iter().zip(&names)).all(is_at)
        };
        let candidates = begins_by_id.chain(begins_by_name).flatten().copied();
        let leading = candidates.filter(|&index| leads_to(&self.rows[index]));
        let longest = leading.min_by_key(|&index| (std::cmp::Reverse(self.rows[index].path.len()), index));
        longest.map(|index| self.rows[index].category)
    }
}

/// A name without case, accents and punctuation.
fn folded(name: &str) -> Vec<u8> {
    let mut folded = Vec::with_capacity(name.len() + 2);
    fold_into(name, SPACE, &mut folded);
    folded
}
