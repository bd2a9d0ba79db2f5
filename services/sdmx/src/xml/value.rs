//! Finds the end of an attribute value, eight bytes at a time: most values are shorter than what a search that is tuned for
//! long texts needs to begin.

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);

/// The length of a value up to its closing quote or a `<`, and whether it reads as it is written: without references, line
/// ends and tabs. `None` if neither is in `bytes`.
#[inline]
pub(super) fn length(bytes: &[u8], quote: u8) -> Option<(usize, bool)> {
    let (mut at, mut unusual) = (0, 0);
    while let Some(eight) = bytes[at..].first_chunk() {
        let word = u64::from_le_bytes(*eight);
        let ends = equal(word, quote) | equal(word, b'<');
        let marks = equal(word, b'&') | zeros(word & u64::from_le_bytes([0xe0; 8]));
        if ends != 0 {
            let before = ends.trailing_zeros() - 7;
            unusual |= marks & !(u64::MAX << before);
            return Some((at + before as usize / 8, unusual == 0));
        }
        unusual |= marks;
        at += 8;
    }
    let rest = bytes[at..].iter().position(|byte| *byte == quote || *byte == b'<')?;
    let is_usual = |byte: &u8| *byte != b'&' && *byte >= b' ';
    Some((at + rest, unusual == 0 && bytes[at..at + rest].iter().all(is_usual)))
}

/// The high bit of the first byte that is this one. It may mark bytes after that too.
#[inline]
fn equal(word: u64, byte: u8) -> u64 {
    zeros(word ^ u64::from_le_bytes([byte; 8]))
}

/// The high bit of the first byte that is 0. It may mark bytes after that too, by a borrow.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Byte by byte.
    fn reference(bytes: &[u8], quote: u8) -> Option<(usize, bool)> {
        let length = bytes.iter().position(|byte| *byte == quote || *byte == b'<')?;
        Some((length, bytes[..length].iter().all(|byte| *byte != b'&' && *byte >= b' ')))
    }

    proptest! {
        #[test]
        fn a_value_ends_where_the_first_quote_is(
            mut bytes in prop::collection::vec(prop_oneof![8 => any::<u8>(), 1 => Just(b'"')], 0..40),
            others in prop::sample::select(&b"a\xe9\xff "[..]),
            is_rare in any::<bool>(),
        ) {
            if is_rare {
                // Bytes that end a value, or change how it reads, near others that differ from them in one bit.
                bytes.iter_mut().for_each(|byte| if *byte < 0xc0 && *byte != b'"' { *byte = others });
            }
            for quote in [b'"', b'\''] {
                prop_assert_eq!(length(&bytes, quote), reference(&bytes, quote));
            }
        }
    }

    #[test]
    fn what_changes_how_a_value_reads_counts_only_before_its_end() {
        for (bytes, expected) in [
            (&b"\""[..], Some((0, true))),
            (b"abc\"&", Some((3, true))),
            (b"abc\"&\n\n\n\n\n\n", Some((3, true))),
            (b"a&amp;b\"xxxxxxxxx", Some((7, false))),
            (b"abcdefgh\tijk\"xxxxxxxxx", Some((12, false))),
            (b"abcdefghijk<xxxxxxxxx", Some((11, true))),
            (b"", None),
            (b"abcdefghijk", None),
        ] {
            assert_eq!(length(bytes, b'"'), expected, "{:?}", bytes.escape_ascii().to_string());
        }
    }
}
