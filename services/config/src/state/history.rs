//! What is known of the past of a set: the version of each item, and the revisions of all of them together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::change::{ChangeRecord, Origin};
use crate::difference::{Difference, DifferenceKind};

/// The past of a rule set or of the mapping of themes, or of a tenant's changes to one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// The version of each item.
    pub versions: BTreeMap<String, ResourceVersion>,
    /// The revisions without gaps, oldest first: from revision 1, or from a later one if the journal was compacted.
    pub revisions: Vec<Arc<Revision>>,
}

/// The version of a resource, as its etag identifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceVersion {
    /// The position of its last change, which is the etag.
    pub position: u64,
    /// When it was created.
    pub created: SystemTime,
    /// When it was last updated.
    pub updated: SystemTime,
}

/// A revision of a set, or of a tenant's changes to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The number of the revision, from 1.
    pub revision: i64,
    /// The position of the change that made it.
    pub position: u64,
    /// When it was created.
    pub time: SystemTime,
    /// The author and the reason.
    pub origin: Origin,
    /// The differences from the previous revision; unknown, and so empty, if the journal was compacted since.
    pub differences: Vec<Difference>,
}

// === impl ResourceVersion ===

impl ResourceVersion {
    /// The position of what no change has made: it is built into a release.
    pub const BUILT_IN: u64 = 0;

    /// The etag: opaque hexadecimal digits.
    pub fn etag(&self) -> String {
        format!("{:x}", self.position)
    }
}

// === impl History ===

impl History {
    /// The number of the latest revision; 0 if there is none.
    pub fn latest(&self) -> i64 {
        self.revisions.last().map_or(0, |latest| latest.revision)
    }

    /// Records the next revision.
    pub(super) fn record(&mut self, differences: Vec<Difference>, position: u64, recorded: &ChangeRecord) {
        let ChangeRecord { origin, time, .. } = recorded;
        for Difference { id, kind } in &differences {
            let created = self.versions.remove(id).map_or(*time, |version| version.created);
            if *kind != DifferenceKind::Removed {
                self.versions.insert(id.clone(), ResourceVersion { position, created, updated: *time });
            }
        }
        let (revision, origin) = (self.latest() + 1, origin.clone());
        self.revisions.push(Arc::new(Revision { revision, position, time: *time, origin, differences }));
    }

    /// Forgets the revisions before the one that was the latest at this position: the journal was compacted.
    pub(super) fn forget(&mut self, position: u64) {
        let made = self.revisions.partition_point(|revision| revision.position <= position);
        if let Some(oldest) = made.checked_sub(1) {
            self.revisions.drain(..oldest);
            Arc::make_mut(&mut self.revisions[0]).differences.clear();
        }
    }

    /// The revision that the change at this position made.
    pub fn revision_at(&self, position: u64) -> Option<i64> {
        let found = self.revisions.binary_search_by_key(&position, |revision| revision.position).ok()?;
        Some(self.revisions[found].revision)
    }
}
