//! What can be wrong with settings. Everything that is wrong is told at once, so that one look mends it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::source::{Place, Source};

/// Why settings could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line is wrong, or asks for help or the version, which clap answers the same way.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The sources below the command line are wrong.
    #[error("{0}")]
    Problems(Problems),
}

/// All that is wrong, at least one thing.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// One thing that is wrong. None of them shows a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A file or directory cannot be used as a whole.
    #[error("{}: {why}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: Unusable,
    },
    /// A file is neither YAML nor JSON as we read them.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What was met.
        message: String,
    },
    /// A variable's value is no text.
    #[error("{variable}: not UTF-8")]
    NotText {
        /// Its name.
        variable: String,
    },
    /// One source defines a setting twice.
    #[error("{name}: {first} and {second} say different things", first = .places[0], second = .places[1])]
    Contradiction {
        /// What is set twice.
        name: String,
        /// By whom.
        places: Box<[Source; 2]>,
    },
    /// A value is not one that the flag takes.
    #[error("{at}: {flag}: {reason}")]
    Invalid {
        /// Where the value stands.
        at: Source,
        /// The flag.
        flag: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value is not fit for production.
    #[error("{at}: {flag}: not in production: {reason}")]
    Unfit {
        /// Where the value stands.
        at: Source,
        /// The flag.
        flag: String,
        /// What would happen.
        reason: &'static str,
    },
}

/// Why a file or directory cannot be used as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unusable {
    /// It is a directory.
    #[error("a directory, where a file with one value was expected")]
    Directory,
    /// It is a pipe, a socket or a device.
    #[error("neither a file nor a link to one")]
    NotAFile,
    /// It is larger than 1 MiB, which no ConfigMap or Secret can be.
    #[error("larger than 1 MiB")]
    TooLarge,
    /// Its name or content is not UTF-8, or has NULs.
    #[error("not text in UTF-8")]
    NotText,
    /// The system does not let us read it.
    #[error("{0}")]
    Unreadable(io::ErrorKind),
}

// === impl Problems ===

/// The problem, or a line for each.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = self.0.as_slice() {
            return write!(f, "{problem}");
        }
        write!(f, "{} settings are wrong", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
