//! Requests for an analysis by clients of the predecessor.

use super::body::{Body, Element, Value};
use super::category::Category;
use super::failure::{ValidationError, ValueError};
use super::selection::Filters;

/// The body of `POST /api/analysis/dataflow`. Fields that it does not know are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The catalogue (`xml_content`), not empty. Its XML declaration names no encoding any more: it is UTF-8 now.
    pub document: String,
    /// Which dataflows to list.
    pub filters: Filters,
    /// Whether to test access to the listed dataflows. Without effect: there are no tests yet.
    pub include_tests: bool,
    /// Whether to list only the tests of dataflows that Tableau can load. Without effect while there are none.
    pub only_tableau_ready: bool,
}

/// The fields of a body.
const FIELDS: &[&str] = &[
    "xml_content",
    "xml_file_path",
    "categories",
    "min_relevance_score",
    "max_results",
    "include_tests",
    "only_tableau_ready",
];

// === impl Request ===

impl Request {
    /// Reads a body, once; the document that was decoded is moved into the request.
    pub fn parse(body: &[u8]) -> Result<Self, ValidationError> {
        let body = Body::<Category>::read(body, FIELDS)?;
        let mut body = body.ok_or_else(|| ValidationError::whole(None, ValueError::Missing))?;
        let document = body.optional("xml_content", Value::text);
        let path = body.optional("xml_file_path", Value::text);
        let categories = body.optional("categories", Value::list);
        let categories = categories.map(|list| body.elements("categories", list)).unwrap_or_default();
        let score = body.field("min_relevance_score", 0, Value::integer);
        let max_results = body.field("max_results", 100, Value::integer);
        let include_tests = body.field("include_tests", true, Value::flag);
        let only_tableau_ready = body.field("only_tableau_ready", false, Value::flag);
        body.finish()?;

        let some = |text: &String| !text.is_empty();
        let mut document = document.filter(some).ok_or(match path.filter(some) {
            Some(_) => ValidationError::DocumentByPath,
            None => ValidationError::DocumentMissing,
        })?;
        forget_encoding(&mut document);
        let min_relevance_score = i32::try_from(score).unwrap_or(if score < 0 { i32::MIN } else { i32::MAX });
        let filters = Filters { categories, min_relevance_score, max_results };
        Ok(Self { document, filters, include_tests, only_tableau_ready })
    }
}

impl Element for Category {
    const ERROR: ValueError = ValueError::NotCategory;

    fn read(word: String) -> Option<Self> {
        Self::of(&word)
    }
}

/// Blanks the encoding in the XML declaration: it is that of the file which the client read, and the predecessor did
/// not look at it. Every byte stays at its offset.
fn forget_encoding(document: &mut String) {
    let start = document.strip_prefix('\u{feff}').unwrap_or(document);
    if !start.strip_prefix("<?xml").is_some_and(|rest| rest.starts_with(char::is_whitespace)) {
        return;
    }
    let Some((declaration, _)) = start.split_once("?>") else { return };
    let Some((before, after)) = declaration.split_once("encoding") else { return };
    let value = after.trim_start().strip_prefix('=').map_or("", str::trim_start);
    let Some(quote @ ('"' | '\'')) = value.chars().next() else { return };
    let Some((_, rest)) = value[1..].split_once(quote) else { return };
    let from = document.len() - start.len() + before.len();
    let to = from + declaration.len() - before.len() - rest.len();
    document.replace_range(from..to, &" ".repeat(to - from));
}

#[cfg(test)]
mod tests;
