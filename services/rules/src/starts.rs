//! Finds keywords at the starts of words: a filter and a table of the first bytes of all keywords, and tries for the
//! rest.
//!
//! An automaton over thousands of keywords has megabytes of states, and each byte of a text fetches one of them from
//! main memory. Keywords begin where words begin, though, so one look-up a word is enough, and most words are those of
//! no keyword: their first four bytes are not in the filter, a few kilobytes that stay in the processor's first cache.
//! Words that pass it are collected first and followed later, so that the processor need not guess which do.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use super::automaton::Occurrence;

/// Keywords by the starts of words. A pattern may have several entries.
#[derive(Debug)]
pub(super) struct Starts<E> {
    /// What separates the words.
    gap: u8,
    filter: Filter,
    /// The first node of each trie, by the first four bytes of its patterns.
    table: Table,
    /// The same of patterns of two and three bytes.
    short: [Table; 2],
    nodes: Box<[Node]>,
    /// The first byte of the label of each node.
    firsts: Box<[u8]>,
    /// What follows the first eight bytes of labels.
    labels: Box<[u8]>,
    /// The entries of pattern `p` are `entries[first[p]..first[p + 1]]`.
    first: Box<[u32]>,
    entries: Box<[E]>,
}

/// Zeros that must follow a text, so that eight bytes can be read at each of its positions.
pub(super) const SLACK: usize = 8;

/// A label that follows the labels of the nodes above.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// Its first eight bytes, and which of them it has.
    label: u64,
    mask: u64,
    /// Where the rest of it starts in `labels`.
    rest: u32,
    /// The pattern that ends with it, or `NONE`.
    pattern: u32,
    /// The nodes below it follow one another.
    first_child: u32,
    children: u16,
    label_length: u16,
}

/// Which words may begin a pattern; a few that do not pass too.
#[derive(Debug)]
struct Filter {
    /// Bits of hashes of first bytes.
    bits: Box<[u64]>,
    multiplier: u64,
    shift: u32,
    /// The first bytes of patterns of two and three bytes.
    short: Box<[bool; 256]>,
}

/// The first bytes of patterns, and the nodes that they lead to.
#[derive(Debug)]
struct Table {
    /// Keeps the bytes of a key.
    mask: u32,
    multiplier: u64,
    shift: u32,
    /// A power of two of keys and nodes, at most half of them in use. No key is 0.
    slots: Box<[(u32, u32)]>,
}

/// In place of a pattern.
const NONE: u32 = u32::MAX;

/// Words that wait to be followed.
const WAITING: usize = 64;

/// The bytes that a table looks up.
const KEY: usize = 4;

const FITS: &str = "at most 1 MiB of patterns of at most 256 bytes each";

/// A pattern without its first gap, and its number.
type Body<'a> = (&'a [u8], u32);

impl<E> Starts<E> {
    /// Takes (pattern, entry) pairs. Each pattern is a gap and at least two bytes without a zero.
    pub(super) fn new(gap: u8, pairs: impl IntoIterator<Item = (Vec<u8>, E)>) -> Self {
        let mut grouped = BTreeMap::<Vec<u8>, Vec<E>>::new();
        for (pattern, entry) in pairs {
            grouped.entry(pattern).or_default().push(entry);
        }
        let (mut bodies, mut first, mut entries) = (Vec::new(), vec![0], Vec::new());
        for ((pattern, group), number) in grouped.iter_mut().zip(0..) {
            bodies.push((&pattern[1..], number));
            entries.append(group);
            first.push(u32::try_from(entries.len()).expect(FITS));
        }
        let mut tries = Tries::default();
        let mut keys: [Vec<(u32, u32)>; KEY + 1] = Default::default();
        // Sorted patterns with the same first bytes are adjacent.
        let start = |body: &[u8]| body[..body.len().min(KEY)].to_vec();
        for group in bodies.chunk_by(|one, next| start(one.0) == start(next.0)) {
            let prefix = start(group[0].0);
            keys[prefix.len()].push((key(&prefix), tries.add(group, prefix.len())));
        }
        Self {
            gap,
            filter: Filter::new(&keys),
            table: Table::new(KEY, &keys[KEY]),
            short: [2, 3].map(|length| Table::new(length, &keys[length])),
            nodes: tries.nodes.into(),
            firsts: tries.firsts.into(),
            labels: tries.labels.into(),
            first: first.into(),
            entries: entries.into(),
        }
    }

