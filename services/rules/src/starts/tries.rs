//! Tries of patterns, with one node for each run of bytes in which they do not differ.

pub(super) const FITS: &str = "at most 1 MiB of patterns of at most 256 bytes each";

/// In place of a pattern.
pub(super) const NONE: u32 = u32::MAX;

/// A pattern.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body<'a> {
    /// Without its first gap.
    pub(super) bytes: &'a [u8],
    pub(super) number: u32,
    /// Its entries: the first one, and how many follow it.
    pub(super) entries: (u32, u32),
}

/// A label that follows the labels of the nodes above. Half a line of the processor's caches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// Its first eight bytes; zeros for those that it does not have.
    pub(super) label: u64,
    /// Where the rest of it starts in `labels`.
    pub(super) rest: u32,
    /// The pattern that ends with it, or `NONE`, and its entries.
    pub(super) pattern: u32,
    pub(super) entries: (u32, u32),
    /// The nodes below it follow one another.
    pub(super) first_child: u32,
    pub(super) children: u16,
    pub(super) label_length: u16,
}

/// Tries under construction.
#[derive(Debug, Default)]
pub(super) struct Tries {
    pub(super) nodes: Vec<Node>,
    pub(super) firsts: Vec<u8>,
    pub(super) labels: Vec<u8>,
}

// === impl Node ===

impl Node {
    /// Whether the first eight bytes of the label are the first of these.
    #[inline]
    pub(super) fn begins(&self, bytes: [u8; 8]) -> bool {
        // What the label does not have is shifted out.
        let differences = u64::from_le_bytes(bytes) ^ self.label;
        match self.label_length {
            0 => true,
            length @ 1..8 => differences << (64 - 8 * length) == 0,
            _ => differences == 0,
        }
    }
}

// === impl Tries ===

impl Tries {
    /// Adds a trie of these sorted patterns, which are the same up to `from`. Returns its first node.
    pub(super) fn add(&mut self, bodies: &[Body<'_>], from: usize) -> u32 {
        let root = self.reserve(1);
        let mut open = vec![(root, bodies, from)];
        while let Some((node, bodies, from)) = open.pop() {
            let (shortest, last) = (bodies[0].bytes, bodies[bodies.len() - 1].bytes);
            // Of sorted patterns, the first and the last have the least in common.
            let common = shortest.iter().zip(last).take_while(|(one, other)| one == other).count();
            let ends = shortest.len() == common;
            let below = &bodies[usize::from(ends)..];
            let groups: Vec<_> =
                below.chunk_by(|one, next| one.bytes[common] == next.bytes[common]).collect();
            let first_child = self.reserve(groups.len());
            self.firsts[node as usize] = shortest.get(from).copied().unwrap_or(0);
            let label = &shortest[from..common];
            let (start, rest) = label.split_at(label.len().min(8));
            let eight = std::array::from_fn(|index| start.get(index).copied().unwrap_or(0));
            self.nodes[node as usize] = Node {
                label: u64::from_le_bytes(eight),
                rest: u32::try_from(self.labels.len()).expect(FITS),
                pattern: if ends { bodies[0].number } else { NONE },
                entries: bodies[0].entries,
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
        let empty = Node {
            label: 0,
            rest: 0,
            pattern: NONE,
            entries: (0, 0),
            first_child: 0,
            children: 0,
            label_length: 0,
        };
        self.nodes.resize(first + count, empty);
        self.firsts.resize(first + count, 0);
        u32::try_from(first).expect(FITS)
    }
}
