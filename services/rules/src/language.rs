//! Language tags as rules use them: only the primary subtag counts, in the form that BCP 47 prefers.

use crate::error::{RuleError, excerpt, require};
use crate::limits::MAX_TAG;

/// Subtags that name no language in particular: undetermined, several, no linguistic content, private use
/// (`x-default`). A text with one is searched like a text without a language.
const NO_LANGUAGE: [&str; 4] = ["und", "mul", "zxx", "x"];

/// Codes of ISO 639-2, of both kinds, and the shorter ones of ISO 639-1 that stand for the same language. BCP 47 has
/// only the shorter ones, but providers use either.
const THREE_LETTERS: [&str; 73] = [
    "alb sq", "ara ar", "arm hy", "aze az", "baq eu", "bel be", "bos bs", "bul bg", "cat ca", "ces cs",
    "chi zh", "cym cy", "cze cs", "dan da", "deu de", "dut nl", "ell el", "eng en", "est et", "eus eu",
    "fas fa", "fin fi", "fra fr", "fre fr", "geo ka", "ger de", "gle ga", "glg gl", "gre el", "heb he",
    "hin hi", "hrv hr", "hun hu", "hye hy", "ice is", "ind id", "isl is", "ita it", "jpn ja", "kat ka",
    "kaz kk", "kor ko", "lav lv", "lit lt", "ltz lb", "mac mk", "may ms", "mkd mk", "mlt mt", "msa ms",
    "nld nl", "nno nn", "nob nb", "nor no", "per fa", "pol pl", "por pt", "ron ro", "rum ro", "rus ru",
    "slk sk", "slo sk", "slv sl", "spa es", "sqi sq", "srp sr", "swe sv", "tha th", "tur tr", "ukr uk",
    "vie vi", "wel cy", "zho zh",
];

/// The language of a text by its tag: `en` of `en-GB`, `EN_gb` (in the case of the tag) and `eng`; `None` if the tag
/// names none in particular.
pub(crate) fn of_text(tag: &str) -> Option<&str> {
    let subtag = primary_subtag(tag.trim());
    let is_language = !subtag.is_empty() && !NO_LANGUAGE.iter().any(|none| none.eq_ignore_ascii_case(subtag));
    is_language.then(|| shortest(subtag))
}

fn primary_subtag(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or(tag)
}

/// The code of two letters for one of three, if there is one.
fn shortest(subtag: &str) -> &str {
    // Nearly all subtags have two letters.
    if subtag.len() != 3 {
        return subtag;
    }
    let mut pairs = THREE_LETTERS.iter().filter_map(|pair| pair.split_once(' '));
    pairs.find(|(three, _)| three.eq_ignore_ascii_case(subtag)).map_or(subtag, |(_, two)| two)
}

/// The primary subtag of a rule's language, in lower case; `field` names it in the error.
pub(crate) fn parse(tag: &str, field: impl FnOnce() -> String) -> Result<String, RuleError> {
    let subtag = primary_subtag(tag);
    let is_subtag = (2..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphabetic());
    require(is_subtag && tag.len() <= MAX_TAG, field, || {
        format!("must be a language tag such as `it` or `pt-BR`, is {}", excerpt(tag))
    })?;
    Ok(shortest(subtag).to_ascii_lowercase())
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
        check("ITA", Some("it"));
        check("fil", Some("fil"));
        check("pt_BR", Some("pt"));
        check(&format!("en-{}", "x".repeat(MAX_TAG - 3)), Some("en"));
        check(&format!("en-{}", "x".repeat(MAX_TAG - 2)), None);
        check("i-klingon", None);
        check("", None);
        check("e1", None);
        check("languages", None);
    }

    #[test]
    fn the_tag_of_a_text_may_name_no_language() {
        let check = |tag: &str, expected: Option<&str>| assert_eq!(of_text(tag), expected, "{tag:?}");
        for tag in ["", " ", "und", "UND", "und-Latn", "mul", "zxx", "x-default", "X_default"] {
            check(tag, None);
        }
        check("de_AT", Some("de"));
        check("DE", Some("DE"));
        for tag in ["deu", "ger", "GER-AT"] {
            check(tag, Some("de"));
        }
        check("xx", Some("xx"));
        check("tlh", Some("tlh"));
        let codes = THREE_LETTERS.map(|pair| pair.split_once(' ').unwrap());
        assert!(codes.is_sorted() && codes.iter().all(|(three, two)| three.len() == 3 && two.len() == 2));
    }
}
