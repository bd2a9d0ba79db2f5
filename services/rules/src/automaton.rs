//! The automaton of both engines: searches all keywords of a set in one pass over the text, so that thousands of rules
//! without a match cost as much as a few.

use std::collections::HashMap;

use aho_corasick::automaton::{Automaton as Walk, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind, StartKind, dfa::DFA};

/// Finds occurrences of patterns. A pattern may have several entries.
#[derive(Debug)]
pub(super) struct Automaton<E> {
    machine: StateMachine,
    /// The entries of pattern `p` are `entries[first[p]..first[p + 1]]`.
    first: Box<[u32]>,
    entries: Box<[E]>,
}

#[derive(Debug)]
enum StateMachine {
    /// One table lookup per byte; about 200 bytes of memory per byte of the patterns.
    Dfa(DFA),
    /// Slower per byte, but a fifth of the size.
    Nfa(NFA),
}

/// Maximum size of the patterns, in bytes, for which a table is built: about 12 MiB.
const MAX_DFA_BYTES: usize = 64 << 10;

const FITS: &str = "at most 1 MiB of patterns, far below the 2^31 states that an automaton can have";

/// One occurrence of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Occurrence {
    /// Index among the distinct patterns, below [`Automaton::patterns`].
    pub(super) pattern: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

// === impl Occurrence ===

impl Occurrence {
    /// The same occurrence in a text that begins so many bytes before.
    pub(super) fn after(self, bytes: usize) -> Self {
        Self { start: self.start + bytes, end: self.end + bytes, ..self }
    }
}

// === impl Automaton ===

impl<E> Automaton<E> {
    /// Takes (pattern, entry) pairs; no pattern may be empty.
    pub(super) fn new(pairs: impl IntoIterator<Item = (Vec<u8>, E)>) -> Self {
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
        Self { machine: StateMachine::new(&patterns), first: first.into(), entries: entries.into() }
    }

    /// Number of distinct patterns.
    pub(super) fn patterns(&self) -> usize {
        self.first.len() - 1
    }

    /// Calls `on_match` for every occurrence, ordered by end, with the entries of its pattern.
    #[inline]
    pub(super) fn search(&self, haystack: &[u8], mut on_match: impl FnMut(Occurrence, &[E])) {
        let on_occurrence = |hit: Occurrence| {
            let entries = self.first[hit.pattern] as usize..self.first[hit.pattern + 1] as usize;
            on_match(hit, &self.entries[entries]);
        };
        match &self.machine {
            StateMachine::Dfa(dfa) => walk(dfa, haystack, on_occurrence),
            StateMachine::Nfa(nfa) => walk(nfa, haystack, on_occurrence),
        }
    }
}

impl StateMachine {
    fn new(patterns: &[Vec<u8>]) -> Self {
        // No prefilter: it would search for rare bytes, but most texts contain the first bytes of keywords.
        if patterns.iter().map(Vec::len).sum::<usize>() <= MAX_DFA_BYTES {
            let mut builder = DFA::builder();
            builder.match_kind(MatchKind::Standard).start_kind(StartKind::Unanchored).prefilter(false);
            Self::Dfa(builder.build(patterns).expect(FITS))
        } else {
            let mut builder = NFA::builder();
            builder.match_kind(MatchKind::Standard).prefilter(false);
            Self::Nfa(builder.build(patterns).expect(FITS))
        }
    }
}

#[inline]
fn walk(machine: &impl Walk, haystack: &[u8], mut on_match: impl FnMut(Occurrence)) {
    let mut state = machine.start_state(Anchored::No).expect("the automaton supports unanchored searches");
    let mut end = 0;
    while let Some(hit) = next_match(machine, haystack, state, end) {
        (state, end) = hit;
        for index in 0..machine.match_len(state) {
            let pattern = machine.match_pattern(state, index);
            let start = end - machine.pattern_len(pattern);
            on_match(Occurrence { pattern: pattern.as_usize(), start, end });
        }
    }
}

