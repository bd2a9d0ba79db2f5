//! Prepares texts of a document for display: removes terminal control characters, and selects the reader's language.

use std::borrow::Cow;
use std::collections::BTreeMap;

use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::dataflow::DecidedBy;
use dataflow_proto::analysis::v1::evidence::Kind;

/// Fallback languages if a dataflow has no name in the chosen one, best first.
const FALLBACK_LANGUAGES: [&str; 2] = ["it", "en"];

/// Names by language tag.
pub type Names = BTreeMap<String, String>;

/// The text on one line: line breaks and tabs become spaces, other invisible characters become U+FFFD.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(controls_terminal) {
        return Cow::Borrowed(text);
    }
    let shown = |character| match character {
        '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
        character if controls_terminal(character) => char::REPLACEMENT_CHARACTER,
        character => character,
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Whether a character controls the terminal instead of being displayed: C0 and C1 controls (U+009B alone starts an
/// escape sequence), the separators that break a line, and the embeddings, overrides and isolates that reorder it.
/// Plain direction marks are allowed: Arabic and Hebrew need them. All are in the basic plane.
pub fn controls_terminal(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The dataflow's name in the language, else in a fallback language, else in any, else its identifier.
pub(super) fn name<'a>(flow: &'a pb::Dataflow, lang: &str) -> Cow<'a, str> {
    name_of(&flow.id, &flow.names, lang)
}

/// The name of an object with this `id` and these names by language.
pub fn name_of<'a>(id: &'a str, names: &'a Names, lang: &str) -> Cow<'a, str> {
    printable(in_language(names, lang).map_or(id, |(_, name)| name).trim())
}

/// The text in the language, else in a fallback language, else in any, with its tag; `None` if all are blank.
pub(super) fn in_language<'a>(texts: &'a Names, lang: &str) -> Option<(&'a str, &'a str)> {
    let any = || texts.iter().find(|(_, text)| !text.trim().is_empty());
    let in_order = [lang].into_iter().chain(FALLBACK_LANGUAGES);
    let (tag, text) = in_order.into_iter().find_map(|lang| text_in(texts, lang)).or_else(any)?;
    Some((tag, text))
}

/// What decided a category, as one word; `-` if that is not known.
pub(super) fn decided_by(flow: &pb::Dataflow) -> &'static str {
    match flow.decided_by() {
        DecidedBy::Unspecified => "-",
        DecidedBy::Theme => "theme",
        DecidedBy::Rules => "rules",
        DecidedBy::Family => "family",
        DecidedBy::Nothing => "nothing",
    }
}

/// The strongest evidence for what decided the category, as text, in the language of the name that is shown if there is
/// any; that language is not named. The first evidence if it is not known what decided; `-` if there is none.
pub(super) fn reason<'a>(flow: &'a pb::Dataflow, lang: &str) -> Cow<'a, str> {
    let shown = in_language(&flow.names, lang).map_or("", |(tag, _)| language(tag));
    let has_decided = |evidence: &&pb::Evidence| match &evidence.kind {
        Some(Kind::Theme(theme)) => {
            flow.decided_by() == DecidedBy::Theme && !theme.deprecated && theme.category == flow.category
        }
        Some(Kind::Rule(_)) => !matches!(flow.decided_by(), DecidedBy::Theme | DecidedBy::Family),
        Some(Kind::Family(_)) => flow.decided_by() == DecidedBy::Family,
        None => false,
    };
    // The service lists the strongest first.
    let mut decided = flow.evidence.iter().filter(has_decided);
    let is_shown = |evidence: &&pb::Evidence| is_in(evidence, shown);
    let decisive = decided.clone().find(is_shown).or_else(|| decided.next()).or(flow.evidence.first());
    match decisive.map(|evidence| (evidence, &evidence.kind)) {
        None => "-".into(),
        Some((evidence, Some(Kind::Rule(rule)))) if is_in(evidence, shown) => {
            let field = rule.field.split('.').next().unwrap_or_default();
            printable(&format!("{} in {field}", rule.keyword)).into_owned().into()
        }
        Some((evidence, _)) => why(evidence, lang).into(),
    }
}

/// Whether evidence is from a text in this language, or from one without a language.
fn is_in(evidence: &pb::Evidence, shown: &str) -> bool {
    let Some(Kind::Rule(rule)) = &evidence.kind else { return true };
    rule.field.split_once('.').is_none_or(|(_, tag)| language(tag).eq_ignore_ascii_case(shown))
}

/// One evidence of a category, as text: a theme by its name in the language, else by the ids of its path.
pub fn why(evidence: &pb::Evidence, lang: &str) -> String {
    let why = match &evidence.kind {
        Some(Kind::Theme(theme)) => {
            let path = theme.path.join("/");
            let parent = Some(&theme.inherited_from).filter(|parent| !parent.is_empty());
            let from = parent.map_or_else(String::new, |parent| format!(" of {parent}"));
            let ended = if theme.deprecated { ", ended" } else { "" };
            format!("theme {}{from}{ended}", name_of(&path, &theme.names, lang))
        }
        Some(Kind::Rule(rule)) => format!("{} in {}", rule.keyword, rule.field),
        Some(Kind::Family(family)) => format!("family {} of {}", family.key, family.members),
        None => "-".to_owned(),
    };
    printable(&why).into_owned()
}

/// The text with exactly this tag, else with the first tag of the same language, for instance `en-GB` for `en`.
fn text_in<'a>(texts: &'a Names, lang: &str) -> Option<(&'a String, &'a String)> {
    let related = || texts.iter().find(|(tag, _)| language(tag).eq_ignore_ascii_case(language(lang)));
    let found = texts.get_key_value(lang).or_else(related)?;
    (!found.1.trim().is_empty()).then_some(found)
}

/// The primary subtag.
fn language(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_text_has_no_control_characters() {
        let check = |input, expected| assert_eq!(printable(input), expected);
        check("Popolazione è già 人口", "Popolazione è già 人口");
        check("two\nlines\tand\r\nmore", "two lines and  more");
        check("\u{1b}[31mred\u{7}\0\u{7f}", "\u{fffd}[31mred\u{fffd}\u{fffd}\u{fffd}");
        check("\u{9b}2J", "\u{fffd}2J");
        check("\u{202e}gnp.exe", "\u{fffd}gnp.exe");
    }

    #[test]
    fn the_name_falls_back_by_language() {
        let check = |lang, names: &[(&str, &str)], expected| {
            let names = names.iter().map(|&(tag, name)| (tag.into(), name.into())).collect();
            let flow = pb::Dataflow { id: "ID".into(), names, ..Default::default() };
            assert_eq!(name(&flow, lang), expected);
        };
        check("fr", &[("de", "D"), ("en", "E"), ("fr", "F"), ("it", "I")], "F");
        check("fr", &[("de", "D"), ("en", "E"), ("it", "I")], "I");
        check("fr", &[("de", "D"), ("en", "E")], "E");
        check("fr", &[("de", "D"), ("es", "S")], "D");
        check("fr", &[], "ID");
        check("en", &[("EN-gb", "British"), ("it", "I")], "British");
        check("en-GB", &[("en", "E"), ("it", "I")], "E");
        check("en", &[("en", " \n"), ("it", "I")], "I");
        check("en", &[("und", "  padded ")], "padded");
    }
}
