//! Which elements are data structures, code lists and constraints, and where their readers are.

use std::io::Read;

use super::StructureReader;
use super::codelist::{self, CodelistReader};
use super::constraint::{ConstraintBuilder, ConstraintReader};
use super::data_structure::{DataStructureBuilder, DataStructureReader};
use super::reference;
use super::walk::walk;
use crate::error::{Fault, ParseError};
use crate::reference::Reference;
use crate::structures::{Constraint, Structures};
use crate::urn::default_version;
use crate::xml::Start;

/// An artefact whose start tag was read.
#[derive(Debug)]
pub(super) enum Opened {
    DataStructure(Reference),
    Codelist(Reference),
    Constraint(Box<Constraint>),
}

/// The name of the elements that count in a container.
pub(super) fn item_of(container: &str) -> Option<&'static str> {
    match container {
        "Dataflows" => Some("Dataflow"),
        "CategorySchemes" => Some("CategoryScheme"),
        "Categorisations" => Some("Categorisation"),
        "DataStructures" => Some("DataStructure"),
        "KeyFamilies" => Some("KeyFamily"),
        "Codelists" => Some("Codelist"),
        "CodeLists" => Some("CodeList"),
        "ValueLists" => Some("ValueList"),
        "GeographicCodelists" => Some("GeographicCodelist"),
        "GeoGridCodelists" => Some("GeoGridCodelist"),
        _ => None,
    }
}

/// Whether an artefact begins: `known` if the element is one of SDMX, `counts` if it is in the container of its kind.
/// Constraints count anywhere: inside them are elements that would count as dataflows where there are no namespaces.
pub(super) fn begins(name: &str, known: bool, counts: bool) -> bool {
    match name {
        "DataStructure" | "Codelist" | "ValueList" | "GeographicCodelist" | "GeoGridCodelist" => counts,
        // Of SDMX 2.0.
        "KeyFamily" | "CodeList" => counts,
        "ContentConstraint" | "DataConstraint" | "AvailabilityConstraint" => known,
        _ => false,
    }
}

// === impl Opened ===

impl Opened {
    /// The artefact with the data of its start tag.
    pub(super) fn new(start: &Start<'_>) -> Result<Self, Fault> {
        let mut identity = reference::identity(start)?;
        let name = start.local_name();
        if name.ends_with("Constraint") {
            return Ok(Self::Constraint(Box::new(super::constraint::opened(start, identity)?)));
        }
        if identity.version.is_empty() {
            identity.version.push_str(default_version(start.namespace));
        }
        let is_structure = matches!(name, "DataStructure" | "KeyFamily");
        Ok(if is_structure { Self::DataStructure(identity) } else { Self::Codelist(identity) })
    }
}

// === impl StructureReader ===

impl<R: Read> StructureReader<R> {
    /// Adds the data structures, code lists and constraints of the document to those of the documents before it.
    #[must_use]
    pub fn with_structures(mut self, structures: Structures) -> Self {
        self.structures = Some(structures);
        self
    }

    /// The structures, after the document was read; leaves none.
    pub fn take_structures(&mut self) -> Structures {
        self.structures.take().unwrap_or_default()
    }

    /// Reads up to the end of an artefact, and keeps it if structures are collected.
    pub(super) fn read_structure(&mut self, opened: Opened) -> Result<(), ParseError> {
        let Self { xml, plain, structures, limits, diagnostics, .. } = self;
        let position = xml.position();
        let mut unused = Structures::default();
        let is_used = structures.is_some();
        self.has_artefacts |= is_used;
        let structures = structures.as_mut().unwrap_or(&mut unused);
        let kept = match opened {
            Opened::DataStructure(identity) => {
                let builder = DataStructureBuilder::new(identity, position, structures, limits);
                let mut reader = DataStructureReader::new(builder, *plain);
                walk(xml, &mut reader, limits)?;
                reader.finish(diagnostics)
            }
            Opened::Codelist(identity) => {
                let mut reader = CodelistReader::new(*plain);
                walk(xml, &mut reader, limits)?;
                codelist::keep(identity, reader.codes(), structures, limits)
            }
            Opened::Constraint(constraint) => {
                let builder = ConstraintBuilder::new(*constraint, position, structures, limits);
                let mut reader = ConstraintReader::new(builder, *plain);
                walk(xml, &mut reader, limits)?;
                let builder = reader.finish();
                self.references += builder.dataflows();
                builder.finish(is_used, diagnostics)
            }
        };
        if !kept {
            structures.cut(position, limits, diagnostics);
        }
        Ok(())
    }
}
