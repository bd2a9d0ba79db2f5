//! [`Mode::Words`](super::Mode): matches whole words, as a person would.
//!
//! All texts of a dataflow are folded into one haystack. Keywords that begin with a word are looked up at the start of
//! each word; keywords that begin with `*` are searched for by an automaton, in texts of their languages. A keyword adds priority x weight to its
//! category once per dataflow, independent of the number of matches, with the weight of the text that weighs most: names
//! and ids 1, a breakdown in a name 0.5, descriptions 0.3. The highest sum wins; ties go to the category with the higher
//! single priority among its matches, then to the lower rule id.

use std::cmp::Reverse;

use self::prepared::{ALL_LANGUAGES, LanguageMask, PreparedKeyword, PreparedRule, PreparedSet};
use super::automaton::{Automaton, Marks, Occurrence};
use super::error::RuleError;
use super::fold::{Offsets, SPACE, UNDERSCORE, fold_into};
use super::keyword::Keyword;
use super::language;
use super::limits::MAX_COMPARISONS;
use super::points::Tenths;
use super::starts::{SLACK, Starts};
use super::visible::{Visible, visible};
use super::{Category, Field, MAX_EVIDENCE, Match, Points, Rule, Subject, Verdict, calibration};

mod prepared;

/// The index of the id among the texts.
const ID: usize = 0;

/// The weight of a name, in tenths.
const NAME: Tenths = 10;
/// The weight of what a name says after a word such as "by": the breakdown, less likely the subject.
const BREAKDOWN: Tenths = 5;
/// The weight of a description: long ones mention much besides the subject.
const DESCRIPTION: Tenths = 3;

/// Words of names after which the breakdown follows.
const BREAKDOWN_WORDS: [&str; 7] = ["by", "per", "par", "selon", "nach", "por", "segun"];
/// In place of the index of a keyword, for a breakdown word.
const IS_BREAKDOWN_WORD: usize = usize::MAX;

#[derive(Debug)]
pub(super) struct Engine {
    rules: Box<[PreparedRule]>,
    keywords: Box<[PreparedKeyword]>,
    /// Heads that start at the start of a word of a text; the entries of a head are indexes of `keywords`.
    words: Starts<usize>,
    /// The same of tokens of an id.
    tokens: Starts<usize>,
    /// Heads that may start inside a word, the languages of their rules, and whether some are for ids.
    infixes: Automaton<usize>,
    infix_languages: LanguageMask,
    has_infixes_of_ids: bool,
    /// Bit `n` of a mask stands for `languages[n]`.
    languages: Box<[String]>,
}

#[derive(Debug, Default)]
pub(super) struct Scratch {
    haystack: Vec<u8>,
    /// Id, names (the id once more if there are none), descriptions.
    texts: Vec<Text>,
    /// Keywords that have counted.
    seen: Marks,
    /// The index in `hits` of each keyword that has counted.
    slots: Vec<u32>,
    /// Heads all of whose keywords have counted: of words, then of tokens, then of infixes.
    done: [Marks; 3],
    hits: Vec<Hit>,
}

/// A text in the haystack.
#[derive(Debug, Clone, Copy)]
struct Text {
    start: usize,
    language: LanguageMask,
    /// Whether it is not as the provider wrote it.
    is_rewritten: bool,
}

/// Ordered by text, then by position; evidence with the same points has this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hit {
    text: usize,
    /// First letter, in bytes of the folded text.
    at: usize,
    keyword: usize,
    weight: Tenths,
}

/// The points of one category. The second part decides ties: the highest single priority and, among the rules with it,
/// the first by id.
type Tally = (Tenths, Option<(i32, Reverse<usize>)>);

impl Engine {
    pub(super) fn new(rules: &[Rule]) -> Result<Self, RuleError> {
        let PreparedSet { rules, keywords, languages } = PreparedSet::new(rules)?;
        let heads = |is_chosen: fn(&Keyword) -> bool| {
            let chosen = keywords.iter().enumerate().filter(move |(_, keyword)| is_chosen(&keyword.pattern));
            chosen.map(|(index, keyword)| (keyword.pattern.head.clone(), index))
        };
        let words = heads(|keyword| !keyword.infix && keyword.gap == SPACE);
        let tokens = heads(|keyword| !keyword.infix && keyword.gap == UNDERSCORE);
        let infixes = keywords.iter().filter(|keyword| keyword.pattern.infix);
        let breakdowns =
            BREAKDOWN_WORDS.iter().map(|word| (format!(" {word} ").into_bytes(), IS_BREAKDOWN_WORD));
        Ok(Self {
            words: Starts::new(SPACE, words.chain(breakdowns)),
            tokens: Starts::new(UNDERSCORE, tokens),
            infixes: Automaton::new(heads(|keyword| keyword.infix)),
            has_infixes_of_ids: infixes.clone().any(|keyword| keyword.pattern.gap == UNDERSCORE),
            infix_languages: infixes.fold(0, |mask, keyword| mask | rules[keyword.rule].languages),
            rules: rules.into(),
            keywords: keywords.into(),
            languages: languages.into(),
        })
    }

