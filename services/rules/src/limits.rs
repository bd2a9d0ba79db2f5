//! The limits of a rule set and of the mapping of themes. Validation, the engines and the documentation share these numbers.

/// Maximum number of comparisons of a keyword with an occurrence of its first word in the texts of one dataflow.
/// Further occurrences do not count. Texts of people stay far below it: it needs megabytes of text, or thousands of
/// keywords that begin with the same word.
pub const MAX_COMPARISONS: usize = 4 << 20;
/// Maximum length of a rule set's name, in bytes.
pub const MAX_NAME: usize = 64;
/// Maximum length of a rule's identifier, in bytes.
pub const MAX_RULE_ID: usize = 128;
/// Maximum number of rules per set.
pub const MAX_RULES: usize = 10_000;
/// Maximum number of keywords per rule.
pub const MAX_KEYWORDS: usize = 1_000;
/// Maximum length of a keyword, in bytes.
pub const MAX_KEYWORD: usize = 256;
/// Maximum size of all keywords of a set, in bytes, with one byte for the end of each: the automaton needs about 40
/// bytes for each of them. The engines apply the same limit to the folded keywords of enabled rules.
pub const MAX_KEYWORD_BYTES: usize = 1 << 20;
/// Maximum number of languages that a set names; `en` and `en-GB` are one. One bit each; all bits together mean any
/// language.
pub const MAX_LANGUAGES: usize = 63;
/// Maximum length of a rule's description, in bytes.
pub const MAX_DESCRIPTION: usize = 4096;
/// Maximum length of a language tag, in bytes: BCP 47 requires implementations to support this (RFC 5646, 4.4.1).
pub const MAX_TAG: usize = 35;
/// The priority of a rule without one.
pub const DEFAULT_PRIORITY: i32 = 5;
/// Maximum of a priority and of a weight; the minimum of both is 1.
pub const MAX_POINTS: i32 = 1000;
/// Maximum number of rows of the mapping of themes. Every theme of a catalogue is compared with those whose path begins
/// like its own.
pub const MAX_THEMES: usize = 2_000;
/// Maximum length of the identifier of a row, in bytes.
pub const MAX_THEME_ID: usize = 128;
/// Maximum length of the scheme of a row, in bytes.
pub const MAX_THEME_SCHEME: usize = 256;
/// Maximum number of ids or names in the path of a row.
pub const MAX_THEME_PATH: usize = 32;
/// Maximum length of an id or a name in the path of a row, in bytes.
pub const MAX_THEME_NAME: usize = 512;
/// Maximum size of all texts of the mapping, in bytes.
pub const MAX_THEME_BYTES: usize = 1 << 20;