/// The next state with a match, and its position. A separate function, so that the compiler keeps the hot loop in
/// registers.
#[inline(never)]
fn next_match(
    machine: &impl Walk,
    haystack: &[u8],
    mut state: StateID,
    from: usize,
) -> Option<(StateID, usize)> {
    for (end, byte) in (from + 1..).zip(&haystack[from..]) {
        state = machine.next_state(Anchored::No, state, *byte);
        if machine.is_special(state) && machine.is_match(state) {
            return Some((state, end));
        }
    }
    None
}

/// A set of small integers with clearing in constant time.
#[derive(Debug, Default)]
pub(super) struct Marks {
    generation: u32,
    marked: Vec<u32>,
}

impl Marks {
    /// Clears the set and makes room for numbers below `size`.
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

    /// Whether a number is in the set.
    pub(super) fn contains(&self, number: usize) -> bool {
        self.marked[number] == self.generation
    }

    /// Adds a number; returns false if it was in the set.
    pub(super) fn insert(&mut self, number: usize) -> bool {
        std::mem::replace(&mut self.marked[number], self.generation) != self.generation
    }
}

/// A map from small integers to small integers with clearing in constant time.
#[derive(Debug, Default)]
pub(super) struct Slots {
    generation: u32,
    /// The value of each number, if it is of this generation.
    values: Vec<(u32, u32)>,
}

// === impl Slots ===

impl Slots {
    /// Clears the map and makes room for numbers below `size`.
    pub(super) fn reset(&mut self, size: usize) {
        if self.generation == u32::MAX {
            self.values.fill((0, 0));
            self.generation = 0;
        }
        self.generation += 1;
        if self.values.len() < size {
            self.values.resize(size, (0, 0));
        }
    }

    #[inline]
    pub(super) fn get(&self, number: usize) -> Option<usize> {
        let (generation, value) = self.values[number];
        (generation == self.generation).then_some(value as usize)
    }

    #[inline]
    pub(super) fn set(&mut self, number: usize, value: usize) {
        let value = u32::try_from(value).expect("as many as keywords, which have at most 1 MiB");
        self.values[number] = (self.generation, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Hits = Vec<(usize, usize, Vec<u8>)>;

    fn search(automaton: &Automaton<u8>, haystack: &[u8]) -> Hits {
        let mut hits = Hits::new();
        automaton.search(haystack, |hit, entries| hits.push((hit.start, hit.end, entries.to_vec())));
        hits
    }

    fn pairs() -> [(Vec<u8>, u8); 3] {
        [("ab", 1), ("b", 2), ("ab", 3)].map(|(pattern, entry)| (pattern.as_bytes().to_vec(), entry))
    }

    /// The same patterns in the other kind of automaton.
    fn as_nfa(mut automaton: Automaton<u8>) -> Automaton<u8> {
        let mut builder = NFA::builder();
        automaton.machine =
            StateMachine::Nfa(builder.match_kind(MatchKind::Standard).build(["ab", "b"]).unwrap());
        automaton
    }

    #[test]
    fn every_occurrence_of_every_pattern_is_found() {
        for automaton in [Automaton::new(pairs()), as_nfa(Automaton::new(pairs()))] {
            let hits = search(&automaton, b"xabb");
            assert_eq!(hits, [(1, 3, vec![1, 3]), (2, 3, vec![2]), (3, 4, vec![2])]);
        }
    }

    #[test]
    fn an_automaton_without_patterns_matches_nothing() {
        assert_eq!(search(&Automaton::new([]), b"text"), []);
    }

    #[test]
    fn marks_are_cleared_by_a_reset_even_when_generations_wrap() {
        let mut marks = Marks { generation: u32::MAX - 1, marked: Vec::new() };
        for _ in 0..3 {
            marks.reset(2);
            assert!(marks.insert(1));
            assert!(!marks.insert(1));
        }
    }

    #[test]
    fn slots_are_cleared_by_a_reset_even_when_generations_wrap() {
        let mut slots = Slots { generation: u32::MAX - 1, values: Vec::new() };
        for _ in 0..3 {
            slots.reset(2);
            assert_eq!(slots.get(1), None);
            slots.set(1, 7);
            assert_eq!((slots.get(0), slots.get(1)), (None, Some(7)));
        }
    }
}
