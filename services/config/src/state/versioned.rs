//! A set that all tenants share, with its past: a rule set, or the mapping of themes.

use std::sync::Arc;
use std::time::SystemTime;

use dataflow_rules::themes::Mapping;
use dataflow_rules::{Item, RuleSet, Set};

use super::history::{History, ResourceVersion};
use crate::change::ChangeRecord;
use crate::difference::{Compared, Difference, differences};

/// A set with its revisions and the versions of its items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<S> {
    /// The set at its latest revision.
    pub set: Arc<S>,
    /// Its past.
    pub history: History,
}

/// A rule set with its past.
pub type VersionedRuleset = Versioned<RuleSet>;

/// The mapping of themes with its past.
pub type VersionedMapping = Versioned<Mapping>;

// === impl Versioned ===

impl<S: Set> Versioned<S>
where
    S::Item: Compared,
{
    /// A set that a release seeds, at its first revision.
    pub(super) fn seeded(set: S, position: u64, recorded: &ChangeRecord) -> Self {
        let found = differences(&[], set.items());
        let mut seeded = Self { set: Arc::new(set), history: History::default() };
        seeded.record(found, position, recorded);
        seeded
    }

    pub(super) fn put(&mut self, item: &S::Item, position: u64, recorded: &ChangeRecord) {
        let found = put(Arc::make_mut(&mut self.set).items_mut(), item);
        self.record(found, position, recorded);
    }

    /// Removes an item. Returns whether there was one.
    #[must_use]
    pub(super) fn remove(&mut self, id: &str, position: u64, recorded: &ChangeRecord) -> bool {
        let Some(index) = self.set.items().iter().position(|known| known.id() == id) else { return false };
        let removed = Arc::make_mut(&mut self.set).items_mut().remove(index);
        self.record(differences(&[removed], &[]), position, recorded);
        true
    }

    pub(super) fn replace(&mut self, items: &[S::Item], position: u64, recorded: &ChangeRecord) {
        let present = Arc::make_mut(&mut self.set).items_mut();
        let found = differences(present, items);
        items.clone_into(present);
        self.record(found, position, recorded);
    }

    fn record(&mut self, differences: Vec<Difference>, position: u64, recorded: &ChangeRecord) {
        self.history.record(differences, position, recorded);
        Arc::make_mut(&mut self.set).set_revision(self.history.latest());
    }

    /// One item and its version.
    pub fn item(&self, id: &str) -> Option<(&S::Item, ResourceVersion)> {
        let item = self.set.items().iter().find(|item| item.id() == id)?;
        Some((item, *self.history.versions.get(id)?))
    }
}

// === impl VersionedMapping ===

impl VersionedMapping {
    /// Whether it is the mapping of this release, because the journal has none.
    pub fn is_built_in(&self) -> bool {
        self.history.revisions.is_empty()
    }

    /// A mapping that is stored before its first change. Its themes stay what they were, and so do their etags, which are
    /// those of their content.
    pub(super) fn stored(mapping: Mapping, position: u64, recorded: &ChangeRecord) -> Self {
        let mut stored = Self::seeded(mapping, position, recorded);
        stored.history.versions = History::built_in(stored.set.items()).versions;
        stored
    }
}

/// The mapping of this release.
impl Default for VersionedMapping {
    fn default() -> Self {
        let set = Mapping::built_in();
        let history = History::built_in(set.items());
        Self { set: Arc::new(set), history }
    }
}

// === impl History ===

impl History {
    /// The past of items that no change has made.
    fn built_in(items: &[impl Item]) -> Self {
        let (created, updated) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH);
        let version = ResourceVersion { position: ResourceVersion::BUILT_IN, created, updated };
        let versions = items.iter().map(|item| (item.id().to_owned(), version)).collect();
        Self { versions, revisions: Vec::new() }
    }
}

/// Replaces the item with the same identifier, or appends this one; returns the difference.
pub(super) fn put<T: Compared>(items: &mut Vec<T>, item: &T) -> Vec<Difference> {
    let after = std::slice::from_ref(item);
    match items.iter_mut().find(|known| known.id() == item.id()) {
        Some(known) => {
            let found = differences(std::slice::from_ref(known), after);
            known.clone_from(item);
            found
        }
        None => {
            items.push(item.clone());
            differences(&[], after)
        }
    }
}
