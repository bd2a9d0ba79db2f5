//! Errors of invalid rule sets. Every error names its field as a path (`rules[3].keywords[2]`), because the people who
//! edit a set do not read this code.

/// A field of a rule set has an invalid value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct RuleError {
    /// Path of the field within the rule set, for instance `rules[3].keywords[2]`.
    pub field: String,
    /// The allowed values, and the value found: `must be 1 to 1000, is 0`.
    pub problem: String,
}

/// Returns an error for `field` unless the condition is true.
pub(crate) fn require(
    condition: bool,
    field: impl FnOnce() -> String,
    problem: impl FnOnce() -> String,
) -> Result<(), RuleError> {
    if condition { Ok(()) } else { Err(RuleError { field: field(), problem: problem() }) }
}

/// Returns an error if a count exceeds its limit.
pub(crate) fn at_most(limit: usize, found: usize, field: impl FnOnce() -> String) -> Result<(), RuleError> {
    require(found <= limit, field, || format!("must be at most {limit}, is {found}"))
}

/// Quotes a value for a message: short, on one line.
pub(crate) fn excerpt(text: &str) -> String {
    let shown: String = text.chars().take(40).collect();
    format!("{shown:?}{}", if shown.len() < text.len() { "..." } else { "" })
}
