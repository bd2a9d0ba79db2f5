//! A flag, its current value, and where the value comes from.

use super::source::Source;

/// A flag and its current value. Without `Debug`, because it may be a secret.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) flag: String,
    /// The value as on the command line, empty if there is none.
    pub(super) text: String,
    pub(super) source: Source,
    pub(super) secret: bool,
    pub(super) dynamic: bool,
    pub(super) with: Vec<Source>,
    pub(super) over: Vec<Source>,
}