    /// Number of distinct patterns.
    pub(super) fn patterns(&self) -> usize {
        self.first.len() - 1
    }

    /// Calls `on_match` for every occurrence in a folded text, ordered by start, then by length, with the entries of its
    /// pattern. The text has `length` bytes, and at least [`SLACK`] follow it.
    #[inline]
    pub(super) fn search(&self, text: &[u8], length: usize, mut on_match: impl FnMut(Occurrence, &[E])) {
        let (mut waiting, mut count) = ([0; WAITING], 0);
        for base in (0..length).step_by(8) {
            // Words are short, so eight bytes at a time are faster than a search for the next gap.
            let Some(block) = text[base..].first_chunk() else { break };
            let beyond = 8 * 8_usize.saturating_sub(length - base);
            let mut gaps = gaps(*block, self.gap) & (u64::MAX >> beyond);
            while gaps != 0 {
                let start = base + gaps.trailing_zeros() as usize / 8;
                waiting[count] = start;
                count += usize::from(self.filter.passes(key(&text[start + 1..])));
                gaps &= gaps - 1;
            }
            if count > WAITING - 8 {
                waiting[..count].iter().for_each(|start| self.look_up(text, *start, &mut on_match));
                count = 0;
            }
        }
        waiting[..count].iter().for_each(|start| self.look_up(text, *start, &mut on_match));
    }

    /// Reports the patterns that begin at the gap at `start`.
    fn look_up(&self, text: &[u8], start: usize, on_match: &mut impl FnMut(Occurrence, &[E])) {
        let key = key(&text[start + 1..]);
        if self.filter.short[usize::from(key.to_le_bytes()[0])] {
            for table in &self.short {
                if let Some(node) = table.get(key) {
                    self.follow(node, text, start, table.length(), on_match);
                }
            }
        }
        if let Some(node) = self.table.get(key) {
            self.follow(node, text, start, KEY, on_match);
        }
    }

    /// Reports the patterns that begin at a start, from the node that their first bytes lead to. What follows the text
    /// is in no pattern: zeros, or the two gaps between it and another text.
    #[inline]
    fn follow(
        &self,
        node: u32,
        text: &[u8],
        start: usize,
        length: usize,
        on_match: &mut impl FnMut(Occurrence, &[E]),
    ) {
        let mut node = &self.nodes[node as usize];
        let mut end = start + 1 + length;
        while let Some(next) = text.get(end..).and_then(<[u8]>::first_chunk)
            && (u64::from_le_bytes(*next) ^ node.label) & node.mask == 0
        {
            if let Some(more) = usize::from(node.label_length).checked_sub(8)
                && !text[end + 8..].starts_with(&self.labels[node.rest as usize..][..more])
            {
                return;
            }
            end += usize::from(node.label_length);
            if node.pattern != NONE {
                let pattern = node.pattern as usize;
                let entries = self.first[pattern] as usize..self.first[pattern + 1] as usize;
                on_match(Occurrence { pattern, start, end }, &self.entries[entries]);
            }
            let children = &self.firsts[node.first_child as usize..][..usize::from(node.children)];
            let Some(child) = children.iter().position(|first| *first == text[end]) else { return };
            node = &self.nodes[node.first_child as usize + child];
        }
    }
}

/// The high bit of each byte that is a gap.
#[inline]
fn gaps(block: [u8; 8], gap: u8) -> u64 {
    const LOWS: u64 = u64::from_le_bytes([0x7f; 8]);
    // Bytes that are gaps become 0. Adding 0x7f to the low bits of any other sets its high bit, without a carry.
    let differences = u64::from_le_bytes(block) ^ u64::from_le_bytes([gap; 8]);
    !(((differences & LOWS) + LOWS) | differences | LOWS)
}

/// Tries under construction.
#[derive(Debug, Default)]
struct Tries {
    nodes: Vec<Node>,
    firsts: Vec<u8>,
    labels: Vec<u8>,
}

