//! The search for all keywords in the texts of one dataflow.

use super::languages::ALL_LANGUAGES;
use super::{Engine, Hit, IS_BREAKDOWN_WORD, Scratch, Text, shown_names};
use crate::automaton::{Marks, Occurrence, Slots};
use crate::limits::MAX_COMPARISONS;
use crate::points::Tenths;
use crate::starts::SLACK;
use crate::{Category, Subject};

/// The index of the id among the texts.
const ID: usize = 0;

/// The weight of a name, in tenths.
pub(super) const NAME: u32 = 10;
/// The weight of what a name says after a word such as "by": the breakdown, less likely the subject.
pub(super) const BREAKDOWN: u32 = 5;
/// The weight of a description: long ones mention more than the subject.
pub(super) const DESCRIPTION: u32 = 3;

/// The points of one category, and what decides ties: the highest precedence among its matches, 0 without one.
pub(super) type Tally = (Tenths, u64);

/// A search that has begun.
struct Search<'a> {
    engine: &'a Engine,
    agency: &'a str,
    /// The number of texts that weigh as much as a name.
    names: usize,
    /// Without what follows the last text.
    haystack: &'a [u8],
    texts: &'a mut [Text],
    slots: &'a mut Slots,
    hits: &'a mut Vec<Hit>,
    tallies: [Tally; Category::ALL.len()],
    /// Comparisons that are left.
    comparisons: usize,
}

// === impl Engine ===

impl Engine {
    /// Collects one hit per matching keyword, and sums up the points.
    pub(super) fn search(
        &self,
        subject: &Subject<'_>,
        scratch: &mut Scratch,
    ) -> [Tally; Category::ALL.len()] {
        let Scratch { haystack, texts, slots, done, hits, .. } = scratch;
        let [words_done, tokens_done, infixes_done] = done;
        slots.reset(self.keywords.len());
        words_done.reset(self.words.patterns());
        tokens_done.reset(self.tokens.patterns());
        infixes_done.reset(self.infixes.patterns());
        hits.clear();
        let length = haystack.len() - SLACK;
        let mut search = Search {
            engine: self,
            agency: subject.agency,
            names: shown_names(subject),
            haystack: &haystack[..length],
            texts,
            slots,
            hits,
            tallies: [(0, 0); Category::ALL.len()],
            comparisons: MAX_COMPARISONS,
        };
        // There are always names, if only the id once more.
        let first = search.texts[ID + 1].start;
        self.tokens.search(haystack, first, |found, keywords| search.count(ID, found, keywords, tokens_done));
        // All texts in one pass. No match spans two of them, so that a match is in the last text that starts before it.
        let mut text = ID + 1;
        self.words.search(&haystack[first..], length - first, |found, keywords| {
            let found = found.after(first);
            while search.texts.get(text + 1).is_some_and(|next| next.start <= found.start) {
                text += 1;
            }
            search.count(text, found, keywords, words_done);
        });
        if self.infix_languages != 0 {
            for text in 0..search.texts.len() {
                search.search_infixes(text, infixes_done);
            }
        }
        search.tallies
    }
}

// === impl Search ===

impl Search<'_> {
    fn search_infixes(&mut self, text: usize, done: &mut Marks) {
        let Engine { infixes, infix_languages, has_infixes_of_ids, .. } = self.engine;
        let Text { start, language, .. } = self.texts[text];
        if (text == ID && !has_infixes_of_ids)
            || (*infix_languages != ALL_LANGUAGES && infix_languages & language == 0)
        {
            return;
        }
        let haystack = &self.haystack[start..self.end_of(text)];
        infixes.search(haystack, |found, keywords| self.count(text, found.after(start), keywords, done));
    }

    fn end_of(&self, text: usize) -> usize {
        self.texts.get(text + 1).map_or(self.haystack.len(), |next| next.start)
    }

    /// Counts the keywords with a head that was found in a text; once all of them count as much as any later text lets
    /// them, the head is done.
    #[inline]
    fn count(&mut self, text: usize, found: Occurrence, keywords: &[u32], done: &mut Marks) {
        if keywords.len() > self.comparisons || done.contains(found.pattern) {
            return;
        }
        self.comparisons -= keywords.len();
        // No later text weighs more than this one.
        let (most, after_breakdown) =
            if text <= self.names { (NAME, BREAKDOWN) } else { (DESCRIPTION, DESCRIPTION) };
        let mut counted = 0;
        for &keyword in keywords {
            if keyword == IS_BREAKDOWN_WORD {
                let breakdown = &mut self.texts[text].breakdown;
                *breakdown = found.start.min(*breakdown);
                continue;
            }
            let weight = if found.start < self.texts[text].breakdown { most } else { after_breakdown };
            counted += usize::from(self.count_keyword(text, found, keyword, weight) >= most);
        }
        if counted == keywords.len() {
            done.insert(found.pattern);
        }
    }

    /// Counts a keyword whose head was found, with this weight if the rest of it matches. Returns the weight with which
    /// it counts now.
    #[inline]
    fn count_keyword(&mut self, text: usize, found: Occurrence, keyword: u32, weight: u32) -> u32 {
        let index = keyword as usize;
        let known = self.slots.get(index);
        let counts = known.map_or(0, |slot| self.hits[slot].weight);
        let score = &self.engine.scores[index];
        let is_in_language =
            score.languages == ALL_LANGUAGES || score.languages & self.texts[text].language != 0;
        if counts >= weight || !is_in_language || !(score.is_head_only || self.follows(text, found, index)) {
            return counts;
        }
        let starts_word = !self.engine.keywords[index].infix;
        let at = found.start - self.texts[text].start + usize::from(starts_word);
        let hit = Hit { text, at, keyword, weight, offset: 0 };
        match known {
            Some(slot) => self.hits[slot] = hit,
            None => {
                self.slots.set(index, self.hits.len());
                self.hits.push(hit);
            }
        }
        let (points, strongest) = &mut self.tallies[score.category.index()];
        *points += score.tenths(weight - counts);
        *strongest = score.precedence.max(*strongest);
        weight
    }

    /// Whether the rest of a keyword follows its head, in a dataflow of its agency.
    #[cold]
    fn follows(&self, text: usize, found: Occurrence, index: usize) -> bool {
        let start = self.texts[text].start;
        let keyword = &self.engine.keywords[index];
        keyword.is_of(self.agency)
            && keyword.matches(&self.haystack[start..self.end_of(text)], found.end - start)
    }
}
