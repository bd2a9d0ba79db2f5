//! The syntax of a keyword in [`Mode::Words`](super::Mode).
//!
//! | written | matches |
//! |---|---|
//! | `popolazione` | the whole word, regardless of case and accents |
//! | `demograf*` | any word with this prefix |
//! | `*produktion` | any word with this suffix |
//! | `*preis*` | any word that contains this (compounds: Verbraucherpreisindex) |
//! | `forze di lavoro` | these words in sequence, separated by anything except letters and digits |
//! | `forz* lavor*` | the same with prefixes; a leading `*` on the first word only |
//! | `id:hlth` | a whole token of the dataflow's id (`hlth_cd_aro`), not its texts |
//! | `id:nama_10*` | consecutive tokens of the id, the last one as a prefix |
//! | `id:ESTAT/hlth` | the same in ids of this agency and of its sub-agencies, and of dataflows without an agency |

use super::error::{RuleError, excerpt};
use super::fold::{SPACE, UNDERSCORE, fold_into};
use super::limits::MAX_KEYWORD;

/// Description of a valid keyword, for messages.
const EXPECTED: &str = "words, or `id:` and tokens, where each may end in `*` and the first may start with `*`, next \
                        to at least two letters, and an agency and `/` may precede the tokens";

/// A keyword in folded form: runs of text with gaps between words, split where a `*` inside a phrase allows a word to
/// continue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Keyword {
    /// The pattern for the automaton. Starts and ends with a gap, except at a `*`.
    pub(super) head: Vec<u8>,
    /// Whether a `*` preceded it, so that it may start inside a word.
    pub(super) infix: bool,
    /// The runs that must follow, each after the rest of a word. Each starts with a gap.
    tails: Box<[Vec<u8>]>,
    /// The gap byte: distinguishes id keywords from text keywords.
    pub(super) gap: u8,
    /// The agency whose ids are meant, for an id keyword that names one.
    agency: Option<Box<str>>,
}

impl Keyword {
    /// Parses a keyword; `field` names it in the error.
    pub(super) fn parse(written: &str, field: impl FnOnce() -> String) -> Result<Self, RuleError> {
        Self::read(written).ok_or_else(|| RuleError { field: field(), problem: problem(EXPECTED, written) })
    }

    fn read(written: &str) -> Option<Self> {
        if written.len() > MAX_KEYWORD {
            return None;
        }
        let written = written.trim();
        let (gap, agency, text) = match written.strip_prefix("id:") {
            Some(tokens) => match tokens.split_once('/') {
                Some((agency, tokens)) => (UNDERSCORE, Some(read_agency(agency)?), tokens.trim()),
                None => (UNDERSCORE, None, tokens.trim()),
            },
            None => (SPACE, None, written),
        };
        let (infix, text) = text.strip_prefix('*').map_or((false, text), |rest| (true, rest));
        let (open_end, text) = text.strip_suffix('*').map_or((false, text), |rest| (true, rest));

        let parts: Vec<&str> = text.split('*').collect();
        let last = parts.len() - 1;
        let mut runs = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            let word_goes_on = index < last || open_end;
            // A `*` belongs to the word before it, never to the one after it, nor to white space.
            let starred_start = index > 0 && part.starts_with(char::is_alphanumeric);
            let starred_blank = (word_goes_on && part.ends_with(char::is_whitespace))
                || (index == 0 && infix && part.starts_with(char::is_whitespace));
            if starred_start || starred_blank {
                return None;
            }
            runs.push(run(part, gap, index == 0 && infix, word_goes_on)?);
        }
        let mut head = runs.remove(0);
        if infix {
            head.remove(0);
        }
        Some(Self { head, infix, tails: runs.into(), gap, agency })
    }

    /// Whether dataflows of this agency are meant: of the one that the keyword names or of a sub-agency (`OECD.SDD` of
    /// `OECD`). Like a text without a language, a dataflow without an agency is never excluded.
    pub(super) fn is_of(&self, agency: &str) -> bool {
        let Some(wanted) = self.agency.as_deref() else { return true };
        let is_prefix = || agency.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted));
        agency.is_empty() || (is_prefix() && matches!(agency.as_bytes().get(wanted.len()), None | Some(b'.')))
    }

    /// Whether nothing but the head has to match: no tails, no agency, and the gap of the head tells ids from texts.
    pub(super) fn is_head_only(&self) -> bool {
        self.tails.is_empty() && self.agency.is_none() && !self.infix
    }

    /// Whether the rest of the keyword matches, after its head was found in a folded text up to `end`: the text is of
    /// the right kind, and the tails follow.
    pub(super) fn matches(&self, text: &[u8], mut end: usize) -> bool {
        text.first() == Some(&self.gap)
            && self.tails.iter().all(|tail| {
                // The text ends with a gap, so there is always one.
                end += text[end..].iter().position(|byte| *byte == self.gap).unwrap_or(0);
                let follows = text[end..].starts_with(tail);
                end += tail.len();
                follows
            })
    }

    /// Bytes of folded text.
    pub(super) fn bytes(&self) -> usize {
        self.head.len() + self.tails.iter().map(Vec::len).sum::<usize>()
    }
}

