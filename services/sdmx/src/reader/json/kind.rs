//! The kinds of artefacts: by the list that they are in, or by what they state.

use crate::urn::{DATAFLOW_CLASSES, Urn};

/// The kinds of artefacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Dataflow,
    CategoryScheme,
    Categorisation,
    /// Any other, which is not used.
    Other,
}

impl Kind {
    /// The kind of what a URN names; `None` if it is no URN.
    pub(super) fn of_urn(urn: &str) -> Option<Self> {
        Urn::parse(urn).map(|urn| match urn.class {
            class if DATAFLOW_CLASSES.contains(&class) => Self::Dataflow,
            "CategoryScheme" => Self::CategoryScheme,
            "Categorisation" => Self::Categorisation,
            _ => Self::Other,
        })
    }

    /// The kind that a `type` or `class` in a draft names; another word may mean anything.
    pub(super) fn of_type(name: &str) -> Option<Self> {
        let kinds = [
            ("dataflow", Self::Dataflow),
            ("categoryscheme", Self::CategoryScheme),
            ("categorisation", Self::Categorisation),
        ];
        kinds.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, kind)| kind)
    }
}
