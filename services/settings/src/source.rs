//! The source of a value, as an operator needs it to correct the value.

use std::fmt;
use std::path::{Path, PathBuf};

/// A position in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePosition {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1, if the file contains more than one value.
    pub line: Option<usize>,
}

/// The source of a value, in order of precedence, highest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Flag,
    /// The Secret directory.
    Secret(FilePosition),
    /// The ConfigMap directory.
    ConfigMap(FilePosition),
    /// The environment variable of this name.
    Environment(String),
    /// The file of `--config`.
    File(FilePosition),
    /// The config service, for dynamic flags.
    ConfigService,
    /// No source defines it.
    Default,
}

// === impl FilePosition ===

impl FilePosition {
    /// A whole file.
    pub(super) fn whole(path: &Path) -> Self {
        Self { path: path.to_owned(), line: None }
    }

    /// One line of a file.
    pub(super) fn line(path: &Path, line: usize) -> Self {
        Self { path: path.to_owned(), line: Some(line) }
    }
}

impl fmt::Display for FilePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

// === impl Source ===

impl Source {
    /// Its precedence, 0 being the highest.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Flag => 0,
            Self::Secret(_) => 1,
            Self::ConfigMap(_) => 2,
            Self::Environment(_) => 3,
            Self::File(_) => 4,
            Self::ConfigService => 5,
            Self::Default => 6,
        }
    }

    /// Whether every value from this source is a secret.
    pub(super) fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }
}

/// The kind of source; for a variable only its name, which is unambiguous.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("command line"),
            Self::Secret(place) => write!(f, "Secret {place}"),
            Self::ConfigMap(place) => write!(f, "ConfigMap {place}"),
            Self::Environment(name) => f.write_str(name),
            Self::File(place) => write!(f, "file {place}"),
            Self::ConfigService => f.write_str("config service"),
            Self::Default => f.write_str("default"),
        }
    }
}
