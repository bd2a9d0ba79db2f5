//! Language tags as rules use them: only the primary subtag counts.

use crate::error::{RuleError, excerpt, require};
use crate::limits::MAX_TAG;

/// `en` of `en-GB` and `EN_gb`, in the case of the tag.
pub(crate) fn primary_subtag(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or(tag)
}

/// The primary subtag of a rule's language, in lower case; `field` names it in the error.
pub(crate) fn parse(tag: &str, field: impl FnOnce() -> String) -> Result<String, RuleError> {
    let subtag = primary_subtag(tag);
    let is_subtag = (2..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphabetic());
    require(is_subtag && tag.len() <= MAX_TAG, field, || {
        format!("must be a language tag such as `it` or `pt-BR`, is {}", excerpt(tag))
    })?;
    Ok(subtag.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_goes_by_its_primary_subtag() {
        let check = |tag: &str, expected: Option<&str>| {
            assert_eq!(parse(tag, String::new).ok().as_deref(), expected, "{tag:?}");
        };
        check("it", Some("it"));
        check("EN-gb", Some("en"));
        check("pt_BR", Some("pt"));
        check(&format!("en-{}", "x".repeat(MAX_TAG - 3)), Some("en"));
        check(&format!("en-{}", "x".repeat(MAX_TAG - 2)), None);
        check("i-klingon", None);
        check("", None);
        check("e1", None);
        check("languages", None);
    }
}
