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

/// The folded form of an ASCII byte; 0 for a gap.
const ASCII: [u8; 128] = {
    let mut table = [0; 128];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            table[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

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

/// Appends the folded text, with a gap at both ends.
pub(super) fn fold_into(text: &str, gap: u8, out: &mut Vec<u8>) {
    out.push(gap);
    let mut rest = text;
    loop {
        let folded = fold_latin(rest.as_bytes(), gap, out);
        let mut chars = rest[folded..].chars();
        let Some(c) = chars.next() else { break };
        push_unicode(c, gap, out);
        rest = chars.as_str();
    }
    push_gap(gap, out);
}

/// [`push_unicode`] for ASCII, the characters of the table, and punctuation, up to the first other one. Returns the
/// number of bytes that it folded.
///
/// Eight bytes of ASCII at a time, or as many as precede another character. No character gets longer, so that the room
/// is reserved once.
fn fold_latin(text: &[u8], gap: u8, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    // The high bit of a byte, if a gap precedes.
    let mut before = if out.last() == Some(&gap) { 0x80 } else { 0 };
    out.resize(start + text.len() + 8, 0);
    let room = &mut out[start..];
    let (mut used, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        let eight = rest.first_chunk().copied().unwrap_or_else(|| {
            // Beyond the end is no ASCII.
            std::array::from_fn(|index| rest.get(index).copied().unwrap_or(0x80))
        });
        let bytes = u64::from_le_bytes(eight);
        let count = (bytes & HIGHS).trailing_zeros() as usize / 8;
        if count > 0 {
            let (folded, gaps) = fold_ascii(bytes, gap);
            let gaps = gaps & (u64::MAX >> (64 - 8 * count));
            let repeated = gaps & (gaps << 8 | before);
            if repeated == 0 {
                room[used..used + 8].copy_from_slice(&folded.to_le_bytes());
                used += count;
            } else {
                for (index, byte) in folded.to_le_bytes().into_iter().enumerate().take(count) {
                    room[used] = byte;
                    used += usize::from(repeated >> (8 * index + 7) & 1 == 0);
                }
            }
            before = gaps >> (8 * (count - 1)) & 0x80;
            at += count;
            continue;
        }
        let (form, length) = match rest {
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
                room[used] = gap;
                used += usize::from(before == 0);
                before = 0x80;
            }
            letters => {
                room[used..used + 2].copy_from_slice(&letters);
                used += 1 + usize::from(letters[1] != 0);
                before = 0;
            }
        }
        at += length;
    }
    out.truncate(start + used);
    at
}

/// The high bits of eight bytes.
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);

/// The folded form of eight ASCII bytes, and the high bit of each byte that is a gap. What is beyond other bytes is
/// undefined.
fn fold_ascii(bytes: u64, gap: u8) -> (u64, u64) {
    let all = |byte: u8| u64::from_le_bytes([byte; 8]);
    // Sums set the high bit of bytes that are not below a bound; no sum of seven bits carries.
    let at_least = |bytes: u64, bound: u8| (bytes & !HIGHS).wrapping_add(all(0x80 - bound));
    let within = |bytes, first, last: u8| at_least(bytes, first) & !at_least(bytes, last + 1) & HIGHS;
    let whole = |highs: u64| (highs >> 7).wrapping_mul(0xff);
    let lower = bytes | all(0x20);
    let (letters, digits) = (within(lower, b'a', b'z'), within(bytes, b'0', b'9'));
    let gaps = HIGHS & !(letters | digits);
    (lower & whole(letters) | bytes & whole(digits) | all(gap) & whole(gaps), gaps)
}

/// Maps a folded byte to the character that it came from, by folding the text again.
///
/// Only evidence needs it, a few bytes in the texts of the winner: cheaper than a position for every byte of every
/// text.
pub(super) struct Offsets<'a> {
    rest: &'a str,
    taken: u32,
    gap: u8,
    /// Number of bytes that the consumed characters fold to, and whether the last of them is a gap.
    folded: usize,
    after_gap: bool,
    /// Buffer for folding one character.
    piece: Vec<u8>,
}

impl<'a> Offsets<'a> {
    pub(super) fn new(text: &'a str, gap: u8) -> Self {
        Self { rest: text, taken: 0, gap, folded: 1, after_gap: true, piece: Vec::new() }
    }

    /// Number of scalar values before the one that the byte at `position` came from. Positions must not decrease
    /// between calls.
    pub(super) fn at(&mut self, position: usize) -> u32 {
        while self.folded <= position && !self.rest.is_empty() {
            self.skip_ascii(position);
            if self.folded <= position
                && let Some(c) = self.rest.chars().next()
            {
                self.rest = &self.rest[c.len_utf8()..];
                self.taken += 1;
                self.skip_unicode(c);
            }
        }
        self.taken.saturating_sub(1)
    }

    /// Consumes ASCII up to the byte at `position`.
    fn skip_ascii(&mut self, position: usize) {
        let Self { rest, folded, after_gap, .. } = self;
        let mut count = 0;
        // Eight at a time, as long as the byte at the position cannot be among them.
        while let Some(eight) = rest.as_bytes()[count as usize..].first_chunk()
            && *folded + eight.len() <= position
            && eight.is_ascii()
        {
            let (_, gaps) = fold_ascii(u64::from_le_bytes(*eight), self.gap);
            let repeated = gaps & (gaps << 8 | u64::from(*after_gap) << 7);
            *folded += eight.len() - repeated.count_ones() as usize;
            *after_gap = gaps >> 63 != 0;
            count += 8;
        }
        for byte in rest.bytes().skip(count as usize).take_while(u8::is_ascii) {
            if *folded > position {
                break;
            }
            let is_gap = ASCII[usize::from(byte)] == 0;
            *folded += usize::from(!(is_gap & *after_gap));
            *after_gap = is_gap;
            count += 1;
        }
        *rest = &rest[count as usize..];
        self.taken += count;
    }

    /// The next character was consumed.
    fn skip_unicode(&mut self, c: char) {
        if let Some(form) = (c as usize).checked_sub(0x80).and_then(|index| LATIN.get(index))
            && *form != LATIN_OTHER
        {
            let is_gap = *form == LATIN_GAP;
            self.folded += if is_gap { usize::from(!self.after_gap) } else { 1 + usize::from(form[1] != 0) };
            self.after_gap = is_gap;
            return;
        }
        self.piece.clear();
        // The preceding byte decides whether a gap is added.
        self.piece.push(if self.after_gap { self.gap } else { b'.' });
        push_unicode(c, self.gap, &mut self.piece);
        self.folded += self.piece.len() - 1;
        self.after_gap = self.piece.last() == Some(&self.gap);
    }
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
