//! Folding: the normalized form in which keywords and texts of [`Mode::Words`](super::Mode) are compared.
//!
//! `L'Università` and its decomposed equivalent both become ` l universita `: compatibility decomposition, combining
//! marks removed, lower case, ligatures spelled out, and each run of characters that are neither letters nor digits as
//! one gap. Both ends have a gap too, so that a word boundary is always a gap, and two adjacent texts never form a
//! phrase (there are two gaps between them). Text is `Vec<u8>` of UTF-8, because the automaton works on bytes.

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// The gap between words of names and descriptions.
pub(super) const SPACE: u8 = b' ';
/// The gap between tokens of an id. Differs from [`SPACE`], so that keywords for ids never match texts, and keywords
/// for texts never match ids.
pub(super) const UNDERSCORE: u8 = b'_';

/// The folded forms of the characters U+0080 to U+017F, in their order: the accented letters of Latin script, whose
/// decomposition takes too long for texts in which every tenth letter has an accent. `.` stands for a gap, and `-` for a
/// character that [`push_unicode`] folds.
const LATIN_FORMS: &str = "\
    . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . a . . - . . \
    . . 2 3 . - . . . 1 o . - - - . a a a a a a ae c e e e e i i i i d n o o o o o . o u u u u y th ss \
    a a a a a a ae c e e e e i i i i d n o o o o o . o u u u u y th y a a a a a a c c c c c c c c \
    d d d d e e e e e e e e e e g g g g g g g g h h h h i i i i i i i i i i ij ij j j k k - l l l l l l \
    - - l l n n n n n n - - - o o o o o o oe oe r r r r r r s s s s s s s s t t t t - - u u u u u u u u \
    u u u u w w y y y z z z z z z s";

/// [`LATIN_FORMS`] by the character, from U+0080. The second byte of one letter is 0.
const LATIN: [[u8; 2]; 256] = {
    let forms = LATIN_FORMS.as_bytes();
    let mut table = [[0; 2]; 256];
    let (mut entry, mut at, mut length) = (0, 0, 0);
    while at < forms.len() {
        if forms[at] == b' ' {
            entry += 1;
            length = 0;
        } else {
            table[entry][length] = forms[at];
            length += 1;
        }
        at += 1;
    }
    assert!(entry == table.len() - 1);
    table
};

/// In [`LATIN`]: a gap, and a character that is folded one by one.
const LATIN_GAP: [u8; 2] = [b'.', 0];
const LATIN_OTHER: [u8; 2] = [b'-', 0];

/// A byte of folded texts, and the byte of the text that it comes from. Up to the next anchor, each byte comes from the
/// next one. Texts are far below 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) at: u32,
    pub(super) origin: u32,
}

/// The most bytes of a text that are folded before room for more is made.
const RUN: usize = 256;

/// Appends the folded text, with a gap at both ends.
pub(super) fn fold_into(text: &str, gap: u8, out: &mut Vec<u8>) {
    fold_anchored(text, gap, out, |_| {});
}

/// [`fold_into`], which also calls `anchor` in the order of the text.
pub(super) fn fold_anchored(text: &str, gap: u8, out: &mut Vec<u8>, mut anchor: impl FnMut(Anchor)) {
    out.push(gap);
    anchor(Anchor::new(out.len(), 0));
    let mut folded = 0;
    loop {
        folded = fold_latin(text.as_bytes(), folded, gap, out, &mut anchor);
        let Some(c) = text[folded..].chars().next() else { break };
        push_unicode(c, gap, out);
        folded += c.len_utf8();
        anchor(Anchor::new(out.len(), folded));
    }
    push_gap(gap, out);
}

/// [`push_unicode`] for ASCII, the characters of the table, and punctuation, from a byte of the text up to the first other
/// character, or for [`RUN`] bytes. Returns where it ended.
///
/// Eight bytes of ASCII at a time, or as many as precede another character or a gap after a gap. No character gets longer,
/// so that the room is made once.
fn fold_latin(
    text: &[u8],
    from: usize,
    gap: u8,
    out: &mut Vec<u8>,
    anchor: &mut impl FnMut(Anchor),
) -> usize {
    let text = &text[..text.len().min(from + RUN)];
    let mut used = out.len();
    // The high bit of a byte, if a gap precedes.
    let mut before = if out.last() == Some(&gap) { 0x80 } else { 0 };
    out.resize(used + text.len() - from + 8, 0);
    let mut at = from;
    while at < text.len() {
        let bytes = eight(text, at);
        let ascii = (bytes & HIGHS).trailing_zeros() / 8;
        if ascii > 0 {
            let (folded, gaps) = fold_ascii(bytes, gap);
            let gaps = gaps & (u64::MAX >> (64 - 8 * ascii));
            let repeated = gaps & (gaps << 8 | before);
            out[used..used + 8].copy_from_slice(&folded.to_le_bytes());
            if repeated == 0 {
                before = gaps >> (8 * (ascii - 1)) & 0x80;
                used += ascii as usize;
                at += ascii as usize;
            } else {
                let kept = repeated.trailing_zeros() / 8;
                let skipped = (!(repeated >> (8 * kept)) & HIGHS).trailing_zeros() / 8;
                before = 0x80;
                used += kept as usize;
                at += (kept + skipped) as usize;
                anchor(Anchor::new(used, at));
            }
            continue;
        }
        let (form, length) = match text[at..] {
            // Two bytes, of five and six bits.
            [first @ 0xc2..=0xc5, second, ..] => {
                (LATIN[(usize::from(first & 0x1f) << 6 | usize::from(second & 0x3f)) - 0x80], 2)
            }
            // U+2010 to U+2027: dashes, quotation marks, apostrophes, bullets, dots.
            [0xe2, 0x80, 0x90..=0xa7, ..] => (LATIN_GAP, 3),
            _ => break,
        };
        match form {
            LATIN_OTHER => break,
            LATIN_GAP => {
                out[used] = gap;
                used += usize::from(before == 0);
                before = 0x80;
            }
            letters => {
                out[used..used + 2].copy_from_slice(&letters);
                used += 1 + usize::from(letters[1] != 0);
                before = 0;
            }
        }
        at += length;
        anchor(Anchor::new(used, at));
    }
    out.truncate(used);
    at
}

