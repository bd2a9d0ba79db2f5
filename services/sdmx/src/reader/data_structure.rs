//! Reads the dimensions of a data structure.

use super::reference;
use super::walk::Walk;
use crate::diagnostic::{Diagnostics, Reason};
use crate::error::{Fault, Position};
use crate::limits::Limits;
use crate::namespace::Namespace;
use crate::reference::Reference;
use crate::structures::{DataStructure, Dimension, MOST_PARTS, OVERHEAD, Role, Structures};
use crate::urn::Urn;
use crate::xml::Start;

/// The role of an open element within a data structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    DataStructure,
    Components,
    Dimensions,
    Dimension,
    /// A reference contains a `Ref` or `URN` in SDMX 2.1, and is the URN as text in 3.x.
    Concept,
    ConceptRef,
    ConceptUrn,
    Role,
    RoleRef,
    RoleUrn,
    Representation,
    Codelist,
    CodelistRef,
    CodelistUrn,
    Ignored,
}

/// A data structure that is being read.
#[derive(Debug)]
pub(super) struct DataStructureReader<'a> {
    data_structure: DataStructure,
    plain: bool,
    structures: &'a mut Structures,
    limits: &'a Limits,
    /// The open dimension.
    dimension: Dimension,
    /// The positions that dimensions state; of those without one the largest number.
    positions: Vec<u32>,
    /// Whether a dimension has no id.
    is_invalid: bool,
    /// Whether everything was within the limits.
    is_whole: bool,
}

/// The identifier that the standard gives the time dimension.
const TIME_DIMENSION: &str = "TIME_PERIOD";

// === impl DataStructureReader ===

impl<'a> DataStructureReader<'a> {
    pub(super) fn new(
        identity: Reference,
        position: Position,
        plain: bool,
        structures: &'a mut Structures,
        limits: &'a Limits,
    ) -> Self {
        let is_whole = structures.reserve_artefact(&identity, limits);
        Self {
            data_structure: DataStructure { identity, dimensions: Vec::new(), position },
            plain,
            structures,
            limits,
            dimension: Dimension::default(),
            positions: Vec::new(),
            is_invalid: false,
            is_whole,
        }
    }

    /// Keeps the data structure. Returns false above the limits.
    pub(super) fn finish(self, diagnostics: &mut Diagnostics) -> bool {
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

    /// Takes the id and the role of the open dimension from its concept, if it states none.
    fn set_concept(&mut self, id: &str) {
        if self.dimension.id.is_empty() {
            id.clone_into(&mut self.dimension.id);
        }
        self.set_role(id);
    }

    fn set_role(&mut self, id: &str) {
        if self.dimension.role == Role::Other {
            self.dimension.role = Role::of(id);
        }
    }

    fn end_dimension(&mut self) {
        let mut dimension = std::mem::take(&mut self.dimension);
        if dimension.id.is_empty() && dimension.role == Role::Time {
            dimension.id.push_str(TIME_DIMENSION);
        }
        self.is_invalid |= dimension.id.is_empty();
        let bytes = dimension.id.len() + dimension.codelist.bytes() + OVERHEAD;
        let fits = self.data_structure.dimensions.len() < MOST_PARTS;
        self.is_whole = self.is_whole && fits && self.structures.reserve(bytes, self.limits);
        if self.is_whole {
            self.data_structure.dimensions.push(dimension);
        }
    }
}

impl Walk for DataStructureReader<'_> {
    type Context = Context;

    const ROOT: Context = Context::DataStructure;

    fn child(&self, context: Context, namespace: Namespace, name: &str) -> Context {
        let known = match namespace {
            Namespace::Sdmx(..) => true,
            // `Ref` and `URN` are in no namespace in SDMX 2.1.
            Namespace::None => {
                self.plain || matches!(context, Context::Concept | Context::Role | Context::Codelist)
            }
            Namespace::Soap | Namespace::Foreign => false,
        };
        match (context, name) {
            _ if !known => Context::Ignored,
            (Context::DataStructure, "DataStructureComponents") => Context::Components,
            (Context::Components, "DimensionList") => Context::Dimensions,
            (Context::Dimensions, "Dimension" | "MeasureDimension" | "TimeDimension") => Context::Dimension,
            (Context::Dimension, "ConceptIdentity") => Context::Concept,
            (Context::Concept, "Ref") => Context::ConceptRef,
            (Context::Concept, "URN") => Context::ConceptUrn,
            (Context::Dimension, "ConceptRole") => Context::Role,
            (Context::Role, "Ref") => Context::RoleRef,
            (Context::Role, "URN") => Context::RoleUrn,
            (Context::Dimension, "LocalRepresentation") => Context::Representation,
            (Context::Representation, "Enumeration") => Context::Codelist,
            (Context::Codelist, "Ref") => Context::CodelistRef,
            (Context::Codelist, "URN") => Context::CodelistUrn,
            _ => Context::Ignored,
        }
    }

    fn has_text(context: Context) -> bool {
        matches!(
            context,
            Context::Concept
                | Context::ConceptUrn
                | Context::Role
                | Context::RoleUrn
                | Context::Codelist
                | Context::CodelistUrn
        )
    }

    fn open(&mut self, context: Context, start: &Start<'_>) -> Result<(), Fault> {
        match context {
            Context::Dimension => {
                let id = reference::attribute(start, "id")?;
                let role = match start.local_name() {
                    "TimeDimension" => Role::Time,
                    "MeasureDimension" => Role::Measure,
                    _ => Role::of(&id),
                };
                self.dimension = Dimension { id, role, codelist: Reference::default() };
                let position = reference::attribute(start, "position")?;
                if self.is_whole {
                    self.positions.push(position.parse().unwrap_or(u32::MAX));
                }
            }
            Context::ConceptRef => self.set_concept(&reference::attribute(start, "id")?),
            Context::RoleRef => self.set_role(&reference::attribute(start, "id")?),
            Context::CodelistRef => self.dimension.codelist = reference::identity(start)?,
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, context: Context, text: &str) {
        match context {
            Context::Dimension => self.end_dimension(),
            Context::Concept | Context::ConceptUrn => {
                if let Some(Urn { item, .. }) = Urn::parse(text) {
                    self.set_concept(item);
                }
            }
            Context::Role | Context::RoleUrn => {
                if let Some(Urn { item, .. }) = Urn::parse(text) {
                    self.set_role(item);
                }
            }
            Context::Codelist | Context::CodelistUrn => {
                reference::complete(&mut self.dimension.codelist, text)
            }
            _ => {}
        }
    }
}
