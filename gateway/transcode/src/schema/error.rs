//! Why a descriptor set cannot be compiled.

/// Why a descriptor set cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It is not a `FileDescriptorSet`.
    #[error("not a FileDescriptorSet: {0}")]
    Unreadable(String),
    /// A file is in a language that came after this release.
    #[error(
        "{file} is in {edition}, which is not supported; supported are proto2, proto3, and the editions 2023 and 2024"
    )]
    Edition {
        /// The file.
        file: String,
        /// Its edition.
        edition: String,
    },
    /// Two files of the same name differ.
    #[error("the descriptor set has two different files named {file}")]
    DuplicateFile {
        /// The file.
        file: String,
    },
    /// Two elements have the same full name.
    #[error("the descriptor set defines {name} twice")]
    DuplicateName {
        /// The full name.
        name: String,
    },
    /// A file names a type that no file of the set defines.
    #[error(
        "{element} uses {name}, which the descriptor set does not define; write the set with its imports"
    )]
    Missing {
        /// What uses it.
        element: String,
        /// The missing type.
        name: String,
    },
    /// An element is impossible.
    #[error("{element} is invalid: {problem}")]
    Invalid {
        /// The element.
        element: String,
        /// The error.
        problem: &'static str,
    },
}

// === impl SchemaError ===

impl SchemaError {
    pub(super) fn invalid(element: &str, problem: &'static str) -> Self {
        Self::Invalid { element: element.to_owned(), problem }
    }
}
