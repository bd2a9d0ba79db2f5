//! The automaton both engines search with: all keywords of a set in one pass over the text, so
//! that thousands of rules that match nothing cost what a few cost.

use std::collections::HashMap;

use aho_corasick::automaton::Automaton as Walk;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind, StartKind, dfa::DFA};

/// Finds occurrences of patterns. Several entries may stand behind one pattern.
#[derive(Debug)]
pub(super) struct Automaton<E> {
    machine: Machine,
    anchored: Anchored,
    /// Entries of pattern `p` are `entries[first[p]..first[p + 1]]`.
    first: Box<[u32]>,
    entries: Box<[E]>,
}

#[derive(Debug)]
enum Machine {
    /// One table look-up a byte; some 200 bytes for each byte of the patterns.
    Table(DFA),
    /// Slower a byte, but a fifth of the size.
    Compact(NFA),
}

/// The most bytes of patterns for which a table is built: some 12 MiB of it.
const TABLE_BYTES: usize = 64 << 10;

const FITS: &str = "at most 1 MiB of patterns, far below the 2^31 states that an automaton can have";

/// One occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Number among the distinct patterns, below [`Automaton::patterns`].
    pub(super) pattern: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl<E> Automaton<E> {
    /// For patterns wherever they occur. Takes (pattern, entry) pairs; no pattern may be empty.
    pub(super) fn anywhere(pairs: impl IntoIterator<Item = (Vec<u8>, E)>) -> Self {
        Self::new(pairs, Anchored::No)
    }

    /// For patterns that begin at places which the caller knows.
    pub(super) fn at_places(pairs: impl IntoIterator<Item = (Vec<u8>, E)>) -> Self {
        Self::new(pairs, Anchored::Yes)
    }

    fn new(pairs: impl IntoIterator<Item = (Vec<u8>, E)>, anchored: Anchored) -> Self {
        let mut numbers: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut patterns: Vec<Vec<u8>> = Vec::new();
        let mut grouped: Vec<Vec<E>> = Vec::new();
        for (pattern, entry) in pairs {
            let number = *numbers.entry(pattern).or_insert_with_key(|pattern| {
                patterns.push(pattern.clone());
                grouped.push(Vec::new());
                grouped.len() - 1
            });
            grouped[number].push(entry);
        }
        let mut first = Vec::with_capacity(grouped.len() + 1);
        let mut entries = Vec::new();
        first.push(0);
        for group in grouped {
            entries.extend(group);
            first.push(u32::try_from(entries.len()).expect("at most 10,000 rules of 1,000 keywords"));
        }
        let machine = Machine::new(&patterns, anchored);
        Self { machine, anchored, first: first.into(), entries: entries.into() }
    }

    /// How many distinct patterns there are.
    pub(super) fn patterns(&self) -> usize {
        self.first.len() - 1
    }

    /// Calls `found` with each occurrence and with what it stands for: of an automaton for
    /// patterns anywhere, all of them, ordered by their ends; else those that begin at `from`.
    #[inline]
    pub(super) fn search(&self, haystack: &[u8], from: usize, mut found: impl FnMut(Found, &[E])) {
        let found = |hit: Found| {
            let entries = self.first[hit.pattern] as usize..self.first[hit.pattern + 1] as usize;
            found(hit, &self.entries[entries]);
        };
        match &self.machine {
            Machine::Table(table) => walk(table, self.anchored, haystack, from, found),
            Machine::Compact(compact) => walk(compact, self.anchored, haystack, from, found),
        }
    }
}

impl Machine {
    fn new(patterns: &[Vec<u8>], anchored: Anchored) -> Self {
        let start = if anchored.is_anchored() { StartKind::Anchored } else { StartKind::Unanchored };
        // No prefilter: it would look for rare bytes, and a text is full of what begins a keyword.
        if patterns.iter().map(Vec::len).sum::<usize>() <= TABLE_BYTES {
            let mut builder = DFA::builder();
            builder.match_kind(MatchKind::Standard).start_kind(start).prefilter(false);
            Self::Table(builder.build(patterns).expect(FITS))
        } else {
            let mut builder = NFA::builder();
            builder.match_kind(MatchKind::Standard).prefilter(false);
            Self::Compact(builder.build(patterns).expect(FITS))
        }
    }
}

