//! [`Mode::Words`](super::Mode): matches whole words, as a person would.
//!
//! All texts of a dataflow are folded into one haystack. It is searched once for keywords that start at a word boundary
//! and, if some rule has keywords that start with `*`, once more for those. A keyword adds priority x weight to its
//! category once per dataflow, independent of the number of matches and texts. The highest sum wins; ties go to the
//! category with the higher single priority among its matches, then to the lower rule id.
//!
//! Confidence is `s / (s + r + SMOOTHING)`, where `s` are the winner's points and `r` the runner-up's: it grows with
//! the evidence and with the margin, and is always below 1.

use std::cmp::Reverse;

use self::prepared::{ALL_LANGUAGES, LanguageMask, PreparedKeyword, PreparedRule, PreparedSet};
use super::automaton::{Automaton, Marks, Occurrence};
use super::error::RuleError;
use super::fold::{Offsets, SPACE, UNDERSCORE, fold_into};
use super::language::primary_subtag;
use super::limits::MAX_COMPARISONS;
use super::{Category, Field, MAX_EVIDENCE, Match, Rule, Subject, Verdict};

mod prepared;

/// Added to the denominator of the confidence, for what the texts do not state. Slightly less than one match of the
/// default priority, so that a single match gives a confidence slightly above one half.
const SMOOTHING: f64 = 4.0;

#[derive(Debug)]
pub(super) struct Engine {
    rules: Box<[PreparedRule]>,
    keywords: Box<[PreparedKeyword]>,
    /// Heads that start at a word boundary; the entries of a head are indexes of `keywords`.
    words: Automaton<usize>,
    /// Heads that may start inside a word, and the languages of their rules.
    infixes: Automaton<usize>,
    infix_languages: LanguageMask,
    /// Bit `n` of a mask stands for `languages[n]`.
    languages: Box<[String]>,
}

#[derive(Debug, Default)]
pub(super) struct Scratch {
    haystack: Vec<u8>,
    /// The start of each text in the haystack, and its language: id, names, descriptions.
    texts: Vec<(usize, LanguageMask)>,
    /// Keywords that have counted, and the first position of each.
    seen: Marks,
    /// Heads all of whose keywords have counted: of words, then of infixes.
    done: [Marks; 2],
    hits: Vec<Hit>,
}

/// Ordered like evidence: by text, then by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hit {
    text: usize,
    /// First letter, in bytes of the folded text.
    at: usize,
    keyword: usize,
}

/// The points of one category; the greatest tally wins. The second part is the highest single priority and, among the
/// rules with it, the first by id.
type Tally = (i32, Option<(i32, Reverse<usize>)>);

impl Engine {
    pub(super) fn new(rules: &[Rule]) -> Result<Self, RuleError> {
        let PreparedSet { rules, keywords, languages } = PreparedSet::new(rules)?;
        let heads = |infix: bool| {
            let indexed = keywords.iter().enumerate();
            let chosen = indexed.filter(move |(_, keyword)| keyword.pattern.infix == infix);
            chosen.map(|(index, keyword)| (keyword.pattern.head.clone(), index))
        };
        let infixes = keywords.iter().filter(|keyword| keyword.pattern.infix);
        Ok(Self {
            words: Automaton::new(heads(false)),
            infixes: Automaton::new(heads(true)),
            infix_languages: infixes.fold(0, |mask, keyword| mask | rules[keyword.rule].languages),
            rules: rules.into(),
            keywords: keywords.into(),
            languages: languages.into(),
        })
    }

    pub(super) fn categorize<'a>(&'a self, subject: &Subject<'a>, scratch: &mut Scratch) -> Verdict<'a> {
        self.fold(subject, scratch);
        let tallies = self.search(scratch);
        let Some((category, (score, _))) =
            Category::ALL.into_iter().zip(tallies).max_by_key(|(_, tally)| *tally).filter(|(_, t)| t.0 > 0)
        else {
            return Verdict::NONE;
        };
        let others = Category::ALL.into_iter().zip(tallies).filter(|(other, _)| *other != category);
        let runner_up = others.map(|(_, tally)| tally.0).max().unwrap_or(0);
        let confidence = f64::from(score) / (f64::from(score) + f64::from(runner_up) + SMOOTHING);
        Verdict { category, score, confidence, evidence: self.evidence(category, subject, scratch) }
    }

