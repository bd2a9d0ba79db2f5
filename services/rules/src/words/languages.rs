//! The languages that the rules of a set name.

use crate::language;

/// A set of languages as bits; all bits for a rule without languages and for a text without one.
pub(super) type LanguageMask = u64;
pub(super) const ALL_LANGUAGES: LanguageMask = LanguageMask::MAX;

/// Languages in lower case; bit `n` of a mask stands for the `n`th.
#[derive(Debug)]
pub(super) struct Languages {
    known: Box<[String]>,
    /// Those of two letters, which nearly all tags are.
    pairs: Box<[([u8; 2], LanguageMask)]>,
}

// === impl Languages ===

impl Languages {
    pub(super) fn new(known: Vec<String>) -> Self {
        let pairs = known.iter().enumerate();
        let pairs =
            pairs.filter_map(|(bit, tag)| Some((<[u8; 2]>::try_from(tag.as_bytes()).ok()?, 1 << bit)));
        Self { pairs: pairs.collect(), known: known.into() }
    }

    /// The mask of a text: the bit of its language, none if no rule names that language, all if its tag names none.
    #[inline]
    pub(super) fn mask_of(&self, tag: &str) -> LanguageMask {
        match *tag.as_bytes() {
            [first @ b'a'..=b'z', second @ b'a'..=b'z'] => {
                let found = self.pairs.iter().find(|(pair, _)| *pair == [first, second]);
                found.map_or(0, |(_, mask)| *mask)
            }
            _ => self.mask_of_any(tag),
        }
    }

    fn mask_of_any(&self, tag: &str) -> LanguageMask {
        let Some(subtag) = language::of_text(tag) else { return ALL_LANGUAGES };
        let bit = self.known.iter().position(|known| known.eq_ignore_ascii_case(subtag));
        bit.map_or(0, |bit| 1 << bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_and_the_long_one_give_one_mask() {
        let languages = Languages::new(["en", "it", "ast", "xx"].map(str::to_owned).into());
        for (tag, expected) in [
            ("en", 1),
            ("it", 2),
            ("ast", 4),
            ("xx", 8),
            ("fr", 0),
            ("EN", 1),
            ("en-GB", 1),
            ("ita", 2),
            ("", !0),
            ("und", !0),
        ] {
            assert_eq!((languages.mask_of(tag), languages.mask_of_any(tag)), (expected, expected), "{tag:?}");
        }
    }
}