/// An agency as SDMX writes it: parts of letters, digits, `-` and `_`, separated by dots.
fn read_agency(written: &str) -> Option<Box<str>> {
    let written = written.trim();
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    written.split('.').all(is_part).then(|| written.into())
}

/// One run of words, without its last gap before a `*`. `None` if it has no word, or if a `*` is next to a single
/// character, which would match nearly everything.
fn run(part: &str, gap: u8, open_start: bool, open_end: bool) -> Option<Vec<u8>> {
    // What folding needs, with both gaps.
    let mut run = Vec::with_capacity(part.len() + 10);
    fold_into(part, gap, &mut run);
    let begins_letter = |byte: &&u8| **byte != gap && !(0x80..0xc0).contains(*byte);
    let letters = run.iter().filter(begins_letter).count();
    let least = if open_start || open_end { 2 } else { 1 };
    if open_end {
        run.pop();
    }
    (letters >= least).then_some(run)
}

/// The message for an invalid keyword.
pub(super) fn problem(expected: &str, found: &str) -> String {
    format!("must be {expected}, in at most {MAX_KEYWORD} bytes; is {}", excerpt(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` shows the patterns, with a `*` where a word may start earlier or continue.
    #[track_caller]
    fn check(written: &str, expected: Option<&str>) {
        let shown = Keyword::read(written).map(|keyword| {
            let runs = std::iter::once(&keyword.head).chain(&keyword.tails);
            let runs: Vec<&str> = runs.map(|run| std::str::from_utf8(run).unwrap()).collect();
            format!("{}{}", if keyword.infix { "*" } else { "" }, runs.join("*"))
        });
        assert_eq!(shown.as_deref(), expected, "{written:?}");
    }

    #[test]
    fn words_prefixes_phrases_and_ids_are_parsed() {
        check("popolazione", Some(" popolazione "));
        check(" Università ", Some(" universita "));
        check("demograf*", Some(" demograf"));
        check("*produktion", Some("*produktion "));
        check("*preis*", Some("*preis"));
        check("forze di lavoro", Some(" forze di lavoro "));
        check("forz* di lavor*", Some(" forz* di lavor"));
        check("R&D", Some(" r d "));
        check("id:hlth", Some("_hlth_"));
        check("id:NAMA_10*", Some("_nama_10"));
        check("id:OECD.SDD/nama_10*", Some("_nama_10"));
    }

    #[test]
    fn id_keywords_may_name_an_agency() {
        let keyword = Keyword::read("id:OECD/hlth").unwrap();
        let agencies = ["OECD", "oecd", "OECD.SDD.TPS", "", "OECDX", "XOECD", "OEC", "Ö"];
        assert_eq!(
            agencies.map(|agency| keyword.is_of(agency)),
            [true, true, true, true, false, false, false, false]
        );
        assert!(Keyword::read("id:hlth").unwrap().is_of("XX"));
        for written in ["id:/hlth", "id:A..B/hlth", "id:A B/hlth", "id:A/", "id:A/*"] {
            check(written, None);
        }
    }

    #[test]
    fn keywords_without_text_are_rejected() {
        for written in ["", " ", "*", "**", "id:", "id:*", "a*", "*a", "--", "a* b", "я*"] {
            check(written, None);
        }
        check(&"x".repeat(256), Some(&format!(" {} ", "x".repeat(256))));
        check(&"x".repeat(257), None);
    }

    #[test]
    fn a_star_inside_or_beside_a_word_is_rejected() {
        for written in ["demo*fia", "demo *", "* demo", "forze *lavoro", "id:nama *"] {
            check(written, None);
        }
    }

    #[test]
    fn tails_follow_the_rest_of_a_word() {
        let keyword = Keyword::read("forz* di lavor*").unwrap();
        for (haystack, expected) in
            [(" forze di lavoro ", true), (" forz di lavori ", true), (" forze  di lavoro ", false)]
        {
            assert_eq!(keyword.matches(haystack.as_bytes(), 5), expected, "{haystack:?}");
        }
    }
}
