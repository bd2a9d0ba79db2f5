//! Which category a theme of a provider means. The mapping is data, in `sets/themes.yaml`.

use std::collections::HashMap;

use serde::Deserialize;

use crate::Category;
use crate::fold::{SPACE, fold_into};

/// The mapping of every release, as YAML. Results depend on it.
pub const BUILT_IN: &str = include_str!("../sets/themes.yaml");

/// A mapping, compiled for look-ups.
#[derive(Debug)]
pub struct Mapping {
    /// Rows by agency.
    rows: HashMap<String, Vec<Row>>,
}

/// One category on the path of a theme: its id, and its names as (language, text).
pub type Step<'a> = (&'a str, &'a [(String, String)]);

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

/// The form of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    themes: Vec<FileRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRow {
    scheme: String,
    path: Vec<String>,
    category: Category,
}

// === impl Mapping ===

impl Mapping {
    /// The mapping of this release.
    ///
    /// # Panics
    ///
    /// Never: a test reads it.
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("the built-in mapping is valid: a test reads it")
    }

    fn parse(text: &str) -> Result<Self, String> {
        let File { themes } = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let mut rows = HashMap::<_, Vec<_>>::new();
        for (index, FileRow { scheme, path, category }) in themes.into_iter().enumerate() {
            let (agency_id, scheme_id) = match scheme.split_once(':') {
                Some((agency_id, scheme_id)) if !agency_id.is_empty() && !scheme_id.is_empty() => {
                    (agency_id.to_owned(), Some(scheme_id.to_owned()).filter(|id| id != "*"))
                }
                _ => return Err(format!("themes[{index}].scheme: expected AGENCY:ID or AGENCY:*")),
            };
            if path.is_empty() {
                return Err(format!("themes[{index}].path: expected at least one id or name"));
            }
            let path = path.into_iter().map(|id| Part { name: folded(&id), id }).collect();
            rows.entry(agency_id).or_default().push(Row { scheme_id, path, category });
        }
        Ok(Self { rows })
    }

    /// The category of a theme, by the longest path of the mapping that leads to it or to a category around it, the
    /// first of several; `None` if there is none.
    pub fn category(&self, agency_id: &str, scheme_id: &str, path: &[Step<'_>]) -> Option<Category> {
        let rows = self.rows.get(agency_id)?;
        let names: Vec<Vec<_>> =
            path.iter().map(|(_, names)| names.iter().map(|(_, name)| folded(name)).collect()).collect();
        let leads_to = |row: &&Row| {
            let is_at = |(part, (step, names)): (&Part, (&Step<'_>, &Vec<Vec<u8>>))| {
                part.id == step.0 || names.contains(&part.name)
            };
            row.scheme_id.as_ref().is_none_or(|id| id == scheme_id)
                && row.path.len() <= path.len()
                && row.path.iter().zip(path.iter().zip(&names)).all(is_at)
        };
        let longest = rows.iter().filter(leads_to).rev().max_by_key(|row| row.path.len());
        longest.map(|row| row.category)
    }
}

/// A name without case, accents and punctuation.
fn folded(name: &str) -> Vec<u8> {
    let mut folded = Vec::with_capacity(name.len() + 2);
    fold_into(name, SPACE, &mut folded);
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str) -> Vec<(String, String)> {
        vec![("en".to_owned(), "Other".to_owned()), ("it".to_owned(), name.to_owned())]
    }

    #[test]
    fn the_built_in_mapping_has_every_category() {
        let mapping = Mapping::built_in();
        let check = |name: &str, expected| {
            let names = names(name);
            assert_eq!(mapping.category("IT1", "ANY", &[("6", &names)]), expected, "{name}");
            assert_eq!(mapping.category("IT1", "ANY", &[("6", &names), ("7", &[])]), expected, "{name}");
            assert_eq!(mapping.category("IT1", "ANY", &[("7", &[]), ("6", &names)]), None, "{name}");
            assert_eq!(mapping.category("IT2", "ANY", &[("6", &names)]), None, "{name}");
        };
        check("Popolazione e famiglie", Some(Category::Population));
        check("PREZZI", Some(Category::Economy));
        check("Commercio con l\u{2019}estero e internalizzazione", Some(Category::Economy));
        check("Lavoro e retribuzioni", Some(Category::Labour));
        check("Ambiente ed energia", Some(Category::Territory));
        check("Istruzione e formazione", Some(Category::Education));
        check("Salute e sanita", Some(Category::Health));
        check("Cultura, comunicazione, viaggi", Some(Category::Other));
        check("Enterprises", None);
    }

    #[test]
    fn the_longest_path_decides_and_the_first_row_of_equal_ones() {
        let rows = "themes:\n- {scheme: 'A:S', path: [X], category: HEALTH}\n\
                    - {scheme: 'A:*', path: [X, Y], category: LABOUR}\n\
                    - {scheme: 'A:*', path: [X], category: OTHER}\n";
        let mapping = Mapping::parse(rows).unwrap();
        let check = |scheme: &str, path: &[&str], expected| {
            let steps: Vec<Step<'_>> = path.iter().map(|id| (*id, &[][..])).collect();
            assert_eq!(mapping.category("A", scheme, &steps), expected, "{scheme} {path:?}");
        };
        check("S", &["X"], Some(Category::Health));
        check("T", &["X"], Some(Category::Other));
        check("S", &["X", "Y"], Some(Category::Labour));
        check("S", &["X", "Z"], Some(Category::Health));
        check("S", &["Y"], None);
        check("S", &[], None);
    }

    #[test]
    fn an_invalid_row_is_named() {
        let check = |row: &str, expected: &str| {
            let error = Mapping::parse(&format!("themes:\n- {row}\n")).unwrap_err();
            assert!(error.contains(expected), "{row}: {error}");
        };
        check("{scheme: A, path: [X], category: HEALTH}", "themes[0].scheme");
        check("{scheme: ':S', path: [X], category: HEALTH}", "themes[0].scheme");
        check("{scheme: 'A:S', path: [], category: HEALTH}", "themes[0].path");
        check("{scheme: 'A:S', path: [X], category: WEALTH}", "WEALTH");
        check("{scheme: 'A:S', path: [X], category: HEALTH, more: 1}", "more");
    }
}
