//! Reads the dimensions of a data structure.

use std::io::Read;

use super::identity::Identity;
use super::parts::{Had, Parts};
use crate::error::ParseError;
use crate::limits::Limits;
use crate::reader::data_structure::{DataStructureBuilder, set_concept, set_role};
use crate::reader::reference;
use crate::reference::Reference;
use crate::structures::{Dimension, Role, Structures};
use crate::urn::Urn;

const MEMBERS: [&str; 6] = ["id", "agencyID", "version", "urn", "links", "dataStructureComponents"];

/// The lists of dimensions: in SDMX-JSON 2 there is one time dimension and no dimension of measures.
const DIMENSIONS: [&str; 5] =
    ["dimensions", "measureDimensions", "measureDimension", "timeDimensions", "timeDimension"];

const OF_DIMENSION: [&str; 6] =
    ["id", "position", "type", "conceptIdentity", "conceptRoles", "localRepresentation"];

/// Reads the members of the data structure, and keeps it. Returns false above the limits.
pub(super) fn read<R: Read>(
    parts: &mut Parts<'_, R>,
    default_version: &str,
    structures: &mut Structures,
    limits: &Limits,
) -> Result<bool, ParseError> {
    let mut builder = DataStructureBuilder::new(Reference::default(), parts.position, structures, limits);
    let (mut had, mut identity) = (Had::default(), Identity::default());
    while let Some(member) = parts.member(&MEMBERS, &mut had)? {
        match member {
            "dataStructureComponents" => components(parts, &mut builder)?,
            _ => identity.read(member, parts)?,
        }
    }
    builder.identify(identity.finish(default_version));
    Ok(builder.finish(parts.diagnostics))
}

fn components<R: Read>(
    parts: &mut Parts<'_, R>,
    builder: &mut DataStructureBuilder<'_>,
) -> Result<(), ParseError> {
    if !parts.object("dataStructureComponents")? {
        return Ok(());
    }
    let mut had = Had::default();
    while let Some(list) = parts.member(&["dimensionList"], &mut had)? {
        if !parts.object(list)? {
            continue;
        }
        let mut had = Had::default();
        while let Some(member) = parts.member(&DIMENSIONS, &mut had)? {
            let role = match member {
                "dimensions" => Role::Other,
                "measureDimensions" | "measureDimension" => Role::Measure,
                _ => Role::Time,
            };
            parts.objects(member, |parts| dimension(parts, role, builder))?;
        }
    }
    Ok(())
}

/// Reads a dimension, whose role is that of its list.
fn dimension<R: Read>(
    parts: &mut Parts<'_, R>,
    listed: Role,
    builder: &mut DataStructureBuilder<'_>,
) -> Result<(), ParseError> {
    let (mut had, mut position) = (Had::default(), None);
    let (mut dimension, mut concept) = (Dimension { role: listed, ..Dimension::default() }, String::new());
    // The first of several roles that means anything here.
    let mut stated = Role::Other;
    while let Some(member) = parts.member(&OF_DIMENSION, &mut had)? {
        match member {
            "id" => dimension.id = parts.kept(member)?,
            "position" => position = parts.kept(member)?.parse().ok(),
            "type" => match parts.kept(member)?.as_str() {
                "TimeDimension" => dimension.role = Role::Time,
                "MeasureDimension" => dimension.role = Role::Measure,
                _ => {}
            },
            "conceptIdentity" => concept = parts.kept(member)?,
            "conceptRoles" => parts.texts(member, |role| {
                if stated == Role::Other {
                    stated = Role::of(concept_of(role));
                }
            })?,
            _ => dimension.codelist = representation(parts)?,
        }
    }
    let id = dimension.id.clone();
    set_role(&mut dimension, &id);
    set_concept(&mut dimension, concept_of(&concept));
    if dimension.role == Role::Other {
        dimension.role = stated;
    }
    builder.add(dimension, position);
    Ok(())
}

/// Reads the representation of a dimension. Returns the code list that it names.
fn representation<R: Read>(parts: &mut Parts<'_, R>) -> Result<Reference, ParseError> {
    let mut codelist = Reference::default();
    if parts.object("localRepresentation")? {
        let mut had = Had::default();
        while let Some(member) = parts.member(&["enumeration"], &mut had)? {
            reference::complete(&mut codelist, &parts.kept(member)?);
        }
    }
    Ok(codelist)
}

/// The id of a concept by its URN; of a text that is none, the text.
fn concept_of(urn: &str) -> &str {
    Urn::parse(urn).map_or(urn.trim_ascii(), |urn| urn.item)
}
