//! What a tenant has changed in a shared set, with its past.

use std::collections::HashSet;
use std::sync::Arc;

use dataflow_rules::{Item, Overlay, Rule};

use super::history::{History, ResourceVersion};
use super::versioned::put;
use crate::change::ChangeRecord;
use crate::difference::{Compared, Difference, differences};

/// A tenant's changes to a set, with their past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedOverlay<T = Rule> {
    /// The changes at their latest revision.
    pub overlay: Arc<Overlay<T>>,
    /// Their past; the versions are those of the own items.
    pub history: History,
    /// The bytes of memory for the changes.
    bytes: usize,
}

/// The position of a change in the journal, and its audit data.
pub(super) type At<'a> = (u64, &'a ChangeRecord);

// === impl VersionedOverlay ===

impl<T> Default for VersionedOverlay<T> {
    fn default() -> Self {
        Self { overlay: Arc::default(), history: History::default(), bytes: 0 }
    }
}

impl<T: Item> VersionedOverlay<T> {
    /// These changes, with their past.
    pub fn new(overlay: Overlay<T>, history: History) -> Self {
        let bytes = overlay.bytes();
        Self { overlay: Arc::new(overlay), history, bytes }
    }

    /// The bytes of memory for the changes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of changed items.
    pub(super) fn changed(&self) -> usize {
        self.overlay.own.len() + self.overlay.removed.len()
    }
}

impl<T: Compared> VersionedOverlay<T> {
    /// Adds an item of the tenant's own, or replaces the one with the same identifier.
    pub(super) fn put(&mut self, item: &T, shared: &[T], at: At<'_>) {
        self.change(item.id(), shared, at, |overlay| {
            overlay.removed.remove(item.id());
            put(&mut overlay.own, item);
        });
    }

    /// Removes an item, its own or a shared one.
    pub(super) fn remove(&mut self, id: &str, shared: &[T], at: At<'_>) {
        self.change(id, shared, at, |overlay| {
            overlay.own.retain(|own| own.id() != id);
            if shared.iter().any(|item| item.id() == id) {
                overlay.removed.insert(id.to_owned());
            }
        });
    }

    /// Drops what the tenant has changed in an item.
    pub(super) fn restore(&mut self, id: &str, shared: &[T], at: At<'_>) {
        self.change(id, shared, at, |overlay| {
            overlay.own.retain(|own| own.id() != id);
            overlay.removed.remove(id);
        });
    }

    /// Replaces all changes.
    pub(super) fn replace(&mut self, new: &Arc<Overlay<T>>, shared: &[T], (position, recorded): At<'_>) {
        let all =
            |overlay: &Overlay<T>| overlay.over(shared).map(|(item, _)| item.clone()).collect::<Vec<_>>();
        let found = differences(&all(&self.overlay), &all(new));
        self.overlay = Arc::clone(new);
        self.record(found, position, recorded);
    }

    /// Changes what the tenant has of one item.
    fn change(
        &mut self,
        id: &str,
        shared: &[T],
        (position, recorded): At<'_>,
        change: impl FnOnce(&mut Overlay<T>),
    ) {
        let before = self.overlay.item(shared, id).cloned();
        change(Arc::make_mut(&mut self.overlay));
        let after = self.overlay.item(shared, id);
        let found = differences(before.as_slice(), after.cloned().as_slice());
        self.record(found, position, recorded);
    }

    /// Records a revision, after which each own item has a version, and no other item.
    fn record(&mut self, differences: Vec<Difference>, position: u64, recorded: &ChangeRecord) {
        self.bytes = self.overlay.bytes();
        self.history.record(differences, position, recorded);
        let own: HashSet<_> = self.overlay.own.iter().map(Item::id).collect();
        let versions = &mut self.history.versions;
        versions.retain(|id, _| own.contains(id.as_str()));
        // One that became its own without a difference to the shared item.
        let (created, updated) = (recorded.time, recorded.time);
        for id in own.iter().filter(|id| !versions.contains_key(**id)).copied().collect::<Vec<_>>() {
            versions.insert(id.to_owned(), ResourceVersion { position, created, updated });
        }
    }
}
