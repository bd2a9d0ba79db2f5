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

/// Appends the folded text, with a gap at both ends.
pub(super) fn fold_into(text: &str, gap: u8, out: &mut Vec<u8>) {
    out.push(gap);
    let mut rest = text;
    loop {
        // `is_ascii` checks many bytes at a time.
        let ascii = if rest.is_ascii() {
            rest.len()
        } else {
            rest.bytes().position(|byte| !byte.is_ascii()).unwrap_or(rest.len())
        };
        let (run, other) = rest.split_at(ascii);
        fold_ascii(run.as_bytes(), gap, out);
        let mut chars = other.chars();
        let Some(c) = chars.next() else { break };
        push_unicode(c, gap, out);
        rest = chars.as_str();
    }
    push_gap(gap, out);
}

/// [`push_unicode`] for a run of ASCII, branch-free: every byte is written, but the write position advances only if the
/// byte is kept, so that a repeated gap is overwritten.
fn fold_ascii(run: &[u8], gap: u8, out: &mut Vec<u8>) {
    let start = out.len();
    let mut after_gap = out.last() == Some(&gap);
    out.resize(start + run.len() + 1, 0);
    let room = &mut out[start..];
    let mut used = 0;
    for byte in run {
        let folded = ASCII[usize::from(byte & 0x7f)];
        let is_gap = folded == 0;
        room[used] = if is_gap { gap } else { folded };
        used += usize::from(!(is_gap & after_gap));
        after_gap = is_gap;
    }
    out.truncate(start + used);
}

/// Maps a folded byte to the character that it came from, by folding the text again.
///
/// Only evidence needs it, a few bytes in the texts of the winner: cheaper than a position for every byte of every
/// text.
pub(super) struct Offsets<'a> {
    chars: std::str::Chars<'a>,
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
        Self { chars: text.chars(), taken: 0, gap, folded: 1, after_gap: true, piece: Vec::new() }
    }

    /// Number of scalar values before the one that the byte at `position` came from. Positions must not decrease
    /// between calls.
    pub(super) fn at(&mut self, position: usize) -> u32 {
        while self.folded <= position {
            let Some(c) = self.chars.next() else { break };
            self.taken += 1;
            match ASCII.get(c as usize) {
                Some(folded) => {
                    let is_gap = *folded == 0;
                    self.folded += usize::from(!(is_gap && self.after_gap));
                    self.after_gap = is_gap;
                }
                None => self.skip_unicode(c),
            }
        }
        self.taken.saturating_sub(1)
    }

    #[inline(never)]
    fn skip_unicode(&mut self, c: char) {
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    fn fold(text: &str) -> String {
        let mut out = Vec::new();
        fold_into(text, SPACE, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(fold(text), expected, "{text:?}");
        assert_eq!(fold(&text.nfd().to_string()), expected, "{text:?} decomposed");
    }

    #[test]
    fn letters_fold_and_everything_else_is_a_gap() {
        check("", " ");
        check("  - ", " ");
        check("Popolazione residente", " popolazione residente ");
        check("L'Università dell’Aquila", " l universita dell aquila ");
        check("Covid-19 (R&D)", " covid 19 r d ");
        check("Straße, Œuvre, ŁÓDŹ, Ísland", " strasse oeuvre lodz island ");
        check("İstanbul ΟΔΟΣ", " istanbul οδοσ ");
        check("CO₂, m², ﬁnance, Ⅳ", " co2 m2 finance iv ");
        check("sani\u{ad}tà dell\u{2bc}anno", " sanita dell anno ");
        check("人口 Население", " 人口 население ");
    }

    #[test]
    fn id_tokens_are_separated_by_underscores() {
        let mut out = Vec::new();
        fold_into("DSD_NAMAIN1@DF_QNA", UNDERSCORE, &mut out);
        assert_eq!(out, b"_dsd_namain1_df_qna_");
    }

    #[test]
    fn offsets_count_scalar_values() {
        let text = "L'e\u{300} così — più";
        let mut offsets = Offsets::new(text, SPACE);
        assert_eq!(fold(text), " l e cosi piu ");
        assert_eq!([1, 3, 5, 8, 10].map(|at| offsets.at(at)), [0, 2, 5, 8, 12]);
    }

    proptest! {
        #[test]
        fn runs_and_single_characters_fold_the_same(text in "[ -~àß\u{300}]{0,40}") {
            let mut one_by_one = vec![SPACE];
            text.chars().for_each(|c| push_unicode(c, SPACE, &mut one_by_one));
            push_gap(SPACE, &mut one_by_one);
            prop_assert_eq!(fold(&text).into_bytes(), one_by_one);
        }

        #[test]
        fn folding_is_idempotent(text in "\\PC{0,40}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn composed_and_decomposed_fold_the_same(text in "\\PC{0,40}") {
            prop_assert_eq!(fold(&text.nfc().to_string()), fold(&text.nfd().to_string()));
        }

        #[test]
        fn an_offset_points_to_the_character_that_was_folded(text in "\\PC{0,40}") {
            let folded = fold(&text);
            let mut offsets = Offsets::new(&text, SPACE);
            for (at, c) in folded.char_indices().filter(|(_, c)| *c != ' ') {
                let source = text.chars().nth(offsets.at(at) as usize).unwrap();
                prop_assert!(fold(&source.to_string()).contains(c), "{source:?} for {c:?}");
            }
        }
    }
}