impl Tries {
    /// Adds a trie of these sorted patterns, which are the same up to `from`. Returns its first node.
    fn add(&mut self, bodies: &[Body<'_>], from: usize) -> u32 {
        let root = self.reserve(1);
        let mut open = vec![(root, bodies, from)];
        while let Some((node, bodies, from)) = open.pop() {
            let (shortest, last) = (bodies[0].0, bodies[bodies.len() - 1].0);
            // Of sorted patterns, the first and the last have the least in common.
            let common = shortest.iter().zip(last).take_while(|(one, other)| one == other).count();
            let ends = shortest.len() == common;
            let below = &bodies[usize::from(ends)..];
            let groups: Vec<_> = below.chunk_by(|one, next| one.0[common] == next.0[common]).collect();
            let first_child = self.reserve(groups.len());
            self.firsts[node as usize] = shortest.get(from).copied().unwrap_or(0);
            let label = &shortest[from..common];
            let (start, rest) = label.split_at(label.len().min(8));
            let eight = |byte: &dyn Fn(u8) -> u8| {
                u64::from_le_bytes(std::array::from_fn(|index| {
                    start.get(index).map_or(0, |label| byte(*label))
                }))
            };
            self.nodes[node as usize] = Node {
                label: eight(&|byte| byte),
                mask: eight(&|_| u8::MAX),
                rest: u32::try_from(self.labels.len()).expect(FITS),
                pattern: if ends { bodies[0].1 } else { NONE },
                first_child,
                children: u16::try_from(groups.len()).expect(FITS),
                label_length: u16::try_from(label.len()).expect(FITS),
            };
            self.labels.extend_from_slice(rest);
            open.extend((first_child..).zip(groups).map(|(child, group)| (child, group, common)));
        }
        root
    }

    /// Makes room for nodes. Returns the first one.
    fn reserve(&mut self, count: usize) -> u32 {
        let first = self.nodes.len();
        let empty =
            Node { label: 0, mask: 0, rest: 0, pattern: NONE, first_child: 0, children: 0, label_length: 0 };
        self.nodes.resize(first + count, empty);
        self.firsts.resize(first + count, 0);
        u32::try_from(first).expect(FITS)
    }
}

impl Filter {
    /// Passes these keys, by their number of bytes.
    fn new(keys: &[Vec<(u32, u32)>; KEY + 1]) -> Self {
        let (short, long) = (&keys[..KEY], &keys[KEY]);
        let size = (long.len() * 16).next_power_of_two().max(64);
        let (multiplier, shift) = multiply_shift(size);
        let mut filter =
            Self { bits: vec![0; size / 64].into(), multiplier, shift, short: Box::new([false; 256]) };
        for (key, _) in long {
            let bit = filter.bit(*key);
            filter.bits[bit / 64] |= 1 << (bit % 64);
        }
        for (key, _) in short.iter().flatten() {
            filter.short[usize::from(key.to_le_bytes()[0])] = true;
        }
        filter
    }

    /// Whether a word with these first bytes may begin a pattern.
    #[inline]
    fn passes(&self, key: u32) -> bool {
        let bit = self.bit(key);
        (self.bits[bit / 64] >> (bit % 64) & 1 != 0) | self.short[usize::from(key.to_le_bytes()[0])]
    }

    #[inline]
    fn bit(&self, key: u32) -> usize {
        (u64::from(key).wrapping_mul(self.multiplier) >> self.shift) as usize
    }
}

impl Table {
    /// A table of keys of this many bytes, each once.
    fn new(length: usize, keys: &[(u32, u32)]) -> Self {
        let size = (keys.len() * 2).next_power_of_two().max(2);
        let (multiplier, shift) = multiply_shift(size);
        let mask = u32::MAX >> (8 * (KEY - length));
        let mut table = Self { mask, multiplier, shift, slots: vec![(0, 0); size].into() };
        for &(key, node) in keys {
            let mut slot = table.slot(key);
            while table.slots[slot].0 != 0 {
                slot = table.next(slot);
            }
            table.slots[slot] = (key, node);
        }
        table
    }

    /// The number of bytes of a key.
    fn length(&self) -> usize {
        (u32::BITS - self.mask.leading_zeros()) as usize / 8
    }

