//! Why a field cannot be set from outside of the JSON.

use std::borrow::Cow;

/// Why a field is not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PresetError {
    /// There is no such field, it cannot be written as one text, or the path of the request sets it.
    #[error("there is no such field")]
    Unknown,
    /// The text is no value of the field.
    #[error("{found:?} is not {expected}")]
    Invalid {
        /// The text.
        found: String,
        /// What the field takes.
        expected: Cow<'static, str>,
    },
    /// The field takes one value, and has one.
    #[error("it is given twice")]
    Duplicate,
    /// The field has another value.
    #[error("it differs from the value elsewhere in the request")]
    Differs,
    /// Another member of the same oneof is set.
    #[error("{other} is set too, and only one field of the oneof {oneof} can be")]
    Oneof {
        /// The oneof.
        oneof: String,
        /// The other member.
        other: String,
    },
}
