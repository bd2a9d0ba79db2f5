//! Reads the dimensions of a data structure, in SDMX 2.0 of a key family.

use super::reference;
use super::walk::Walk;
use crate::diagnostic::Diagnostics;
use crate::error::Fault;
use crate::namespace::Namespace;
use crate::reference::Reference;
use crate::structures::{Dimension, Role};
use crate::urn::Urn;
use crate::xml::Start;

mod builder;

pub(super) use builder::{DataStructureBuilder, set_concept, set_role};

/// The role of an open element within a data structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    DataStructure,
    Components,
    Dimensions,
    Dimension,
    /// `Components` of SDMX 2.0, and a dimension there, which has only attributes.
    KeyFamilyComponents,
    KeyFamilyDimension,
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
    builder: DataStructureBuilder<'a>,
    plain: bool,
    /// The open dimension, and the position that it states.
    dimension: Dimension,
    position: Option<u32>,
}

// === impl DataStructureReader ===

impl<'a> DataStructureReader<'a> {
    pub(super) fn new(builder: DataStructureBuilder<'a>, plain: bool) -> Self {
        Self { builder, plain, dimension: Dimension::default(), position: None }
    }

    /// Keeps the data structure. Returns false above the limits.
    pub(super) fn finish(self, diagnostics: &mut Diagnostics) -> bool {
        self.builder.finish(diagnostics)
    }

    /// A dimension of SDMX 2.0: its attributes name its concept and its code list, and may say what it means.
    fn component(&self, start: &Start<'_>, stated: Role) -> Result<Dimension, Fault> {
        let value = |name| reference::attribute(start, name);
        let is_true = |name| value(name).map(|flag| matches!(flag.as_str(), "true" | "1"));
        let mut role = stated;
        if is_true("isFrequencyDimension")? {
            role = Role::Frequency;
        } else if is_true("isMeasureDimension")? {
            role = Role::Measure;
        }
        let mut dimension = Dimension { id: String::new(), role, codelist: Reference::default() };
        set_concept(&mut dimension, &value("conceptRef")?);
        let [agency_id, id, version] = ["codelistAgency", "codelist", "codelistVersion"].map(value);
        let (mut agency_id, id) = (agency_id?, id?);
        if !id.is_empty() {
            if agency_id.is_empty() {
                self.builder.agency().clone_into(&mut agency_id);
            }
            dimension.codelist = Reference { agency_id, id, version: version? };
        }
        Ok(dimension)
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
            (Context::DataStructure, "Components") => Context::KeyFamilyComponents,
            (Context::KeyFamilyComponents, "Dimension" | "TimeDimension") => Context::KeyFamilyDimension,
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
                self.position = reference::attribute(start, "position")?.parse().ok();
            }
            Context::KeyFamilyDimension => {
                let is_time = start.local_name() == "TimeDimension";
                self.dimension = self.component(start, if is_time { Role::Time } else { Role::Other })?;
                self.position = None;
            }
            Context::ConceptRef => set_concept(&mut self.dimension, &reference::attribute(start, "id")?),
            Context::RoleRef => set_role(&mut self.dimension, &reference::attribute(start, "id")?),
            Context::CodelistRef => self.dimension.codelist = reference::identity(start)?,
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, context: Context, text: &str) {
        match context {
            Context::Dimension | Context::KeyFamilyDimension => {
                self.builder.add(std::mem::take(&mut self.dimension), self.position.take());
            }
            Context::Concept | Context::ConceptUrn => {
                if let Some(Urn { item, .. }) = Urn::parse(text) {
                    set_concept(&mut self.dimension, item);
                }
            }
            Context::Role | Context::RoleUrn => {
                if let Some(Urn { item, .. }) = Urn::parse(text) {
                    set_role(&mut self.dimension, item);
                }
            }
            Context::Codelist | Context::CodelistUrn => {
                reference::complete(&mut self.dimension.codelist, text)
            }
            _ => {}
        }
    }
}
