//! Which category a theme of a provider means. The [`Mapping`] is data that people edit, like a rule set;
//! [`CompiledMapping`] is the same mapping compiled for look-ups.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{at_most, excerpt, require};
use crate::file::FileError;
use crate::limits::{
    MAX_THEME_BYTES, MAX_THEME_ID, MAX_THEME_NAME, MAX_THEME_PATH, MAX_THEME_SCHEME, MAX_THEMES,
};
use crate::overlay::{Item, Set, text_bytes};
use crate::{Category, RuleError};

pub use self::compiled::{CompiledMapping, Step};

mod compiled;

const BUILT_IN: &str = include_str!(concat!(env!("OUT_DIR"), "/themes.json"));

/// An identifier that no row has: requests over REST use the word for something else.
const RESERVED_ID: &str = "revisions";

/// Rows, of which the longest path decides, and of equal paths the first row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Counts the changes, from 1; 0 is the mapping that is built into a release. Not part of a file.
    #[serde(skip)]
    pub revision: i64,
    /// The rows, in the order in which they decide.
    pub themes: Vec<Theme>,
}

/// A row: a theme, with those inside it, and the category that it means.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Theme {
    /// Unique within the mapping; 1 to [`MAX_THEME_ID`] bytes.
    #[serde(rename = "themeId")]
    pub id: String,
    /// The category schemes that have the theme.
    pub scheme: Schemes,
    /// From the outermost category inwards, each by its id or by its name in any language; 1 to [`MAX_THEME_PATH`].
    pub path: Vec<String>,
    /// The category that the theme means.
    pub category: Category,
}

/// Category schemes of one agency, as `AGENCY:ID` or `AGENCY:*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Schemes {
    /// The agency.
    pub agency_id: String,
    /// The id of the scheme; any if absent.
    pub scheme_id: Option<String>,
}

/// A text that names no category schemes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be AGENCY:ID, or AGENCY:* for any scheme of the agency, is {}", excerpt(.0))]
pub struct UnknownSchemes(String);

// === impl Mapping ===

impl Mapping {
    /// The mapping of this release, at revision 0.
    ///
    /// # Panics
    ///
    /// Never: a test reads it.
    pub fn built_in() -> Self {
        serde_json::from_str(BUILT_IN).expect("the built-in mapping is valid: a test reads it")
    }

    /// Parses and validates a file, which is YAML or JSON.
    ///
    /// # Errors
    ///
    /// [`FileError`] with the line and column, or the invalid field.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        // Enough for the largest valid mapping.
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_nodes: MAX_THEME_BYTES, max_events: 2 * MAX_THEME_BYTES },
        };
        let parsed = serde_saphyr::from_str_with_options(text, options);
        let mapping: Self = parsed.map_err(|error| FileError::ShapeOfThemes(Box::new(error)))?;
        mapping.validate()?;
        Ok(mapping)
    }

    /// The YAML file of the mapping, without its revision. [`Self::parse`] returns the same mapping.
    ///
    /// # Panics
    ///
    /// Never: a mapping has only types that YAML can express.
    pub fn to_yaml(&self) -> String {
        serde_saphyr::to_string(self).expect("a mapping can be expressed in YAML")
    }
}

impl Set for Mapping {
    type Item = Theme;

    fn items(&self) -> &[Theme] {
        &self.themes
    }

    fn items_mut(&mut self) -> &mut Vec<Theme> {
        &mut self.themes
    }

    fn with_items(&self, themes: Vec<Theme>) -> Self {
        Self { revision: self.revision, themes }
    }

    fn revision(&self) -> i64 {
        self.revision
    }

    fn set_revision(&mut self, revision: i64) {
        self.revision = revision;
    }

    fn validate(&self) -> Result<(), RuleError> {
        at_most(MAX_THEMES, self.themes.len(), || "themes".to_owned())?;
        let (mut ids, mut paths, mut bytes) = (HashSet::new(), HashMap::new(), 0);
        for (index, theme) in self.themes.iter().enumerate() {
            let field = |name: &str| format!("themes[{index}].{name}");
            theme.validate(field)?;
            require(
                ids.insert(theme.id.as_str()),
                || field("themeId"),
                || format!("must be unique within the mapping, {:?} is already used", theme.id),
            )?;
            // The later one would never decide.
            let known = paths.insert((&theme.scheme, &theme.path), &theme.id);
            require(
                known.is_none(),
                || field("path"),
                || format!("is that of the theme {:?}, with the same scheme", known.map_or("", |id| id)),
            )?;
            bytes += theme.text().map(str::len).sum::<usize>();
        }
        at_most(MAX_THEME_BYTES, bytes, || "themes".to_owned())
    }
}

// === impl Theme ===

impl Theme {
    /// Validates one row. `field` builds the path of one of its fields.
    fn validate(&self, field: impl Fn(&str) -> String) -> Result<(), RuleError> {
        let length = self.id.len();
        require(
            (1..=MAX_THEME_ID).contains(&length),
            || field("themeId"),
            || format!("must be 1 to {MAX_THEME_ID} bytes, is {length}"),
        )?;
        require(self.id != RESERVED_ID, || field("themeId"), || format!("must not be {RESERVED_ID:?}"))?;
        let length = self.scheme.text().map(str::len).sum::<usize>();
        at_most(MAX_THEME_SCHEME, length, || field("scheme"))?;
        require(!self.path.is_empty(), || field("path"), || "must not be empty".to_owned())?;
        at_most(MAX_THEME_PATH, self.path.len(), || field("path"))?;
        for (index, name) in self.path.iter().enumerate() {
            let field = || field(&format!("path[{index}]"));
            let is_text = !name.trim().is_empty() && name.len() <= MAX_THEME_NAME;
            require(is_text, field, || {
                format!("must be an id or a name of at most {MAX_THEME_NAME} bytes, is {}", excerpt(name))
            })?;
        }
        Ok(())
    }

    fn text(&self) -> impl Iterator<Item = &str> {
        self.scheme.text().chain([self.id.as_str()]).chain(self.path.iter().map(String::as_str))
    }
}

impl Item for Theme {
    fn id(&self) -> &str {
        &self.id
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.text().map(text_bytes).sum::<usize>()
    }
}

// === impl Schemes ===

impl Schemes {
    fn text(&self) -> impl Iterator<Item = &str> {
        [self.agency_id.as_str()].into_iter().chain(self.scheme_id.as_deref())
    }
}

impl FromStr for Schemes {
    type Err = UnknownSchemes;

    fn from_str(text: &str) -> Result<Self, UnknownSchemes> {
        match text.split_once(':') {
            Some((agency_id, scheme_id)) if !agency_id.is_empty() && !scheme_id.is_empty() => {
                let scheme_id = (scheme_id != "*").then(|| scheme_id.to_owned());
                Ok(Self { agency_id: agency_id.to_owned(), scheme_id })
            }
            _ => Err(UnknownSchemes(text.to_owned())),
        }
    }
}

impl fmt::Display for Schemes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.agency_id, self.scheme_id.as_deref().unwrap_or("*"))
    }
}

impl TryFrom<String> for Schemes {
    type Error = UnknownSchemes;

    fn try_from(text: String) -> Result<Self, UnknownSchemes> {
        text.parse()
    }
}

impl From<Schemes> for String {
    fn from(schemes: Schemes) -> Self {
        schemes.to_string()
    }
}

#[cfg(test)]
mod tests;