    /// The node that the first bytes of a key lead to.
    #[inline]
    fn get(&self, key: u32) -> Option<u32> {
        let key = key & self.mask;
        let mut slot = self.slot(key);
        loop {
            let (known, node) = self.slots[slot];
            if known == key {
                // After the last gap of a text there are no bytes.
                return (key != 0).then_some(node);
            }
            if known == 0 {
                return None;
            }
            slot = self.next(slot);
        }
    }

    /// The slot where the search for a key begins.
    #[inline]
    fn slot(&self, key: u32) -> usize {
        (u64::from(key).wrapping_mul(self.multiplier) >> self.shift) as usize
    }

    #[inline]
    fn next(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }
}

/// What hashes a key to below `size`, a power of two: the factor, and the shift after it. The factor is random, so that
/// nobody can choose keywords whose hashes collide.
fn multiply_shift(size: usize) -> (u64, u32) {
    (RandomState::new().hash_one(size) | 1, u64::BITS - size.trailing_zeros())
}

/// The first bytes as a number; what is missing is zero, which no folded text contains.
#[inline]
fn key(bytes: &[u8]) -> u32 {
    let bytes = match bytes.first_chunk::<KEY>() {
        Some(bytes) => *bytes,
        None => std::array::from_fn(|index| bytes.get(index).copied().unwrap_or(0)),
    };
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Hits = Vec<(usize, usize, Vec<usize>)>;

    fn search(patterns: &[&str], text: &str) -> Hits {
        let pairs = patterns.iter().enumerate().map(|(index, pattern)| (pattern.as_bytes().to_vec(), index));
        let mut hits = Hits::new();
        let starts = Starts::new(b' ', pairs);
        let padded = [text.as_bytes(), &[0; SLACK]].concat();
        starts.search(&padded, text.len(), |hit, entries| {
            assert!(hit.pattern < starts.patterns());
            hits.push((hit.start, hit.end, entries.to_vec()));
        });
        hits
    }

    /// Each pattern at each position.
    fn reference(patterns: &[&str], text: &str) -> Hits {
        let mut hits = Hits::new();
        for start in 0..text.len() {
            let mut found: Vec<_> =
                (0..patterns.len()).filter(|index| text[start..].starts_with(patterns[*index])).collect();
            found.sort_by_key(|index| (patterns[*index].len(), *index));
            for same in found.chunk_by(|one, next| patterns[*one] == patterns[*next]) {
                hits.push((start, start + patterns[same[0]].len(), same.to_vec()));
            }
        }
        hits
    }

    #[test]
    fn words_prefixes_and_phrases_are_found_where_words_start() {
        let patterns = [" labour ", " lab", " labour force ", " la ", " labour market", " tv ", " lab"];
        let check = |text: &str, expected: &[(usize, usize, &[usize])]| {
            let expected: Hits =
                expected.iter().map(|(start, end, found)| (*start, *end, found.to_vec())).collect();
            assert_eq!(search(&patterns, text), expected, "{text:?}");
        };
        check(" the labour force ", &[(4, 8, &[1, 6]), (4, 12, &[0]), (4, 18, &[2])]);
        check(" labour  force ", &[(0, 4, &[1, 6]), (0, 8, &[0])]);
        check(" la tv ", &[(0, 4, &[3]), (3, 7, &[5])]);
        check(" collabour marketla ", &[]);
        check(" ", &[]);
    }

    #[test]
    fn without_patterns_nothing_is_found() {
        assert_eq!(search(&[], " text "), []);
    }

    #[test]
    fn many_patterns_are_told_apart() {
        let patterns: Vec<String> = (0..20_000).map(|number| format!(" w{number} ")).collect();
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        for number in [0, 7, 1_234, 19_999] {
            let text = patterns[number];
            assert_eq!(search(&patterns, text), [(0, text.len(), vec![number])]);
        }
        assert_eq!(search(&patterns, " w20000 "), []);
    }

    proptest! {
        #[test]
        fn every_pattern_is_found_at_every_start(
            patterns in prop::collection::vec(" [ab]{1,5}( [ab]{1,3}){0,2} ?", 0..12),
            text in "( {1,2}[ab]{1,6}){0,10} ",
        ) {
            let patterns: Vec<&str> = patterns.iter().map(String::as_str).filter(|pattern| pattern.len() > 2).collect();
            prop_assert_eq!(search(&patterns, &text), reference(&patterns, &text));
        }
    }
}
