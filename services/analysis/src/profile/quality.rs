//! Flags of quality: what a user of the data should know about the definition of a dataflow.

use dataflow_sdmx::{Dataflow, Localized, is_garbled};

/// See the module. Like flags, these are labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QualityFlag {
    /// The day and the month of the last update could be each other.
    DateAmbiguous,
    /// There is no English name, and none without a language.
    WithoutEnglishName,
    /// There is no description.
    WithoutDescription,
    /// It is no stub, and names no data structure.
    WithoutStructure,
    /// It names a data structure that the catalogue should contain and does not.
    StructureMissing,
    /// A text has characters that an error of encoding leaves behind.
    GarbledText,
    /// A text has tags of HTML.
    MarkupInText,
    /// The definition is not final.
    NotFinal,
}

// === impl QualityFlag ===

impl QualityFlag {
    /// Every flag, in ascending order.
    pub const ALL: [Self; 8] = [
        Self::DateAmbiguous,
        Self::WithoutEnglishName,
        Self::WithoutDescription,
        Self::WithoutStructure,
        Self::StructureMissing,
        Self::GarbledText,
        Self::MarkupInText,
        Self::NotFinal,
    ];
}

/// The flags of a dataflow, whose data structure may be missing.
pub(super) fn flags(dataflow: &Dataflow, is_structure_missing: bool) -> Vec<QualityFlag> {
    let Dataflow { names, descriptions, structure, is_final, external, facts, .. } = dataflow;
    let has = |is_so: fn(&str) -> bool| names.iter().chain(descriptions).any(|(_, text)| is_so(text));
    let holds = |flag: &QualityFlag| match flag {
        QualityFlag::DateAmbiguous => facts.is_update_ambiguous,
        QualityFlag::WithoutEnglishName => !names.iter().any(is_english),
        QualityFlag::WithoutDescription => descriptions.is_empty(),
        QualityFlag::WithoutStructure => structure.is_none() && external.is_none(),
        QualityFlag::StructureMissing => is_structure_missing,
        QualityFlag::GarbledText => {
            has(|text| !text.is_ascii() && (text.contains(char::REPLACEMENT_CHARACTER) || is_garbled(text)))
        }
        // Few texts have the sign.
        QualityFlag::MarkupInText => has(|text| text.as_bytes().contains(&b'<') && has_markup(text)),
        QualityFlag::NotFinal => *is_final == Some(false),
    };
    QualityFlag::ALL.into_iter().filter(holds).collect()
}

/// Whether a text is in English, or may be.
fn is_english((language, _): &Localized) -> bool {
    let primary = language.split(['-', '_']).next().unwrap_or_default();
    ["", "en", "eng", "und"].iter().any(|english| primary.eq_ignore_ascii_case(english))
}

/// Whether a text has a tag: `<`, maybe `/`, a letter, and `>` later.
fn has_markup(text: &str) -> bool {
    text.match_indices('<').any(|(at, _)| {
        let rest = &text[at + 1..];
        let name = rest.strip_prefix('/').unwrap_or(rest);
        name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.contains('>')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_from_signs() {
        for markup in ["<p>Text</p>", "a<br/>b", "x </b>", "<A HREF='x'>y"] {
            assert!(has_markup(markup), "{markup}");
        }
        for plain in ["a < b", "aged <15 and >64", "<", "a<b", "< p>", "<<", ""] {
            assert!(!has_markup(plain), "{plain}");
        }
    }

    #[test]
    fn a_name_without_a_language_may_be_english() {
        let check = |language: &str, expected: bool| {
            assert_eq!(is_english(&(language.to_owned(), "n".to_owned())), expected, "{language}");
        };
        for language in ["", "en", "EN", "en-GB", "en_US", "eng"] {
            check(language, true);
        }
        for language in ["it", "enm", "fr-en"] {
            check(language, false);
        }
    }
}