    pub(super) fn categorize<'a>(&'a self, subject: &Subject<'a>, scratch: &mut Scratch) -> Verdict<'a> {
        let points = self.points(subject, scratch);
        let Some(winner) = points.winner(&[0.0; Category::ALL.len()]) else {
            return Verdict::none(calibration::NO_EVIDENCE);
        };
        let evidence = self.evidence(winner.category, subject, scratch);
        Verdict {
            category: winner.category,
            score: winner.score,
            confidence: winner.confidence,
            points,
            evidence,
        }
    }

    /// The strongest matches for a category, as evidence.
    pub(super) fn evidence_for<'a>(
        &'a self,
        category: Category,
        subject: &Subject<'a>,
        scratch: &mut Scratch,
    ) -> Vec<Match<'a>> {
        self.points(subject, scratch);
        self.evidence(category, subject, scratch)
    }

    fn points(&self, subject: &Subject<'_>, scratch: &mut Scratch) -> Points {
        self.fold(subject, scratch);
        Points::new(self.search(subject, scratch))
    }

    /// Fills the haystack.
    fn fold(&self, subject: &Subject<'_>, scratch: &mut Scratch) {
        scratch.haystack.clear();
        scratch.texts.clear();
        scratch.texts.push(Text { start: 0, language: ALL_LANGUAGES, is_rewritten: false });
        fold_into(subject.id, UNDERSCORE, &mut scratch.haystack);
        if subject.names.is_empty() {
            let start = scratch.haystack.len();
            scratch.texts.push(Text { start, language: ALL_LANGUAGES, is_rewritten: false });
            fold_into(subject.id, SPACE, &mut scratch.haystack);
        }
        for (language, text) in subject.names.iter().chain(subject.descriptions) {
            let visible = visible(text);
            scratch.texts.push(Text {
                start: scratch.haystack.len(),
                language: self.mask_of(language),
                is_rewritten: matches!(visible, Visible::Rewritten { .. }),
            });
            fold_into(visible.text(), SPACE, &mut scratch.haystack);
        }
        scratch.haystack.resize(scratch.haystack.len() + SLACK, 0);
    }

    /// Collects one hit per matching keyword, and sums up the points.
    fn search(&self, subject: &Subject<'_>, scratch: &mut Scratch) -> [Tally; Category::ALL.len()] {
        let Scratch { haystack, texts, seen, slots, done, hits } = scratch;
        let mut tallies = [(0, None); Category::ALL.len()];
        seen.reset(self.keywords.len());
        slots.resize(self.keywords.len(), 0);
        let [words_done, tokens_done, infixes_done] = done;
        words_done.reset(self.words.patterns());
        tokens_done.reset(self.tokens.patterns());
        infixes_done.reset(self.infixes.patterns());
        hits.clear();
        let mut comparisons = MAX_COMPARISONS;
        for (text, &Text { start, language, .. }) in texts.iter().enumerate() {
            let end = texts.get(text + 1).map_or(haystack.len() - SLACK, |next| next.start);
            let (onwards, haystack) = (&haystack[start..], &haystack[start..end]);
            // No later text weighs more than this one.
            let (most, after_breakdown) =
                if text <= shown_names(subject) { (NAME, BREAKDOWN) } else { (DESCRIPTION, DESCRIPTION) };
            let mut breakdown = usize::MAX;
            let mut on_match = |found: Occurrence, keywords: &[usize], done: &mut Marks| {
                if keywords.len() > comparisons || done.contains(found.pattern) {
                    return;
                }
                comparisons -= keywords.len();
                let mut counted = 0;
                for &index in keywords {
                    if index == IS_BREAKDOWN_WORD {
                        breakdown = breakdown.min(found.start);
                        continue;
                    }
                    let weight = if found.start < breakdown { most } else { after_breakdown };
                    let keyword = &self.keywords[index];
                    let rule = &self.rules[keyword.rule];
                    let known = seen.contains(index).then(|| slots[index] as usize);
                    let counts = known.map_or(0, |slot: usize| hits[slot].weight);
                    if counts >= weight {
                        counted += usize::from(counts >= most);
                        continue;
                    }
                    if (rule.languages != ALL_LANGUAGES && rule.languages & language == 0)
                        || !keyword.pattern.is_of(subject.agency)
                        || !keyword.pattern.matches(haystack, found.end)
                    {
                        continue;
                    }
                    counted += usize::from(weight >= most);
                    let at = found.start + usize::from(!keyword.pattern.infix);
                    let hit = Hit { text, at, keyword: index, weight };
                    match known {
                        Some(slot) => hits[slot] = hit,
                        None => {
                            seen.insert(index);
                            slots[index] = u32::try_from(hits.len()).expect("at most 1 MiB of keywords");
                            hits.push(hit);
                        }
                    }
                    let (points, strongest) = &mut tallies[rule.category.index()];
                    *points += Tenths::from(keyword.points.unsigned_abs()) * (weight - counts);
                    *strongest = (*strongest).max(Some((rule.priority, Reverse(rule.rank))));
                }
                if counted == keywords.len() {
                    done.insert(found.pattern);
                }
            };
            if text == ID {
                let on_token = |found, keywords: &[usize]| on_match(found, keywords, tokens_done);
                self.tokens.search(onwards, haystack.len(), on_token);
            } else {
                let on_word = |found, keywords: &[usize]| on_match(found, keywords, words_done);
                self.words.search(onwards, haystack.len(), on_word);
            }
            if (text != ID || self.has_infixes_of_ids)
                && (self.infix_languages == ALL_LANGUAGES || self.infix_languages & language != 0)
            {
                self.infixes.search(haystack, |found, keywords| on_match(found, keywords, infixes_done));
            }
        }
        tallies
    }

    /// The strongest hits of the winning category, as evidence, the strongest first.
    fn evidence<'a>(
        &'a self,
        winner: Category,
        subject: &Subject<'a>,
        scratch: &mut Scratch,
    ) -> Vec<Match<'a>> {
        let Scratch { hits, texts, .. } = scratch;
        hits.retain(|hit| self.rules[self.keywords[hit.keyword].rule].category == winner);
        hits.sort_unstable_by_key(|hit| (Reverse(self.points_of(hit)), *hit));
        hits.truncate(MAX_EVIDENCE);
        // Positions are read in the order of the texts.
        hits.sort_unstable();
        let mut evidence = Vec::with_capacity(hits.len());
        for hits in hits.chunk_by(|one, next| one.text == next.text) {
            let text = hits[0].text;
            let (field, written, gap) = field(subject, text);
            let seen = if texts[text].is_rewritten { visible(written) } else { Visible::Written(written) };
            let mut offsets = Offsets::new(seen.text(), gap);
            evidence.extend(hits.iter().map(|hit| {
                let keyword = &self.keywords[hit.keyword];
                let rule_id = &self.rules[keyword.rule].id;
                let offset = seen.origin(offsets.at(hit.at));
                let found = Match { rule_id, keyword: &keyword.written, field, offset };
                (Reverse(self.points_of(hit)), found)
            }));
        }
        evidence.sort_by_key(|(points, _)| *points);
        evidence.into_iter().map(|(_, found)| found).collect()
    }

    /// The points that a hit adds to its category.
    fn points_of(&self, hit: &Hit) -> Tenths {
        Tenths::from(self.keywords[hit.keyword].points.unsigned_abs()) * hit.weight
    }

    /// The mask of a text: the bit of its language, none if no rule names that language, all if its tag names none.
    fn mask_of(&self, tag: &str) -> LanguageMask {
        let Some(subtag) = language::of_text(tag) else { return ALL_LANGUAGES };
        let bit = self.languages.iter().position(|known| known.eq_ignore_ascii_case(subtag));
        bit.map_or(0, |bit| 1 << bit)
    }
}

/// The number of texts by which people know a dataflow: its names, or its id if it has none.
fn shown_names(subject: &Subject<'_>) -> usize {
    subject.names.len().max(1)
}

/// The text with this index in the haystack: id, names, descriptions.
fn field<'a>(subject: &Subject<'a>, number: usize) -> (Field<'a>, &'a str, u8) {
    let Some(number) = number.checked_sub(1) else { return (Field::Id, subject.id, UNDERSCORE) };
    if let Some(number) = number.checked_sub(shown_names(subject)) {
        let (language, text) = &subject.descriptions[number];
        return (Field::Description(language), text, SPACE);
    }
    match subject.names.get(number) {
        Some((language, text)) => (Field::Name(language), text, SPACE),
        None => (Field::Id, subject.id, SPACE),
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
