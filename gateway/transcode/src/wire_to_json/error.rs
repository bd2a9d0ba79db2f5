//! Why a message has no JSON: where in it, and what is wrong.

use std::fmt;

use crate::field_path::FieldPath;
use crate::wire::WireError;

/// Why a message on the wire cannot be written as JSON.
#[derive(Debug)]
pub struct WireToJsonError(Box<Located>);

#[derive(Debug)]
struct Located {
    path: FieldPath,
    problem: ReplyProblem,
}

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyProblem {
    /// It is not a message on the wire.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// A text is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// A well-known type has a value that its JSON cannot express.
    #[error("a {0} is out of range")]
    OutOfRange(&'static str),
    /// A path of a field mask changes on its way to JSON and back.
    #[error("the path {0:?} of a field mask has no form in JSON")]
    MaskPath(String),
    /// The type of an `Any` is not in the descriptor set.
    #[error("the type {0:?} of an Any is not in the descriptor set")]
    UnknownType(String),
    /// The JSON is too large.
    #[error("its JSON is larger than {limit} bytes")]
    TooLarge {
        /// The most bytes.
        limit: usize,
    },
    /// A field came too late for a message that is written as it arrives.
    #[error("the fields of a large message are not in the order of their numbers")]
    Order,
}

// === impl WireToJsonError ===

impl WireToJsonError {
    /// What is wrong.
    pub fn problem(&self) -> &ReplyProblem {
        &self.0.problem
    }

    /// The path of the field, as `values[2].label`; empty for the message as a whole.
    pub fn field(&self) -> String {
        self.0.path.to_string()
    }

    pub(super) fn within(mut self, name: &str) -> Self {
        self.0.path.push_name(name);
        self
    }

    pub(super) fn at_index(mut self, index: usize) -> Self {
        self.0.path.push_index(index);
        self
    }
}

impl fmt::Display for WireToJsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path.is_empty() {
            write!(f, "{}: ", self.0.path)?;
        }
        self.0.problem.fmt(f)
    }
}

impl std::error::Error for WireToJsonError {}

impl From<ReplyProblem> for WireToJsonError {
    fn from(problem: ReplyProblem) -> Self {
        Self(Box::new(Located { path: FieldPath::default(), problem }))
    }
}

impl From<WireError> for WireToJsonError {
    fn from(error: WireError) -> Self {
        ReplyProblem::from(error).into()
    }
}
