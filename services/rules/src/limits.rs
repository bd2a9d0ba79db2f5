//! The bounds of a rule set. Each is a number that validation, the engines and the pages share.

/// Longest name of a rule set, in bytes.
pub const MAX_NAME: usize = 64;
/// Longest identifier of a rule, in bytes.
pub const MAX_RULE_ID: usize = 128;
/// Most rules of a set.
pub const MAX_RULES: usize = 10_000;
/// Most keywords of a rule.
pub const MAX_KEYWORDS: usize = 1_000;
/// Longest keyword, in bytes.
pub const MAX_KEYWORD: usize = 256;
/// Most bytes of all keywords of a set, with one for the end of each: the automaton takes some 40 bytes for each of
/// them. The engines hold the folded keywords of enabled rules to the same number.
pub const MAX_KEYWORD_BYTES: usize = 1 << 20;
/// Most languages that a set names; `en` and `en-GB` are one. One bit each, all bits standing for any language.
pub const MAX_LANGUAGES: usize = 63;
/// Longest description of a rule, in bytes.
pub const MAX_DESCRIPTION: usize = 4096;
/// Longest language tag, in bytes: what BCP 47 asks implementations to take (RFC 5646, 4.4.1).
pub const MAX_TAG: usize = 35;
/// The priority of a rule that states none.
pub const DEFAULT_PRIORITY: i32 = 5;
/// What a priority and a weight may be at most; both are at least 1.
pub const MAX_POINTS: i32 = 1000;
