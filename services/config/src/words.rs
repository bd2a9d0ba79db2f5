//! What mode WORDS asks of keywords and languages. The engine in the analysis service has the last word on them; these
//! are the same rules, told to whoever writes a set before any engine sees it. A test beside both holds them equal.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Fewest letters beside a `*`: a single one would match nearly everything.
const LETTERS_BESIDE_STAR: usize = 2;

/// What a keyword may be, for messages.
pub(crate) const KEYWORD: &str = "words, or `id:` and tokens, where each may end in `*` and the first may begin with \
                                  `*`, beside two letters or more";

/// Whether a keyword can be looked for: each run of words between its `*` holds letters or digits, and no `*` stands
/// before a word other than the first, or beside a blank.
pub(crate) fn is_keyword(written: &str) -> bool {
    let written = written.trim();
    let text = written.strip_prefix("id:").map_or(written, str::trim);
    let (open_start, text) = text.strip_prefix('*').map_or((false, text), |rest| (true, rest));
    let (open_end, text) = text.strip_suffix('*').map_or((false, text), |rest| (true, rest));
    let last = text.matches('*').count();
    text.split('*').enumerate().all(|(index, run)| {
        let star_before = index == 0 && open_start;
        let star_after = index < last || open_end;
        let least = if star_before || star_after { LETTERS_BESIDE_STAR } else { 1 };
        letters(run) >= least
            && !(index > 0 && run.starts_with(char::is_alphanumeric))
            && !(star_before && run.starts_with(char::is_whitespace))
            && !(star_after && run.ends_with(char::is_whitespace))
    })
}

/// Letters and digits that are left of a text once accents are dropped and ligatures spelled out.
fn letters(text: &str) -> usize {
    let count = |letter: char| match letter {
        'ß' | 'œ' | 'æ' | 'þ' => 2,
        // Letters by their Unicode class, but written as apostrophes.
        '\u{2bb}' | '\u{2bc}' => 0,
        letter => usize::from(letter.is_alphanumeric() && !is_combining_mark(letter)),
    };
    text.nfkd().flat_map(char::to_lowercase).map(count).sum()
}

/// `en` of `en-GB` and `EN_gb`; nothing if that is no language.
pub(crate) fn primary_subtag(tag: &str) -> Option<String> {
    let subtag = tag.split(['-', '_']).next().unwrap_or(tag);
    let right = (2..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphabetic());
    right.then(|| subtag.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_at_ends_of_words_beside_two_letters_and_blanks_are_no_keywords() {
        let check = |expected: bool, keywords: &[&str]| {
            for keyword in keywords {
                assert_eq!(is_keyword(keyword), expected, "{keyword:?}");
            }
        };
        check(
            true,
            &["popolazione", " Università ", "x", "demograf*", "*produktion", "*preis*", "ß*", "人口*"],
        );
        check(true, &["forze di lavoro", "forz* di lavor*", "R&D", "id:hlth", "id: NAMA_10*", "co2*", "№"]);
        check(
            false,
            &["", " ", "*", "**", "--", "id:", "id:*", "a*", "*a", "è*", "e\u{300}*", "人*", "a* b"],
        );
        check(
            false,
            &["demo*fia", "demo *", "* demo", "forze *lavoro", "id:nama *", "demo**", "\u{2bc}", "\u{301}"],
        );
    }

    #[test]
    fn languages_go_by_their_first_part() {
        let check = |tag: &str, expected: Option<&str>| {
            assert_eq!(primary_subtag(tag).as_deref(), expected, "{tag:?}");
        };
        check("it", Some("it"));
        check("EN-gb", Some("en"));
        check("pt_BR", Some("pt"));
        check("i-klingon", None);
        check("", None);
        check("e1", None);
        check("languages", None);
    }
}
