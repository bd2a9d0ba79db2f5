//! Pairs the dataflows of two contents: all versions of one, by agency and identifier.

use std::cmp::Ordering;
use std::ops::Range;

use crate::content::ListedDataflow;
use crate::stored::Unreadable;
use crate::stored::packed::Packed;
use crate::version;

/// All versions of a dataflow in one content, which are next to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group(Range<usize>);

/// A dataflow in either content, or in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pair {
    Base(Group),
    Head(Group),
    Both(Group, Group),
}

/// The pairs, in the order of identities.
pub(super) fn of(base: &Packed, head: &Packed) -> impl Iterator<Item = Pair> {
    let mut at = (0, 0);
    std::iter::from_fn(move || {
        let (before, after) = (Group::at(base, at.0), Group::at(head, at.1));
        let pair = match (before, after) {
            (None, None) => return None,
            (Some(before), None) => Pair::Base(before),
            (None, Some(after)) => Pair::Head(after),
            (Some(before), Some(after)) => match before.key(base).cmp(&after.key(head)) {
                Ordering::Less => Pair::Base(before),
                Ordering::Greater => Pair::Head(after),
                Ordering::Equal => Pair::Both(before, after),
            },
        };
        match &pair {
            Pair::Base(Group(before)) => at.0 = before.end,
            Pair::Head(Group(after)) => at.1 = after.end,
            Pair::Both(Group(before), Group(after)) => at = (before.end, after.end),
        }
        Some(pair)
    })
}

// === impl Group ===

impl Group {
    /// The group that begins at an index.
    fn at(content: &Packed, start: usize) -> Option<Self> {
        let of = |index: usize| (&content.identity(index).agency_id, &content.identity(index).id);
        let first = (start < content.len()).then(|| of(start))?;
        let end = (start..content.len()).find(|index| of(*index) != first).unwrap_or(content.len());
        Some(Self(start..end))
    }

    fn key<'a>(&self, content: &'a Packed) -> (&'a str, &'a str) {
        let identity = content.identity(self.0.start);
        (&identity.agency_id, &identity.id)
    }

    /// Its versions, in ascending order of their texts.
    pub(super) fn versions(&self, content: &Packed) -> String {
        let versions = self.0.clone().map(|index| content.identity(index).version.as_str());
        versions.collect::<Vec<_>>().join(", ")
    }

    /// The index of the version that represents the dataflow.
    pub(super) fn representative_index(&self, content: &Packed) -> usize {
        let versions = self.0.clone().map(|index| content.identity(index).version.as_str());
        self.0.start + version::representative(versions).unwrap_or_default()
    }

    /// The version that represents the dataflow.
    pub(super) fn representative(&self, content: &Packed) -> Result<ListedDataflow, Unreadable> {
        content.dataflow(self.representative_index(content))
    }

    /// Whether all versions are the same, byte for byte.
    pub(super) fn is_same(&self, other: &Self, base: &Packed, head: &Packed) -> bool {
        self.0.len() == other.0.len()
            && self.0.clone().zip(other.0.clone()).all(|(one, other)| base.raw(one) == head.raw(other))
    }
}
