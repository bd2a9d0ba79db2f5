//! Collections of items, each of which is a small record, and has a large content in chunks where it needs one. All
//! changes of a collection that belong together are made at once, so that an item is there as a whole or not at all.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Error;
use crate::key::Key;
use crate::revision::{NotARevision, Revision};

/// How long the chunks of a content are stored before a change keeps it: a writer that takes longer has died.
pub const STAGED: Duration = Duration::from_secs(60 * 60);

/// Identifies a content of a collection. Random, so that two writers of the same item do not mix their chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentId(Revision);

/// A collection, as it was at one version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Collection {
    /// The number of changes so far; 0 of a collection that was never changed.
    pub version: u64,
    /// The names of the items and their records, in no particular order.
    pub items: Vec<(String, Bytes)>,
}

/// One of the changes of a collection that are made at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Writes the record of an item, which may exist.
    Put {
        /// The name of the item, without white space.
        item: String,
        /// Its record.
        record: Bytes,
    },
    /// Removes an item, which may be absent. It does not remove a content.
    Remove {
        /// The name of the item.
        item: String,
    },
    /// Keeps a content whose chunks are staged until it is dropped.
    Keep {
        /// The content.
        content: ContentId,
        /// The number of its chunks.
        chunks: u32,
    },
    /// Removes a content, kept or staged, which may be absent.
    Drop {
        /// The content.
        content: ContentId,
    },
}

/// The result of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// All were made. The collection has this version now.
    At(u64),
    /// None was made: the collection has another version than the expected one.
    Behind {
        /// The version that it has.
        version: u64,
    },
    /// None was made: a content to keep does not have all of its chunks, which may have expired.
    Incomplete,
}

/// Collections. Their keys must be of a durable space. All of a collection is in one bucket, thus on one server.
#[async_trait]
pub trait Collections {
    /// The version and all items of a collection. The caller bounds their number and their size.
    async fn collection(&self, collection: &Key) -> Result<Collection, Error>;

    /// Stores a chunk of a content. The content is removed after [`STAGED`] unless a change keeps it.
    async fn stage(
        &self,
        collection: &Key,
        content: ContentId,
        index: u32,
        chunk: Bytes,
    ) -> Result<(), Error>;

    /// A chunk of a content; `None` if it is gone.
    async fn chunk(&self, collection: &Key, content: ContentId, index: u32) -> Result<Option<Bytes>, Error>;

    /// Compare-and-change: makes all changes, of which each item and each content has at most one, or none of them if the
    /// collection is not at `version`. Of several concurrent writers that read the same version, one succeeds.
    async fn apply(&self, collection: &Key, version: u64, changes: Vec<Change>) -> Result<Applied, Error>;
}

// === impl ContentId ===

impl ContentId {
    /// A new random identifier.
    pub fn random() -> Self {
        Self(Revision::random())
    }

    pub(crate) fn number(self) -> u64 {
        self.0.number()
    }
}

/// 16 hexadecimal digits.
impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ContentId {
    type Err = NotARevision;

    fn from_str(text: &str) -> Result<Self, NotARevision> {
        text.parse().map(Self)
    }
}
