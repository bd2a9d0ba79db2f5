//! [`Mode::Words`](super::Mode): matches whole words, as a person would.
//!
//! All texts of a dataflow are folded into one haystack. Keywords that begin with a word are looked up at the start of
//! each word; keywords that begin with `*` are searched for by an automaton, in texts of their languages. A keyword adds priority x weight to its
//! category once per dataflow, independent of the number of matches, with the weight of the text that weighs most: names
//! and ids 1, a breakdown in a name 0.5, descriptions 0.3. The highest sum wins; ties go to the category with the higher
//! single priority among its matches, then to the lower rule id.

use std::sync::Arc;

use self::languages::{ALL_LANGUAGES, LanguageMask, Languages};
use self::prepared::PreparedSet;
use self::score::Score;
use super::automaton::{Automaton, Marks, Slots};
use super::error::RuleError;
use super::fold::{Anchor, SPACE, UNDERSCORE, fold_anchored};
use super::keyword::Keyword;
use super::points::Tenths;
use super::starts::{SLACK, Starts};
use super::visible::{Visible, visible};
use super::{Category, Match, Points, Rule, RuleKeyword, Subject, Verdict, calibration};

mod evidence;
mod languages;
mod prepared;
mod score;
mod search;

/// Words of names after which the breakdown follows.
const BREAKDOWN_WORDS: [&str; 7] = ["by", "per", "par", "selon", "nach", "por", "segun"];
/// In place of the index of a keyword, for a breakdown word.
const IS_BREAKDOWN_WORD: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Engine {
    /// What a match of each keyword counts for.
    scores: Box<[Score]>,
    /// The same keywords: what must follow a head, and how evidence names them.
    keywords: Box<[Keyword]>,
    names: Box<[Arc<RuleKeyword>]>,
    /// Heads that start at the start of a word of a text; the entries of a head are indexes of `keywords`.
    words: Starts<u32>,
    /// The same of tokens of an id.
    tokens: Starts<u32>,
    /// Heads that may start inside a word, the languages of their rules, and whether some are for ids.
    infixes: Automaton<u32>,
    infix_languages: LanguageMask,
    has_infixes_of_ids: bool,
    languages: Languages,
}

#[derive(Debug, Default)]
pub(super) struct Scratch {
    haystack: Vec<u8>,
    anchors: Vec<Anchor>,
    /// Id, names (the id once more if there are none), descriptions.
    texts: Vec<Text>,
    /// The index in `hits` of each keyword that has counted.
    slots: Slots,
    /// Heads all of whose keywords have counted: of words, then of tokens, then of infixes.
    done: [Marks; 3],
    hits: Vec<Hit>,
}

/// A text in the haystack.
#[derive(Debug, Clone, Copy)]
struct Text {
    start: usize,
    /// The index of its first anchor.
    first_anchor: usize,
    language: LanguageMask,
    /// Whether it is not as the provider wrote it.
    is_rewritten: bool,
    /// Where its first breakdown word starts.
    breakdown: usize,
}

/// Ordered by text, then by position; evidence with the same points has this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hit {
    text: usize,
    /// First letter, in bytes of the folded text.
    at: usize,
    keyword: u32,
    weight: u32,
    /// `at` in scalar values of the text as written; set for evidence only.
    offset: u32,
}

impl Engine {
    pub(super) fn new(rules: &[Rule]) -> Result<Self, RuleError> {
        let PreparedSet { keywords, scores, names, languages } = PreparedSet::new(rules)?;
        let heads = |is_chosen: fn(&Keyword) -> bool| {
            let chosen = keywords.iter().zip(0..).filter(move |(keyword, _)| is_chosen(keyword));
            chosen.map(|(keyword, index)| (keyword.head.clone(), index))
        };
        let words = heads(|keyword| !keyword.infix && keyword.gap == SPACE);
        let tokens = heads(|keyword| !keyword.infix && keyword.gap == UNDERSCORE);
        let infixes = keywords.iter().zip(&scores).filter(|(keyword, _)| keyword.infix);
        let breakdowns =
            BREAKDOWN_WORDS.iter().map(|word| (format!(" {word} ").into_bytes(), IS_BREAKDOWN_WORD));
        Ok(Self {
            words: Starts::new(SPACE, words.chain(breakdowns)),
            tokens: Starts::new(UNDERSCORE, tokens),
            infixes: Automaton::new(heads(|keyword| keyword.infix)),
            has_infixes_of_ids: infixes.clone().any(|(keyword, _)| keyword.gap == UNDERSCORE),
            infix_languages: infixes.fold(0, |mask, (_, score)| mask | score.languages),
            scores: scores.into(),
            keywords: keywords.into(),
            names: names.into(),
            languages: Languages::new(languages),
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
        let Scratch { haystack, anchors, texts, .. } = scratch;
        haystack.clear();
        anchors.clear();
        texts.clear();
        let mut add = |text: &str, gap: u8, language: LanguageMask, is_rewritten: bool| {
            let (start, first_anchor) = (haystack.len(), anchors.len());
            texts.push(Text { start, first_anchor, language, is_rewritten, breakdown: usize::MAX });
            fold_anchored(text, gap, haystack, |anchor| anchors.push(anchor));
        };
        add(subject.id, UNDERSCORE, ALL_LANGUAGES, false);
        if subject.names.is_empty() {
            add(subject.id, SPACE, ALL_LANGUAGES, false);
        }
        for (language, text) in subject.names.iter().chain(subject.descriptions) {
            let visible = visible(text);
            let is_rewritten = matches!(visible, Visible::Rewritten { .. });
            add(visible.text(), SPACE, self.languages.mask_of(language), is_rewritten);
        }
        haystack.resize(haystack.len() + SLACK, 0);
    }

    /// The points that a hit adds to its category.
    fn points_of(&self, hit: &Hit) -> Tenths {
        self.scores[hit.keyword as usize].tenths(hit.weight)
    }
}

/// The number of texts by which people know a dataflow: its names, or its id if it has none.
fn shown_names(subject: &Subject<'_>) -> usize {
    subject.names.len().max(1)
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
