//! Why JSON is not that of a message: the field, the position, and what is wrong.

use std::borrow::Cow;
use std::fmt;

use crate::field_path::FieldPath;

/// Why JSON is not that of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonToWireError(Box<Located>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Located {
    problem: JsonProblem,
    /// The offset in the JSON, in bytes.
    at: usize,
    path: FieldPath,
}

/// What is wrong with JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonProblem {
    /// It is not JSON (RFC 8259).
    #[error("{0}")]
    Syntax(&'static str),
    /// A value is not one of its field.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What the field takes.
        expected: Cow<'static, str>,
        /// What is there.
        found: String,
    },
    /// The message has no such field.
    #[error("{message} has no field {name:?}")]
    UnknownField {
        /// The message.
        message: String,
        /// The name.
        name: String,
    },
    /// A member occurs twice, possibly in both spellings of its name.
    #[error("it is given twice")]
    Duplicate,
    /// Another member of the same oneof is set.
    #[error("{other} is set too, and only one field of the oneof {oneof} can be")]
    Oneof {
        /// The oneof.
        oneof: String,
        /// The other member.
        other: String,
    },
    /// A header of the request sets the field to another value.
    #[error("it differs from the value in the header of the request")]
    DiffersFromHeader,
    /// The type of an `Any` is missing or unknown.
    #[error("{0:?} is not a type of the descriptor set")]
    UnknownType(String),
    /// Messages are nested too deeply.
    #[error("messages are nested more than {limit} levels deep")]
    Depth {
        /// The most levels.
        limit: usize,
    },
    /// The message is too large.
    #[error("the message is larger than {limit} bytes")]
    TooLarge {
        /// The most bytes.
        limit: usize,
    },
}

// === impl JsonToWireError ===

impl JsonToWireError {
    /// A problem at an offset.
    pub(crate) fn new(problem: JsonProblem, at: usize) -> Self {
        Self(Box::new(Located { problem, at, path: FieldPath::default() }))
    }

    /// What is wrong.
    pub fn problem(&self) -> &JsonProblem {
        &self.0.problem
    }

    /// The path of the field, as `values[2].label`; empty for the JSON as a whole.
    pub fn field(&self) -> String {
        self.0.path.to_string()
    }

    /// The line and the column in the JSON, both from 1; columns count characters.
    pub fn position(&self, json: &[u8]) -> (usize, usize) {
        let before = &json[..self.0.at.min(json.len())];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        (line, column)
    }

    pub(crate) fn within(mut self, name: &str) -> Self {
        self.0.path.push_name(name);
        self
    }

    pub(crate) fn at_index(mut self, index: usize) -> Self {
        self.0.path.push_index(index);
        self
    }
}

impl fmt::Display for JsonToWireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.problem.fmt(f)
    }
}

impl std::error::Error for JsonToWireError {}