    /// Fills the haystack.
    fn fold(&self, subject: &Subject<'_>, scratch: &mut Scratch) {
        scratch.haystack.clear();
        scratch.texts.clear();
        scratch.texts.push((0, ALL_LANGUAGES));
        fold_into(subject.id, UNDERSCORE, &mut scratch.haystack);
        for (language, text) in subject.names.iter().chain(subject.descriptions) {
            scratch.texts.push((scratch.haystack.len(), self.mask_of(language)));
            fold_into(text, SPACE, &mut scratch.haystack);
        }
    }

    /// Collects one hit per matching keyword, and sums up the points.
    fn search(&self, scratch: &mut Scratch) -> [Tally; 7] {
        let Scratch { haystack, texts, seen, done: [words_done, infixes_done], hits } = scratch;
        let mut tallies = [(0, None); 7];
        seen.reset(self.keywords.len());
        words_done.reset(self.words.patterns());
        infixes_done.reset(self.infixes.patterns());
        hits.clear();
        let mut comparisons = MAX_COMPARISONS;
        for (text, &(start, language)) in texts.iter().enumerate() {
            let end = texts.get(text + 1).map_or(haystack.len(), |(start, _)| *start);
            let haystack = &haystack[start..end];
            let mut on_match = |found: Occurrence, keywords: &[usize], done: &mut Marks| {
                if keywords.len() > comparisons || done.contains(found.pattern) {
                    return;
                }
                comparisons -= keywords.len();
                let mut counted = 0;
                for &index in keywords {
                    let keyword = &self.keywords[index];
                    let rule = &self.rules[keyword.rule];
                    if seen.contains(index) {
                        counted += 1;
                        continue;
                    }
                    if (rule.languages != ALL_LANGUAGES && rule.languages & language == 0)
                        || !keyword.pattern.matches(haystack, found.end)
                    {
                        continue;
                    }
                    seen.insert(index);
                    counted += 1;
                    let at = found.start + usize::from(!keyword.pattern.infix);
                    hits.push(Hit { text, at, keyword: index });
                    let (points, strongest) = &mut tallies[rule.category.index()];
                    *points = i32::saturating_add(*points, keyword.points);
                    *strongest = (*strongest).max(Some((rule.priority, Reverse(rule.rank))));
                }
                if counted == keywords.len() {
                    done.insert(found.pattern);
                }
            };
            self.words.search(haystack, |found, keywords| on_match(found, keywords, words_done));
            if self.infix_languages == ALL_LANGUAGES || self.infix_languages & language != 0 {
                self.infixes.search(haystack, |found, keywords| on_match(found, keywords, infixes_done));
            }
        }
        tallies
    }

    /// The first hits of the winning category, as evidence.
    fn evidence<'a>(
        &'a self,
        winner: Category,
        subject: &Subject<'a>,
        scratch: &mut Scratch,
    ) -> Vec<Match<'a>> {
        let hits = &mut scratch.hits;
        hits.retain(|hit| self.rules[self.keywords[hit.keyword].rule].category == winner);
        hits.sort_unstable();
        hits.truncate(MAX_EVIDENCE);
        let mut evidence = Vec::with_capacity(hits.len());
        for hits in hits.chunk_by(|one, next| one.text == next.text) {
            let text = hits[0].text;
            let (field, written, gap) = field(subject, text);
            let mut offsets = Offsets::new(written, gap);
            evidence.extend(hits.iter().map(|hit| {
                let keyword = &self.keywords[hit.keyword];
                let rule_id = &self.rules[keyword.rule].id;
                let offset = offsets.at(hit.at);
                Match { rule_id, keyword: &keyword.written, field, offset }
            }));
        }
        evidence
    }

    /// The mask of a text: the bit of its language, none if no rule names that language, all if the text has no
    /// language.
    fn mask_of(&self, language: &str) -> LanguageMask {
        if language.is_empty() {
            return ALL_LANGUAGES;
        }
        let subtag = primary_subtag(language);
        let bit = self.languages.iter().position(|known| known.eq_ignore_ascii_case(subtag));
        bit.map_or(0, |bit| 1 << bit)
    }
}

/// The text with this index in the haystack: id, names, descriptions.
fn field<'a>(subject: &Subject<'a>, number: usize) -> (Field<'a>, &'a str, u8) {
    let Some(number) = number.checked_sub(1) else { return (Field::Id, subject.id, UNDERSCORE) };
    match number.checked_sub(subject.names.len()) {
        None => {
            let (language, text) = &subject.names[number];
            (Field::Name(language), text, SPACE)
        }
        Some(number) => {
            let (language, text) = &subject.descriptions[number];
            (Field::Description(language), text, SPACE)
        }
    }
}

#[cfg(test)]
mod tests;
