//! Problems of settings. All problems are reported at once, so that an operator can fix them in one pass.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::source::{FilePosition, Source};

/// Why settings could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line is invalid, or requests help or the version, which clap returns in the same way.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The sources besides the command line are invalid.
    #[error("{0}")]
    Problems(Problems),
}

/// All problems, at least one.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// One problem. None of them shows a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A file or directory is unusable as a whole.
    #[error("{}: {why}", path.display())]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// The reason.
        why: Unusable,
    },
    /// A file is not valid YAML or JSON, or uses a construct that settings do not support.
    #[error("{place}: {message}")]
    Syntax {
        /// The position.
        place: FilePosition,
        /// The parser's message.
        message: String,
    },
    /// The value of a variable is not UTF-8.
    #[error("{variable}: not UTF-8")]
    NotText {
        /// Name of the variable.
        variable: String,
    },
    /// One source defines a setting twice, with different values.
    #[error("{name}: {first} and {second} define different values", first = .places[0], second = .places[1])]
    Contradiction {
        /// The key of the setting.
        name: String,
        /// The two definitions.
        places: Box<[Source; 2]>,
    },
    /// A value is not valid for its flag.
    #[error("{at}: {flag}: {reason}")]
    Invalid {
        /// The source of the value.
        at: Source,
        /// The flag.
        flag: String,
        /// The error message.
        reason: String,
    },
    /// A value is not allowed in production.
    #[error("{at}: {flag}: not allowed in production: {reason}")]
    NotForProduction {
        /// The source of the value.
        at: Source,
        /// The flag.
        flag: String,
        /// The consequence.
        reason: &'static str,
    },
}

/// Why a file or directory is unusable as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unusable {
    /// It is a directory.
    #[error("a directory, expected a file with one value")]
    Directory,
    /// It is a pipe, a socket or a device.
    #[error("neither a file nor a link to one")]
    NotAFile,
    /// It is larger than 1 MiB, the maximum of a ConfigMap or Secret.
    #[error("larger than 1 MiB")]
    TooLarge,
    /// Its name or content is not UTF-8, or contains NUL.
    #[error("not text in UTF-8")]
    NotText,
    /// The operating system denies reading it.
    #[error("{0}")]
    Unreadable(io::ErrorKind),
}

// === impl Problems ===

/// The problem, or one line for each.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = self.0.as_slice() {
            return write!(f, "{problem}");
        }
        write!(f, "{} settings are invalid", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
