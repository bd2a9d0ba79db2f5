//! Normalizes texts for display. Pretty-printers put white space around and into texts, so it cannot carry meaning.

use std::borrow::Cow;

use memchr::memchr2_iter;

use super::xml::is_allowed;

/// Trims `text`, collapses each run of white space into one space and replaces each control character that XML forbids
/// by U+FFFD. The second value is whether such a character was replaced.
pub(super) fn normalized(text: &str) -> (Cow<'_, str>, bool) {
    let trimmed = text.trim_ascii();
    if is_normal(trimmed.as_bytes()) {
        return (Cow::Borrowed(trimmed), false);
    }
    let mut out = String::with_capacity(trimmed.len());
    let mut replaced = false;
    let mut space = false;
    for character in trimmed.chars() {
        let is_space = is_space(character);
        if is_space && space {
            continue;
        }
        space = is_space;
        let allowed = is_allowed(character);
        replaced |= !allowed;
        out.push(match is_space {
            true => ' ',
            false if allowed => character,
            false => char::REPLACEMENT_CHARACTER,
        });
    }
    (Cow::Owned(out), replaced)
}

/// Whether a text is empty after trimming.
pub(super) fn is_blank(text: &str) -> bool {
    text.trim_ascii().is_empty()
}

/// Whether a text was decoded in a wrong encoding on its way into the document: windows-1252 as ISO-8859-1, which
/// leaves control characters where quotation marks were, or UTF-8 as windows-1252, which makes `Ã©` of `é`.
#[must_use]
pub fn is_garbled(text: &str) -> bool {
    // What either leaves, as UTF-8: U+0080 to U+009F, or a character that was the first byte of another.
    let bytes = text.as_bytes();
    let is_sign = |at: usize| {
        matches!(bytes[at..], [0xc2, 0x80..0xa0, ..] | [0xc3, 0x82..=0x85 | 0x90 | 0x91 | 0xa2, ..])
    };
    if !memchr2_iter(0xc2, 0xc3, bytes).any(is_sign) {
        return false;
    }
    if text.chars().any(|character| matches!(character, '\u{80}'..'\u{a0}')) {
        return true;
    }
    let (bytes, _, has_others) = encoding_rs::WINDOWS_1252.encode(text);
    !has_others && str::from_utf8(&bytes).is_ok()
}

/// White space as XML defines it: a no-break space is an ordinary character.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// Fast check that a text is already normalized: no control characters, no two consecutive spaces. Checks eight bytes
/// at a time. Returns false if in doubt; the caller then checks character by character.
fn is_normal(text: &[u8]) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    /// The high bit of each byte below `bound`, which is at most 0x80. A borrow may mark bytes after such a byte too.
    fn below(word: u64, bound: u8) -> u64 {
        word.wrapping_sub(ONES * u64::from(bound)) & !word & HIGHS
    }
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [b'.'; 8];
    last[..rest.len()].copy_from_slice(rest);
    let (mut irregular, mut space_before) = (0, 0);
    // Branch-free: most texts are normalized already, and short.
    let mut check = |bytes: [u8; 8]| {
        let word = u64::from_le_bytes(bytes);
        let controls = below(word, b' ');
        // U+FFFE and U+FFFF start with 0xef.
        let specials = below(word ^ (ONES * 0xef), 1);
        let spaces = below(word ^ (ONES * u64::from(b' ')), 1);
        irregular |= controls | specials | (spaces & (spaces << 8 | space_before));
        space_before = spaces >> 56;
    };
    words.iter().for_each(|bytes| check(*bytes));
    check(last);
    irregular == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_were_decoded_wrongly_are_recognized() {
        for text in ["Ã©ducation", "santÃ© et Ã©tÃ©", "lâ€™emploi", "L\u{92}emploi", "Â°C", "Ð§Ð¸Ð½"]
        {
            assert!(is_garbled(text), "{text}");
        }
        for text in [
            "Education",
            "L’éducation",
            "SÃO PAULO",
            "Ñandú «âge»",
            "SANTÉ\u{a0}: été",
            "Çã",
            "Población âgée",
            "Età\u{a0}media",
            "Число",
            "人口",
        ] {
            assert!(!is_garbled(text), "{text}");
        }
    }
}
