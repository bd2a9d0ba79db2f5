//! Builds a data structure of its dimensions, in whatever format they are written.

use crate::diagnostic::{Diagnostics, Reason};
use crate::error::Position;
use crate::limits::Limits;
use crate::reference::Reference;
use crate::structures::{DataStructure, Dimension, MOST_PARTS, OVERHEAD, Role, Structures};

/// A data structure that is being read.
#[derive(Debug)]
pub(in crate::reader) struct DataStructureBuilder<'a> {
    data_structure: DataStructure,
    structures: &'a mut Structures,
    limits: &'a Limits,
    /// The positions that dimensions state; of those without one the largest number.
    positions: Vec<u32>,
    /// Whether a dimension has no id.
    is_invalid: bool,
    /// Whether everything was within the limits.
    is_whole: bool,
}

/// The identifier that the standard gives the time dimension.
const TIME_DIMENSION: &str = "TIME_PERIOD";

// === impl DataStructureBuilder ===

impl<'a> DataStructureBuilder<'a> {
    pub(in crate::reader) fn new(
        identity: Reference,
        position: Position,
        structures: &'a mut Structures,
        limits: &'a Limits,
    ) -> Self {
        let is_whole = structures.reserve_artefact(&identity, limits);
        Self {
            data_structure: DataStructure { identity, dimensions: Vec::new(), position },
            structures,
            limits,
            positions: Vec::new(),
            is_invalid: false,
            is_whole,
        }
    }

    /// Sets the identity, where it follows the dimensions.
    pub(in crate::reader) fn identify(&mut self, identity: Reference) {
        self.is_whole = self.is_whole && self.structures.reserve(identity.bytes(), self.limits);
        self.data_structure.identity = identity;
    }

    /// The agency of the data structure.
    pub(in crate::reader) fn agency(&self) -> &str {
        &self.data_structure.identity.agency_id
    }

    /// Adds a dimension with the position that it states.
    pub(in crate::reader) fn add(&mut self, mut dimension: Dimension, position: Option<u32>) {
        if dimension.id.is_empty() && dimension.role == Role::Time {
            dimension.id.push_str(TIME_DIMENSION);
        }
        self.is_invalid |= dimension.id.is_empty();
        let bytes = dimension.id.len() + dimension.codelist.bytes() + OVERHEAD;
        let fits = self.data_structure.dimensions.len() < MOST_PARTS;
        self.is_whole = self.is_whole && fits && self.structures.reserve(bytes, self.limits);
        if self.is_whole {
            self.data_structure.dimensions.push(dimension);
            self.positions.push(position.unwrap_or(u32::MAX));
        }
    }

    /// Keeps the data structure. Returns false above the limits.
    pub(in crate::reader) fn finish(self, diagnostics: &mut Diagnostics) -> bool {
        let Self { mut data_structure, structures, positions, .. } = self;
        let DataStructure { identity, position, .. } = &data_structure;
        if identity.id.is_empty() || self.is_invalid {
            let what = if self.is_invalid { "a dimension without an id" } else { "no id" };
            diagnostics.add(Reason::InvalidDataStructure, *position, || {
                format!("data structure {identity} has {what}, and was skipped")
            });
        } else if self.is_whole {
            let dimensions = std::mem::take(&mut data_structure.dimensions);
            let mut ordered: Vec<_> = positions.into_iter().zip(dimensions).collect();
            // Stable: without positions the order of the document is that of keys.
            let has_positions = ordered.iter().all(|(at, found)| *at < u32::MAX || found.role == Role::Time);
            ordered
                .sort_by_key(|(at, found)| (found.role == Role::Time, if has_positions { *at } else { 0 }));
            data_structure.dimensions = ordered.into_iter().map(|(_, dimension)| dimension).collect();
            structures.add_data_structure(data_structure);
        }
        self.is_whole
    }
}

/// Takes the id and the role of a dimension from its concept, if it states none.
pub(in crate::reader) fn set_concept(dimension: &mut Dimension, id: &str) {
    if dimension.id.is_empty() {
        id.clone_into(&mut dimension.id);
    }
    set_role(dimension, id);
}

/// Takes the role of a dimension from the id of a concept, if it has none.
pub(in crate::reader) fn set_role(dimension: &mut Dimension, id: &str) {
    if dimension.role == Role::Other {
        dimension.role = Role::of(id);
    }
}
