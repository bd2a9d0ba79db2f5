//! The stored form of snapshots: their records, and their contents as sequences of parts, in chunks.
//!
//! `packing` makes a content of what was read, [`packed`] reads it again, `dataflow` and `artefact` encode its parts.

pub mod packed;
pub mod packing;
pub mod record;

mod artefact;
mod dataflow;
mod part;

/// The format version that this release writes, and the newest that it reads.
pub const STORED_VERSION: u32 = 1;

/// Why something that is stored cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A later release wrote it.
    #[error("format version {found}, this release reads up to {STORED_VERSION}")]
    Format {
        /// The format version.
        found: u32,
    },
    /// It is not what this service writes.
    #[error("{0}")]
    Malformed(String),
    /// A chunk of the content is gone.
    #[error("chunk {index} of the content is missing")]
    ChunkMissing {
        /// Its index.
        index: u32,
    },
}

impl From<prost::DecodeError> for Unreadable {
    fn from(error: prost::DecodeError) -> Self {
        Unreadable::Malformed(error.to_string())
    }
}
