//! Look-ups by the first bytes of words.

use std::hash::{BuildHasher, RandomState};

/// The bytes that a table looks up.
pub(super) const KEY: usize = 4;

/// Which words may begin a pattern; a few that do not pass too.
#[derive(Debug)]
pub(super) struct Filter {
    /// Bits of hashes of first bytes.
    bits: Box<[u64]>,
    multiplier: u64,
    shift: u32,
    /// The first bytes of patterns of two and three bytes.
    pub(super) short: Box<[bool; 256]>,
}

/// The first bytes of patterns, and the nodes that they lead to.
#[derive(Debug)]
pub(super) struct Table {
    /// Keeps the bytes of a key.
    mask: u32,
    multiplier: u64,
    shift: u32,
    /// A power of two of keys and nodes, at most half of them in use. No key is 0.
    slots: Box<[(u32, u32)]>,
}

// === impl Filter ===

impl Filter {
    /// Passes these keys, by their number of bytes.
    pub(super) fn new(keys: &[Vec<(u32, u32)>; KEY + 1]) -> Self {
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
    pub(super) fn passes(&self, key: u32) -> bool {
        let bit = self.bit(key);
        (self.bits[bit / 64] >> (bit % 64) & 1 != 0) | self.short[usize::from(key.to_le_bytes()[0])]
    }

    #[inline]
    fn bit(&self, key: u32) -> usize {
        (u64::from(key).wrapping_mul(self.multiplier) >> self.shift) as usize
    }
}

// === impl Table ===

impl Table {
    /// A table of keys of this many bytes, each once.
    pub(super) fn new(length: usize, keys: &[(u32, u32)]) -> Self {
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
    pub(super) fn length(&self) -> usize {
        (u32::BITS - self.mask.leading_zeros()) as usize / 8
    }

    /// The node that the first bytes of a key lead to.
    #[inline]
    pub(super) fn get(&self, key: u32) -> Option<u32> {
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
/// the author of a rule set cannot choose keywords whose hashes collide.
fn multiply_shift(size: usize) -> (u64, u32) {
    (RandomState::new().hash_one(size) | 1, u64::BITS - size.trailing_zeros())
}

/// The first bytes as a number; what is missing is zero, which no folded text contains.
#[inline]
pub(super) fn key(bytes: &[u8]) -> u32 {
    let bytes = match bytes.first_chunk::<KEY>() {
        Some(bytes) => *bytes,
        None => std::array::from_fn(|index| bytes.get(index).copied().unwrap_or(0)),
    };
    u32::from_le_bytes(bytes)
}
