//! What a rule set must look like, and what is said of one that does not.
//!
//! Checks that hold in both modes are here; the syntax of keywords is checked where keywords are
//! read. Every message names the field as a path (`rules[3].keywords[2]`), because a set is
//! edited by people far from this code.

use std::collections::HashMap;

use super::Rule;

/// Why a rule set cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A value that its field does not allow.
    #[error("{field} is {found}: expected {expected}")]
    Invalid {
        /// Path of the field from the rule set.
        field: String,
        /// What is there.
        found: String,
        /// What may be there.
        expected: &'static str,
    },
    /// Two rules with one id.
    #[error("{field} `{id}` is already the id of rules[{first}]: expected a unique id")]
    DuplicateRule {
        /// Path of the later rule's id.
        field: String,
        /// The id.
        id: String,
        /// Position of the earlier rule.
        first: usize,
    },
    /// More of something than a set may hold.
    #[error("{field} holds {found}: expected at most {limit}")]
    TooMany {
        /// Path of the list.
        field: String,
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: Limit,
    },
}

/// The most that a rule set may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// 10,000 rules in a set.
    Rules,
    /// 1,000 keywords in a rule.
    Keywords,
    /// 1 MiB of folded keywords in a set: the automaton takes some 40 bytes for each of them.
    KeywordBytes,
    /// 63 languages in a set: one bit each, all bits standing for any language.
    Languages,
}

impl RuleError {
    /// Path of the field that is wrong, `rules[3].keywords[2]`.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Invalid { field, .. } | Self::DuplicateRule { field, .. } | Self::TooMany { field, .. } => {
                field
            }
        }
    }
}

impl Limit {
    /// The number.
    #[must_use]
    pub const fn value(self) -> usize {
        match self {
            Self::Rules => 10_000,
            Self::Keywords => 1_000,
            Self::KeywordBytes => 1 << 20,
            Self::Languages => 63,
        }
    }

    /// Refuses a count above the limit.
    pub(super) fn check(self, found: usize, field: impl FnOnce() -> String) -> Result<(), RuleError> {
        if found <= self.value() {
            return Ok(());
        }
        Err(RuleError::TooMany { field: field(), found, limit: self })
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = match self {
            Self::Rules => "rules",
            Self::Keywords => "keywords",
            Self::KeywordBytes => "bytes of keywords",
            Self::Languages => "languages",
        };
        write!(f, "{} {unit}", self.value())
    }
}

/// What holds in both modes: identities and counts.
pub(super) fn check_rules(rules: &[Rule]) -> Result<(), RuleError> {
    Limit::Rules.check(rules.len(), || "rules".to_owned())?;
    let mut ids = HashMap::with_capacity(rules.len());
    for (index, rule) in rules.iter().enumerate() {
        check_id(&rule.id, || format!("rules[{index}].ruleId"))?;
        if let Some(first) = ids.insert(rule.id.as_str(), index) {
            let field = format!("rules[{index}].ruleId");
            return Err(RuleError::DuplicateRule { field, id: rule.id.clone(), first });
        }
        Limit::Keywords.check(rule.keywords.len(), || format!("rules[{index}].keywords"))?;
    }
    Ok(())
}

fn check_id(id: &str, field: impl FnOnce() -> String) -> Result<(), RuleError> {
    if (1..=128).contains(&id.len()) {
        return Ok(());
    }
    Err(RuleError::Invalid { field: field(), found: quoted(id), expected: "1 to 128 bytes" })
}

/// A value as a message shows it: short, on one line.
pub(super) fn quoted(value: &str) -> String {
    let shown: String = value.chars().take(40).flat_map(char::escape_debug).collect();
    let dots = if value.chars().nth(40).is_some() { "..." } else { "" };
    format!("`{shown}{dots}`")
}
