//! What differs between two contents of a catalogue. Pure: it computes from its arguments alone.
//!
//! Both contents are in the order of identities, so that one pass over both pairs their dataflows. A dataflow whose bytes
//! are the same in contents with the same themes is not even decoded.

mod change;
mod compare;
mod pairs;
mod structures;
mod succession;

#[cfg(test)]
mod tests;

use dataflow_rules::Category;
use dataflow_sdmx::Timestamp;

pub use change::{Change, Detail, Field, Kind, Reason, Succession};

use crate::stored::Unreadable;
use crate::stored::packed::Packed;
use compare::Themes;
use pairs::{Group, Pair};
use succession::Candidate;

/// One of the two contents.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The content.
    pub content: &'a Packed,
    /// The category of each dataflow; `None` if they are not known.
    pub categories: Option<&'a [Category]>,
}

/// The differences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// By agency and identifier, then in the order of the kinds.
    pub changes: Vec<Change>,
    /// The kinds that could not be looked for.
    pub not_compared: Vec<Kind>,
    /// Dataflows that differ in nothing but what no kind names.
    pub other_changes: u32,
}

/// Compares two contents. The links that have ended at `now` do not count.
///
/// # Errors
///
/// If a dataflow cannot be decoded.
pub fn compare(base: Side<'_>, head: Side<'_>, now: Timestamp) -> Result<Diff, Unreadable> {
    let themes = Themes::new(base.content, head.content, now);
    let changed_structures = structures::changed(base.content, head.content);
    let has_structures = [base, head].map(|side| side.content.structures().next().is_some());
    let categories = base.categories.zip(head.categories);
    let mut diff = Diff::default();
    let missing = [
        (Kind::Rethemed, !themes.are_known()),
        (Kind::StructureContentChanged, has_structures != [true, true]),
        (Kind::CategoryChanged, categories.is_none()),
    ];
    diff.not_compared = missing.into_iter().filter(|(_, missing)| *missing).map(|(kind, _)| kind).collect();
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    for pair in pairs::of(base.content, head.content) {
        match pair {
            Pair::Base(group) => removed.push(Candidate::new(group.representative(base.content)?)),
            Pair::Head(group) => added.push(Candidate::new(group.representative(head.content)?)),
            Pair::Both(before, after) => {
                let category = categories.map(|(of_base, of_head)| {
                    let before = of_base[before.representative_index(base.content)];
                    (before, of_head[after.representative_index(head.content)])
                });
                let is_moved = category.is_some_and(|(before, after)| before != after);
                let is_same = before.is_same(&after, base.content, head.content);
                if is_same && themes.are_same() && !is_moved && changed_structures.is_empty() {
                    continue;
                }
                let groups = Groups { base: (base.content, before), head: (head.content, after) };
                groups.compare(&themes, &changed_structures, category, &mut diff)?;
            }
        }
    }
    for (before, after, reasons) in succession::find(&removed, &added) {
        let (before, after) = (&removed[before].dataflow, &added[after].dataflow);
        let succession = Succession { successor: after.id.clone(), reasons };
        diff.changes.push(Change::of(Kind::Succeeded, before, Detail::Succession(succession)));
    }
    let present = |kind, candidates: Vec<Candidate>| {
        candidates.into_iter().map(move |found| Change::of(kind, &found.dataflow, Detail::None))
    };
    diff.changes.extend(present(Kind::Removed, removed));
    diff.changes.extend(present(Kind::Added, added));
    diff.changes.sort_by(|one, other| one.order().cmp(&other.order()));
    Ok(diff)
}

/// All versions of a dataflow in both contents.
struct Groups<'a> {
    base: (&'a Packed, Group),
    head: (&'a Packed, Group),
}

// === impl Groups ===

impl Groups<'_> {
    fn compare(
        &self,
        themes: &Themes<'_>,
        changed_structures: &structures::Changed<'_>,
        category: Option<(Category, Category)>,
        diff: &mut Diff,
    ) -> Result<(), Unreadable> {
        let ((base, before), (head, after)) = (&self.base, &self.head);
        let versions = [before.versions(base), after.versions(head)];
        let (before, after) = (before.representative(base)?, after.representative(head)?);
        let is_same = before.dataflow == after.dataflow && versions[0] == versions[1];
        let mut found = Vec::new();
        compare::dataflows(&before.dataflow, &after.dataflow, &mut found);
        if versions[0] != versions[1] {
            let fields = vec![Field::new("version", &versions[0], &versions[1])];
            found.push((Kind::VersionChanged, fields));
        }
        if themes.are_known()
            && let Some(fields) = themes.changed(&before, &after)
        {
            found.push((Kind::Rethemed, fields));
        }
        if before.dataflow.structure == after.dataflow.structure
            && let Some(structure) = &after.dataflow.structure
            && let Some(fields) = changed_structures.of(structure)
        {
            found.push((Kind::StructureContentChanged, fields.to_vec()));
        }
        if let Some((before, after)) = category.filter(|(before, after)| before != after) {
            found.push((Kind::CategoryChanged, vec![Field::new("category", before.name(), after.name())]));
        }
        if found.is_empty() && !is_same {
            diff.other_changes += 1;
        }
        let changes = found.into_iter();
        diff.changes
            .extend(changes.map(|(kind, fields)| Change::of(kind, &after.dataflow, Detail::Fields(fields))));
        Ok(())
    }
}
