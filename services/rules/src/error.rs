//! Why a rule set is refused. Every failure names its field as a path (`rules[3].keywords[2]`), because a set is edited by
//! people far from this code.

/// A field of a rule set holds what is not allowed there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct RuleError {
    /// Path of the field from the rule set, for instance `rules[3].keywords[2]`.
    pub field: String,
    /// What is allowed, and what was found: `must be 1 to 1000, is 0`.
    pub problem: String,
}

/// Refuses `field` unless the condition `holds`.
pub(crate) fn require(
    holds: bool,
    field: impl FnOnce() -> String,
    problem: impl FnOnce() -> String,
) -> Result<(), RuleError> {
    if holds { Ok(()) } else { Err(RuleError { field: field(), problem: problem() }) }
}

/// Refuses a count above its limit.
pub(crate) fn at_most(limit: usize, found: usize, field: impl FnOnce() -> String) -> Result<(), RuleError> {
    require(found <= limit, field, || format!("must be at most {limit}, is {found}"))
}

/// A value as a message shows it: short, on one line.
pub(crate) fn excerpt(text: &str) -> String {
    let shown: String = text.chars().take(40).collect();
    format!("{shown:?}{}", if shown.len() < text.len() { "..." } else { "" })
}
