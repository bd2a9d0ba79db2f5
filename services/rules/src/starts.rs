//! Finds keywords at the starts of words: a filter and a table of the first bytes of all keywords, and tries for the
//! rest.
//!
//! An automaton over thousands of keywords has megabytes of states, and each byte of a text fetches one of them from
//! main memory. Keywords begin where words begin, though, so one look-up a word is enough, and most words are those of
//! no keyword: their first four bytes are not in the filter, a few kilobytes that stay in the processor's first cache.
//! Words that pass it are collected first and followed later, so that the processor need not guess which do.

use std::collections::BTreeMap;

use memchr::memchr;

use self::table::{Filter, KEY, Table, key};
use self::tries::{Body, FITS, NONE, Node, Tries};
use super::automaton::Occurrence;

mod table;
mod tries;

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
    patterns: usize,
    entries: Box<[E]>,
}

/// Zeros that must follow a text, so that eight bytes can be read at each of its positions.
pub(super) const SLACK: usize = 8;

/// Up to so many nodes are compared one by one.
const FEW: usize = 8;

/// Words that wait to be followed.
const WAITING: usize = 64;

// === impl Starts ===

impl<E> Starts<E> {
    /// Takes (pattern, entry) pairs. Each pattern is a gap and at least two bytes without a zero.
    pub(super) fn new(gap: u8, pairs: impl IntoIterator<Item = (Vec<u8>, E)>) -> Self {
        let mut grouped = BTreeMap::<Vec<u8>, Vec<E>>::new();
        for (pattern, entry) in pairs {
            grouped.entry(pattern).or_default().push(entry);
        }
        let (mut bodies, mut entries) = (Vec::new(), Vec::new());
        let count = |entries: &Vec<E>| u32::try_from(entries.len()).expect(FITS);
        for ((pattern, group), number) in grouped.iter_mut().zip(0..) {
            let own = (count(&entries), count(group));
            bodies.push(Body { bytes: &pattern[1..], number, entries: own });
            entries.append(group);
        }
        let mut tries = Tries::default();
        let mut keys: [Vec<(u32, u32)>; KEY + 1] = Default::default();
        // Sorted patterns with the same first bytes are adjacent.
        let start = |body: &[u8]| body[..body.len().min(KEY)].to_vec();
        for group in bodies.chunk_by(|one, next| start(one.bytes) == start(next.bytes)) {
            let prefix = start(group[0].bytes);
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
            patterns: bodies.len(),
            entries: entries.into(),
        }
    }

    /// Number of distinct patterns.
    pub(super) fn patterns(&self) -> usize {
        self.patterns
    }

    /// Calls `on_match` for every occurrence in a folded text, ordered by start, then by length, with the entries of its
    /// pattern. The text has `length` bytes, and at least [`SLACK`] follow it.
    #[inline]
    pub(super) fn search(&self, text: &[u8], length: usize, mut on_match: impl FnMut(Occurrence, &[E])) {
        let (mut waiting, mut count) = ([0_u32; WAITING], 0);
        for base in (0..length).step_by(8) {
            // Words are short, so eight bytes at a time are faster than a search for the next gap.
            let Some(block) = text[base..].first_chunk() else { break };
            let beyond = 8 * 8_usize.saturating_sub(length - base);
            let mut gaps = gaps(*block, self.gap) & (u64::MAX >> beyond);
            while gaps != 0 {
                let start = base + gaps.trailing_zeros() as usize / 8;
                // Texts are far below 4 GiB.
                waiting[count] = start as u32;
                count += usize::from(self.filter.passes(key(&text[start + 1..])));
                gaps &= gaps - 1;
            }
            if count > WAITING - 8 {
                waiting[..count].iter().for_each(|start| self.look_up(text, *start as usize, &mut on_match));
                count = 0;
            }
        }
        waiting[..count].iter().for_each(|start| self.look_up(text, *start as usize, &mut on_match));
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
            && node.begins(*next)
        {
            if let Some(more) = usize::from(node.label_length).checked_sub(8)
                && !text[end + 8..].starts_with(&self.labels[node.rest as usize..][..more])
            {
                return;
            }
            end += usize::from(node.label_length);
            if node.pattern != NONE {
                let (first, count) = node.entries;
                let entries = &self.entries[first as usize..][..count as usize];
                on_match(Occurrence { pattern: node.pattern as usize, start, end }, entries);
            }
            let children = &self.firsts[node.first_child as usize..][..usize::from(node.children)];
            let first = text[end];
            let child = if children.len() > FEW {
                memchr(first, children)
            } else {
                children.iter().position(|other| *other == first)
            };
            let Some(child) = child else { return };
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

#[cfg(test)]
mod tests;