/// Eight bytes of a text as a number; beyond its end is no ASCII.
#[inline]
fn eight(text: &[u8], at: usize) -> u64 {
    if let Some(eight) = text[at..].first_chunk() {
        return u64::from_le_bytes(*eight);
    }
    let missing = at + 8 - text.len();
    let bytes = match text.last_chunk() {
        Some(last) => u64::from_le_bytes(*last) >> (8 * missing),
        None => text[at..].iter().rev().fold(0, |bytes, byte| bytes << 8 | u64::from(*byte)),
    };
    bytes | HIGHS & !(u64::MAX >> (8 * missing))
}

/// The high bits of eight bytes.
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);

/// The folded form of eight ASCII bytes, and the high bit of each byte that is a gap. What is beyond other bytes is
/// undefined.
#[inline]
fn fold_ascii(bytes: u64, gap: u8) -> (u64, u64) {
    let all = |byte: u8| u64::from_le_bytes([byte; 8]);
    // Sums set the high bit of bytes that are not below a bound; no sum of seven bits carries.
    let bytes = bytes & !HIGHS;
    let within = |bytes: u64, first, last: u8| {
        bytes.wrapping_add(all(0x80 - first)) & !bytes.wrapping_add(all(0x80 - last - 1))
    };
    // Lower case has the bit of 0x20, and so have digits.
    let lower = bytes | all(0x20);
    let kept = (within(lower, b'a', b'z') | within(bytes, b'0', b'9')) & HIGHS;
    let whole = (kept >> 7).wrapping_mul(0xff);
    (lower & whole | all(gap) & !whole, kept ^ HIGHS)
}

// === impl Anchor ===

impl Anchor {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "texts are far below 4 GiB")]
    fn new(at: usize, origin: usize) -> Self {
        Self { at: at as u32, origin: origin as u32 }
    }
}

/// The start of the character that a folded byte comes from, by the anchors of its text.
pub(super) fn origin(text: &str, anchors: &[Anchor], at: usize) -> usize {
    let after = anchors.partition_point(|anchor| anchor.at as usize <= at);
    let Some(last) = after.checked_sub(1).and_then(|last| anchors.get(last)) else { return 0 };
    // A character may fold to more bytes than it has; an anchor follows it then.
    let end = anchors.get(after).map_or(text.len(), |next| next.origin as usize);
    let origin = last.origin as usize + (at - last.at as usize);
    text.floor_char_boundary(origin.min(end.saturating_sub(1)))
}

#[inline]
fn push_gap(gap: u8, out: &mut Vec<u8>) {
    // `last` is never `None`: every folded text starts with a gap.
    if out.last() != Some(&gap) {
        out.push(gap);
    }
}

#[inline(never)]
fn push_unicode(c: char, gap: u8, out: &mut Vec<u8>) {
    decompose_compatible(c, |part| {
        for lower in part.to_lowercase() {
            match lower {
                'ß' => out.extend_from_slice(b"ss"),
                'œ' => out.extend_from_slice(b"oe"),
                'æ' => out.extend_from_slice(b"ae"),
                'þ' => out.extend_from_slice(b"th"),
                'ø' => out.push(b'o'),
                'đ' | 'ð' => out.push(b'd'),
                'ł' => out.push(b'l'),
                'ħ' => out.push(b'h'),
                'ı' => out.push(b'i'),
                'ς' => out.extend_from_slice("σ".as_bytes()),
                // Letters by Unicode class, but used as apostrophes.
                '\u{2bb}' | '\u{2bc}' => push_gap(gap, out),
                // Soft hyphen, joiners, byte order mark: invisible inside words.
                '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => {}
                mark if is_combining_mark(mark) => {}
                ascii if ascii.is_ascii_alphanumeric() => out.push(ascii as u8),
                letter if letter.is_alphanumeric() => {
                    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => push_gap(gap, out),
            }
        }
    });
}

#[cfg(test)]
mod tests;