#[inline]
fn walk(machine: &impl Walk, anchored: Anchored, haystack: &[u8], from: usize, mut found: impl FnMut(Found)) {
    let mut state = machine.start_state(anchored).expect("it was built for this kind of start");
    for (end, byte) in (from + 1..).zip(&haystack[from..]) {
        state = machine.next_state(anchored, state, *byte);
        if !machine.is_special(state) {
            continue;
        }
        if machine.is_dead(state) {
            return;
        }
        if machine.is_match(state) {
            for index in 0..machine.match_len(state) {
                let pattern = machine.match_pattern(state, index);
                let start = end - machine.pattern_len(pattern);
                // A state also knows the patterns that end with it but begin later.
                if start == from || !anchored.is_anchored() {
                    found(Found { pattern: pattern.as_usize(), start, end });
                }
            }
        }
    }
}

/// A set of small numbers that is emptied in constant time.
#[derive(Debug, Default)]
pub(super) struct Marks {
    generation: u32,
    marked: Vec<u32>,
}

impl Marks {
    /// Empties the set and makes room for numbers below `size`.
    pub(super) fn reset(&mut self, size: usize) {
        if self.generation == u32::MAX {
            self.marked.fill(0);
            self.generation = 0;
        }
        self.generation += 1;
        if self.marked.len() < size {
            self.marked.resize(size, 0);
        }
    }

    /// Adds a number; false if it was there.
    pub(super) fn insert(&mut self, number: usize) -> bool {
        std::mem::replace(&mut self.marked[number], self.generation) != self.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Hits = Vec<(usize, usize, Vec<u8>)>;

    fn search(automaton: &Automaton<u8>, haystack: &[u8], from: usize) -> Hits {
        let mut hits = Hits::new();
        automaton.search(haystack, from, |hit, entries| hits.push((hit.start, hit.end, entries.to_vec())));
        hits
    }

    fn pairs() -> [(Vec<u8>, u8); 3] {
        [("ab", 1), ("b", 2), ("ab", 3)].map(|(pattern, entry)| (pattern.as_bytes().to_vec(), entry))
    }

    /// The same patterns in the other machine.
    fn compact(mut automaton: Automaton<u8>) -> Automaton<u8> {
        let mut builder = NFA::builder();
        automaton.machine =
            Machine::Compact(builder.match_kind(MatchKind::Standard).build(["ab", "b"]).unwrap());
        automaton
    }

    #[test]
    fn every_occurrence_of_every_pattern_is_found() {
        for automaton in [Automaton::anywhere(pairs()), compact(Automaton::anywhere(pairs()))] {
            let hits = search(&automaton, b"xabb", 0);
            assert_eq!(hits, [(1, 3, vec![1, 3]), (2, 3, vec![2]), (3, 4, vec![2])]);
        }
    }

    #[test]
    fn only_what_begins_at_the_place_is_found_there() {
        for automaton in [Automaton::at_places(pairs()), compact(Automaton::at_places(pairs()))] {
            assert_eq!(search(&automaton, b"xabb", 0), []);
            assert_eq!(search(&automaton, b"xabb", 1), [(1, 3, vec![1, 3])]);
            assert_eq!(search(&automaton, b"xabb", 2), [(2, 3, vec![2])]);
        }
    }

    #[test]
    fn no_patterns_match_nothing() {
        assert_eq!(search(&Automaton::anywhere([]), b"text", 0), []);
        assert_eq!(search(&Automaton::at_places([]), b"text", 0), []);
    }

    #[test]
    fn marks_are_forgotten_at_a_reset_even_when_generations_run_out() {
        let mut marks = Marks { generation: u32::MAX - 1, marked: Vec::new() };
        for _ in 0..3 {
            marks.reset(2);
            assert!(marks.insert(1));
            assert!(!marks.insert(1));
        }
    }
}
