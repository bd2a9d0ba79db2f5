//! The languages of names and descriptions. A dataflow has one text in a language: the result has no place for another,
//! so the rules must not see one either.

use std::collections::HashSet;

use crate::dataflow::{Dataflow, Localized};
use crate::diagnostic::Reason;

/// The tag of a text in no language in particular (BCP 47, "undetermined"), which says as much as none.
const UNDETERMINED: &str = "und";

/// The most texts that are compared with each other; more are looked up.
const COMPARED: usize = 16;

/// A tag as written; empty for a text without one.
pub(super) fn tag(written: &str) -> String {
    let written = written.trim();
    if written.eq_ignore_ascii_case(UNDETERMINED) { String::new() } else { written.to_owned() }
}

/// Leaves a dataflow with one name and one description in each language; adds those with several to `issues`.
pub(super) fn keep_one_each(flow: &mut Dataflow, issues: &mut Vec<(Reason, String)>) {
    for (kind, texts) in [("names", &mut flow.names), ("descriptions", &mut flow.descriptions)] {
        if let Some(language) = keep_first(texts) {
            let language = if language.is_empty() { UNDETERMINED } else { &language };
            let problem = format!("several {kind} have the language {language:?}; the first one is used");
            issues.push((Reason::DuplicateLanguage, problem));
        }
    }
}

/// Removes the texts whose language an earlier one has, and returns that of the first removed. Case has no meaning in a
/// tag.
fn keep_first(texts: &mut Vec<Localized>) -> Option<String> {
    let repeats = |(at, (tag, _)): (usize, &Localized)| {
        texts[..at].iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(tag))
    };
    if texts.len() <= COMPARED && !texts.iter().enumerate().any(repeats) {
        return None;
    }
    let (mut known, mut repeated) = (HashSet::new(), None);
    texts.retain(|(tag, _)| {
        let is_new = known.insert(tag.to_ascii_lowercase());
        if !is_new {
            repeated.get_or_insert_with(|| tag.clone());
        }
        is_new
    });
    repeated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_text_of_each_language_is_kept() {
        let check = |tags: &[&str], expected: &[&str], repeated: Option<&str>| {
            let mut texts: Vec<_> = tags.iter().map(|tag| (self::tag(tag), "t".to_owned())).collect();
            let found = keep_first(&mut texts);
            let left: Vec<_> = texts.iter().map(|(tag, _)| tag.as_str()).collect();
            assert_eq!((left.as_slice(), found.as_deref()), (expected, repeated), "{tags:?}");
        };
        check(&[], &[], None);
        check(&["it", "en", ""], &["it", "en", ""], None);
        check(&["it", "en", "IT", "en"], &["it", "en"], Some("IT"));
        check(&["", "und", "it"], &["", "it"], Some(""));
        check(&[" UND ", ""], &[""], Some(""));
        check(&["en", "en-GB", "eng"], &["en", "en-GB", "eng"], None);
        let many: Vec<_> = (0..COMPARED).map(|number| format!("x-{number}")).collect();
        let mut tags: Vec<_> = many.iter().map(String::as_str).collect();
        tags.push("X-3");
        check(&tags, &tags[..COMPARED], Some("X-3"));
    }
}
