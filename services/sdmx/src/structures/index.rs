//! Finds the structures that artefacts name. Each look-up takes one step, because a document may have any number of
//! versions of one artefact.

use std::collections::HashMap;

use super::{Constraint, DataStructure, Structures};
use crate::dataflow::StructureReference;
use crate::reference::Reference;

/// The structures by what names them.
#[derive(Debug)]
pub struct StructureIndex<'a> {
    data_structures: Versions<'a, &'a DataStructure>,
    codelists: Versions<'a, u64>,
    constraints_of_dataflows: Versions<'a, Vec<&'a Constraint>>,
    constraints_of_structures: Versions<'a, Vec<&'a Constraint>>,
}

/// Values by agency, id and version, and by agency and id.
#[derive(Debug)]
struct Versions<'a, T> {
    exact: HashMap<(&'a str, &'a str, &'a str), T>,
    any: HashMap<(&'a str, &'a str), T>,
}

/// The most constraints of one dataflow that are looked at.
const MOST_CONSTRAINTS: usize = 4;

// === impl Structures ===

impl Structures {
    /// An index of the structures.
    #[must_use]
    pub fn index(&self) -> StructureIndex<'_> {
        let mut index = StructureIndex {
            data_structures: Versions::new(),
            codelists: Versions::new(),
            constraints_of_dataflows: Versions::new(),
            constraints_of_structures: Versions::new(),
        };
        for data_structure in &self.data_structures {
            index.data_structures.put(&data_structure.identity, data_structure);
        }
        for (identity, codes) in &self.codelists {
            index.codelists.put(identity, *codes);
        }
        for constraint in &self.constraints {
            for dataflow in &constraint.dataflows {
                index.constraints_of_dataflows.attach(dataflow, constraint);
            }
            for structure in &constraint.data_structures {
                index.constraints_of_structures.attach(structure, constraint);
            }
        }
        index
    }
}

// === impl StructureIndex ===

impl<'a> StructureIndex<'a> {
    /// The data structure that a dataflow names: that version, or the last one in the documents for a wildcard.
    #[must_use]
    pub fn data_structure(&self, named: &StructureReference) -> Option<&'a DataStructure> {
        let StructureReference { agency_id, id, version } = named;
        self.data_structures.get(agency_id, id, version)
    }

    /// The number of codes of a code list, found likewise; `None` if it is in no document, or has none there.
    #[must_use]
    pub fn codes(&self, named: &Reference) -> Option<u64> {
        let Reference { agency_id, id, version } = named;
        self.codelists.get(agency_id, id, version)
    }

    /// The constraints of a dataflow, at most 4 of each kind: those attached to its version, else to any of its
    /// versions; then likewise those of its data structure.
    #[must_use]
    pub fn constraints(
        &self,
        (agency_id, id, version): (&str, &str, &str),
        structure: Option<&StructureReference>,
    ) -> Vec<&'a Constraint> {
        let own = self.constraints_of_dataflows.any_of(agency_id, id, version);
        let of_structure = structure.and_then(|StructureReference { agency_id, id, version }| {
            self.constraints_of_structures.any_of(agency_id, id, version)
        });
        own.into_iter().chain(of_structure).flatten().collect()
    }
}

// === impl Versions ===

impl<'a, T> Versions<'a, T> {
    fn new() -> Self {
        Self { exact: HashMap::new(), any: HashMap::new() }
    }
}

impl<T: Clone> Versions<'_, T> {
    /// The value of a version, or the one of all versions if this is a wildcard or is not stated.
    fn get(&self, agency_id: &str, id: &str, version: &str) -> Option<T> {
        let is_wildcard = version.is_empty() || version.contains(['+', '*']);
        let any = || if is_wildcard { self.any.get(&(agency_id, id)).cloned() } else { None };
        self.exact.get(&(agency_id, id, version)).cloned().or_else(any)
    }

    /// The value of a version, else the one of all versions.
    fn any_of(&self, agency_id: &str, id: &str, version: &str) -> Option<T> {
        let any = || self.any.get(&(agency_id, id)).cloned();
        self.exact.get(&(agency_id, id, version)).cloned().or_else(any)
    }
}

impl<'a, T: Copy> Versions<'a, T> {
    /// The first of several with one identity; the last of several versions.
    fn put(&mut self, Reference { agency_id, id, version }: &'a Reference, value: T) {
        self.exact.entry((agency_id, id, version)).or_insert(value);
        self.any.insert((agency_id, id), value);
    }
}

impl<'a> Versions<'a, Vec<&'a Constraint>> {
    fn attach(&mut self, Reference { agency_id, id, version }: &'a Reference, constraint: &'a Constraint) {
        for group in [
            self.exact.entry((agency_id, id, version)).or_default(),
            self.any.entry((agency_id, id)).or_default(),
        ] {
            if group.len() < MOST_CONSTRAINTS {
                group.push(constraint);
            }
        }
    }
}
