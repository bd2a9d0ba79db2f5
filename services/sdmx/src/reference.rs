//! References to maintained artefacts.

use std::fmt;

/// The identity of a maintained artefact; a part that is not stated is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The maintenance agency.
    pub agency_id: String,
    /// The identifier within the agency.
    pub id: String,
    /// The version as written, which may be a wildcard.
    pub version: String,
}

// === impl Reference ===

impl Reference {
    /// Bytes of its texts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.agency_id.len() + self.id.len() + self.version.len()
    }
}

/// `AGENCY:ID(VERSION)`, as in a URN.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { agency_id, id, version } = self;
        write!(f, "{agency_id}:{id}({version})")
    }
}
