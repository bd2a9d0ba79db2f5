//! [`Mode::Words`](super::Mode): what a person would call a match.
//!
//! All texts of a dataflow are folded into one haystack, which is searched once for keywords that begin a word (and,
//! where some rule has keywords that begin with `*`, once more for those). A keyword adds
//! priority x weight to its category, once a dataflow, however often and in however many texts it
//! stands. The highest sum wins; ties go to the category with the higher single priority among its
//! matches, then to the lower rule id.
//!
//! Confidence is `s / (s + r + DOUBT)`, where `s` are the winner's points and `r` the runner-up's:
//! it rises with the evidence and with the margin, and never reaches 1.

use std::cmp::Reverse;

use self::prepared::{ALL, Entry, Languages, Prepared, Speaker};
use super::automaton::{Automaton, Found, Marks};
use super::error::RuleError;
use super::fold::{Offsets, SPACE, UNDERSCORE, fold_into};
use super::language::primary_subtag;
use super::{Category, Field, MAX_EVIDENCE, Match, Rule, Subject, Verdict};

mod prepared;

/// Points against every verdict, for what the texts did not say. A little less than one match of
/// the default priority, so that a lone match is believed a little more than not.
const DOUBT: f64 = 4.0;

#[derive(Debug)]
pub(super) struct Engine {
    rules: Box<[Speaker]>,
    entries: Box<[Entry]>,
    /// Heads that begin with a word; a head stands for entries by index.
    words: Automaton<usize>,
    /// Heads that may begin inside a word, and the languages that have any.
    infixes: Automaton<usize>,
    infix_languages: Languages,
    /// Bit `n` of a mask is `languages[n]`.
    languages: Box<[String]>,
}

#[derive(Debug, Default)]
pub(super) struct Scratch {
    haystack: Vec<u8>,
    /// Where each text starts in the haystack, and its language: id, names, descriptions.
    texts: Vec<(usize, Languages)>,
    /// Entries that have counted, and where each stood first.
    seen: Marks,
    hits: Vec<Hit>,
}

/// Ordered as evidence is: by text, then by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hit {
    text: usize,
    /// First letter, in bytes of the folded text.
    at: usize,
    entry: usize,
}

/// What has been said for one category; the greatest wins. The second part is the highest single
/// priority and, of the rules with it, the first by id.
type Tally = (i32, Option<(i32, Reverse<usize>)>);

impl Engine {
    pub(super) fn new(rules: &[Rule]) -> Result<Self, RuleError> {
        let Prepared { rules, entries, languages } = Prepared::new(rules)?;
        let heads = |infix: bool| {
            let indexed = entries.iter().enumerate();
            let chosen = indexed.filter(move |(_, entry)| entry.keyword.infix == infix);
            chosen.map(|(index, entry)| (entry.keyword.head.clone(), index))
        };
        let infixes = entries.iter().filter(|entry| entry.keyword.infix);
        Ok(Self {
            words: Automaton::new(heads(false)),
            infixes: Automaton::new(heads(true)),
            infix_languages: infixes.fold(0, |mask, entry| mask | rules[entry.rule].languages),
            rules: rules.into(),
            entries: entries.into(),
            languages: languages.into(),
        })
    }

    pub(super) fn categorise<'a>(&'a self, subject: &Subject<'a>, scratch: &mut Scratch) -> Verdict<'a> {
        self.fold(subject, scratch);
        let tallies = self.search(scratch);
        let Some((category, (score, _))) =
            Category::ALL.into_iter().zip(tallies).max_by_key(|(_, tally)| *tally).filter(|(_, t)| t.0 > 0)
        else {
            return Verdict::NONE;
        };
        let others = Category::ALL.into_iter().zip(tallies).filter(|(other, _)| *other != category);
        let runner_up = others.map(|(_, tally)| tally.0).max().unwrap_or(0);
        let confidence = f64::from(score) / (f64::from(score) + f64::from(runner_up) + DOUBT);
        Verdict { category, score, confidence, evidence: self.evidence(category, subject, scratch) }
    }

    /// Fills the haystack.
    fn fold(&self, subject: &Subject<'_>, scratch: &mut Scratch) {
        scratch.haystack.clear();
        scratch.texts.clear();
        scratch.texts.push((0, ALL));
        fold_into(subject.id, UNDERSCORE, &mut scratch.haystack);
        for (language, text) in subject.names.iter().chain(subject.descriptions) {
            scratch.texts.push((scratch.haystack.len(), self.mask_of(language)));
            fold_into(text, SPACE, &mut scratch.haystack);
        }
    }

    /// Collects one hit for each entry that counts, and adds up what they say.
    fn search(&self, scratch: &mut Scratch) -> [Tally; 7] {
        let Scratch { haystack, texts, seen, hits, .. } = scratch;
        let mut tallies = [(0, None); 7];
        seen.reset(self.entries.len());
        hits.clear();
        for (text, &(start, language)) in texts.iter().enumerate() {
            let end = texts.get(text + 1).map_or(haystack.len(), |(start, _)| *start);
            let haystack = &haystack[start..end];
            let mut found = |found: Found, entries: &[usize]| {
                for &index in entries {
                    let entry = &self.entries[index];
                    let rule = &self.rules[entry.rule];
                    if (rule.languages != ALL && rule.languages & language == 0)
                        || !entry.keyword.holds(haystack, found.end)
                        || !seen.insert(index)
                    {
                        continue;
                    }
                    let at = found.start + usize::from(!entry.keyword.infix);
                    hits.push(Hit { text, at, entry: index });
                    let (points, strongest) = &mut tallies[rule.category.index()];
                    *points = i32::saturating_add(*points, entry.points);
                    *strongest = (*strongest).max(Some((rule.priority, Reverse(rule.rank))));
                }
            };
            self.words.search(haystack, &mut found);
            if self.infix_languages == ALL || self.infix_languages & language != 0 {
                self.infixes.search(haystack, found);
            }
        }
        tallies
    }

    /// The first hits of the winner, as the caller sees them.
    fn evidence<'a>(
        &'a self,
        winner: Category,
        subject: &Subject<'a>,
        scratch: &mut Scratch,
    ) -> Vec<Match<'a>> {
        let hits = &mut scratch.hits;
        hits.retain(|hit| self.rules[self.entries[hit.entry].rule].category == winner);
        hits.sort_unstable();
        hits.truncate(MAX_EVIDENCE);
        let mut evidence = Vec::with_capacity(hits.len());
        for hits in hits.chunk_by(|one, next| one.text == next.text) {
            let text = hits[0].text;
            let (field, written, gap) = field(subject, text);
            let mut offsets = Offsets::new(written, gap);
            evidence.extend(hits.iter().map(|hit| {
                let entry = &self.entries[hit.entry];
                let rule_id = &self.rules[entry.rule].id;
                let offset = offsets.at(hit.at);
                Match { rule_id, keyword: &entry.written, field, offset }
            }));
        }
        evidence
    }

    /// The mask of a text: its language's bit, none if no rule asks for it, all if it has none.
    fn mask_of(&self, language: &str) -> Languages {
        if language.is_empty() {
            return ALL;
        }
        let subtag = primary_subtag(language);
        let bit = self.languages.iter().position(|known| known.eq_ignore_ascii_case(subtag));
        bit.map_or(0, |bit| 1 << bit)
    }
}

/// The text with this number in the haystack: id, names, descriptions.
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
