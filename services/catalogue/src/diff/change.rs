//! One change of one dataflow.

use dataflow_sdmx::{Dataflow, Localized};

/// The kinds of changes, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Added,
    Removed,
    Renamed,
    VersionChanged,
    StructureChanged,
    Rethemed,
    Hidden,
    Shown,
    AnnotationsChanged,
    StructureContentChanged,
    CategoryChanged,
    Succeeded,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What changed.
    pub kind: Kind,
    /// The agency of the dataflow.
    pub agency_id: String,
    /// Its identifier.
    pub id: String,
    /// Its version in the later content, of a removed one in the earlier.
    pub version: String,
    /// Its names, likewise.
    pub names: Vec<Localized>,
    /// More about it.
    pub detail: Detail,
}

/// What is known of a change beside its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// Nothing.
    None,
    /// The parts that changed.
    Fields(Vec<Field>),
    /// What succeeds the dataflow.
    Succession(Succession),
}

/// The value of one part, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The part.
    pub field: String,
    /// Empty if there is none.
    pub before: String,
    /// Likewise.
    pub after: String,
}

/// A dataflow that probably succeeds another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succession {
    /// Its identifier.
    pub successor: String,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// Why one dataflow probably succeeds another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Reason {
    SameName,
    SimilarName,
    SameStructure,
    SameFamily,
}

/// The most parts of a change that are listed.
const MOST_FIELDS: usize = 32;

/// The most bytes of a value.
const MOST_BYTES: usize = 512;

// === impl Kind ===

impl Kind {
    /// Every kind, in its order.
    pub const ALL: [Self; 12] = [
        Self::Added,
        Self::Removed,
        Self::Renamed,
        Self::VersionChanged,
        Self::StructureChanged,
        Self::Rethemed,
        Self::Hidden,
        Self::Shown,
        Self::AnnotationsChanged,
        Self::StructureContentChanged,
        Self::CategoryChanged,
        Self::Succeeded,
    ];
}

// === impl Change ===

impl Change {
    /// A change of a dataflow.
    pub(super) fn of(kind: Kind, dataflow: &Dataflow, mut detail: Detail) -> Self {
        if let Detail::Fields(fields) = &mut detail {
            fields.truncate(MOST_FIELDS);
        }
        let Dataflow { agency_id, id, version, names, .. } = dataflow;
        Self {
            kind,
            agency_id: agency_id.clone(),
            id: id.clone(),
            version: version.clone(),
            names: names.clone(),
            detail,
        }
    }

    /// What changes are ordered by.
    pub(super) fn order(&self) -> (&str, &str, Kind) {
        (&self.agency_id, &self.id, self.kind)
    }
}

// === impl Field ===

impl Field {
    /// A part with its values, of which a long one is cut.
    pub(super) fn new(field: impl Into<String>, before: &str, after: &str) -> Self {
        Self { field: field.into(), before: cut(before), after: cut(after) }
    }
}

fn cut(text: &str) -> String {
    const END: &str = "...";
    if text.len() <= MOST_BYTES {
        return text.to_owned();
    }
    format!("{}{END}", &text[..text.floor_char_boundary(MOST_BYTES - END.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_between_characters() {
        let field = Field::new("name.it", &"è".repeat(300), &"x".repeat(512));
        assert_eq!(field.before, format!("{}...", "è".repeat(254)));
        assert_eq!(field.after, "x".repeat(512));
    }
}
