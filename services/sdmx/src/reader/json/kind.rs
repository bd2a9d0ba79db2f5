//! The kinds of artefacts: by the list that they are in, or by what they state.

use crate::urn::{DATAFLOW_CLASSES, STRUCTURE_CLASSES, Urn};

/// The kinds of artefacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Dataflow,
    CategoryScheme,
    Categorisation,
    Structure(StructureKind),
    /// Any other, which is not used.
    Other,
}

/// The kinds of artefacts that tell about the data of dataflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StructureKind {
    DataStructure,
    /// A list of codes or of values.
    Codelist,
    ContentConstraint,
    DataConstraint,
    AvailabilityConstraint,
}

/// The lists in `data` whose artefacts are read.
const LISTS: [(&str, Kind); 12] = [
    ("dataflows", Kind::Dataflow),
    ("categorySchemes", Kind::CategoryScheme),
    ("categorisations", Kind::Categorisation),
    ("dataStructures", Kind::Structure(StructureKind::DataStructure)),
    ("codelists", Kind::Structure(StructureKind::Codelist)),
    ("valueLists", Kind::Structure(StructureKind::Codelist)),
    // As a registry writes it in messages of version 1.0.
    ("valuelists", Kind::Structure(StructureKind::Codelist)),
    ("geographicCodelists", Kind::Structure(StructureKind::Codelist)),
    ("geoGridCodelists", Kind::Structure(StructureKind::Codelist)),
    ("contentConstraints", Kind::Structure(StructureKind::ContentConstraint)),
    ("dataConstraints", Kind::Structure(StructureKind::DataConstraint)),
    ("availabilityConstraints", Kind::Structure(StructureKind::AvailabilityConstraint)),
];

impl Kind {
    /// The kind of the artefacts in a list, if they are read; and the number of the list.
    pub(super) fn of_list(name: &str) -> Option<(usize, Self)> {
        let at = LISTS.iter().position(|(known, _)| *known == name)?;
        Some((at, LISTS[at].1))
    }

    /// The kind of what a URN names; `None` if it is no URN.
    pub(super) fn of_urn(urn: &str) -> Option<Self> {
        Urn::parse(urn).map(|urn| match urn.class {
            class if DATAFLOW_CLASSES.contains(&class) => Self::Dataflow,
            "CategoryScheme" => Self::CategoryScheme,
            "Categorisation" => Self::Categorisation,
            class if STRUCTURE_CLASSES.contains(&class) => Self::Structure(StructureKind::DataStructure),
            "Codelist" | "ValueList" | "Valuelist" | "GeographicCodelist" | "GeoGridCodelist" => {
                Self::Structure(StructureKind::Codelist)
            }
            "ContentConstraint" => Self::Structure(StructureKind::ContentConstraint),
            "DataConstraint" => Self::Structure(StructureKind::DataConstraint),
            "AvailabilityConstraint" => Self::Structure(StructureKind::AvailabilityConstraint),
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
