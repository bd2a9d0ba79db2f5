//! The stored form of what dataflows refer to: themes, data structures, code lists and constraints.

use dataflow_proto::catalogue::v1 as pb;
use dataflow_sdmx::{Constraint, DataStructure, Dimension, Localized, Reference, Role, Timestamp};
use prost::Message;

use super::Unreadable;
use crate::content::{Structure, Theme};

/// The roles by their numbers in the contract.
const ROLES: [(Role, u32); 5] =
    [(Role::Other, 1), (Role::Time, 2), (Role::Frequency, 3), (Role::Geography, 4), (Role::Measure, 5)];

pub(super) fn reference(reference: &Reference) -> pb::StoredReference {
    let Reference { agency_id, id, version } = reference.clone();
    pb::StoredReference { agency_id, id, version }
}

pub(super) fn read_reference(stored: Option<pb::StoredReference>) -> Reference {
    let pb::StoredReference { agency_id, id, version } = stored.unwrap_or_default();
    Reference { agency_id, id, version }
}

/// Texts in the order of their languages.
pub(super) fn texts(texts: &[Localized]) -> Vec<pb::StoredText> {
    let mut sorted: Vec<_> = texts.iter().collect();
    sorted.sort();
    let stored =
        |(language, text): &Localized| pb::StoredText { language: language.clone(), text: text.clone() };
    sorted.into_iter().map(stored).collect()
}

pub(super) fn read_texts(stored: Vec<pb::StoredText>) -> Vec<Localized> {
    stored.into_iter().map(|pb::StoredText { language, text }| (language, text)).collect()
}

pub(super) fn time(time: Timestamp) -> pb::StoredTime {
    pb::StoredTime { seconds: time.seconds, nanos: time.nanos }
}

pub(super) fn read_time(stored: pb::StoredTime) -> Timestamp {
    Timestamp { seconds: stored.seconds, nanos: stored.nanos }
}

/// Encodes a theme.
pub(super) fn theme(theme: &dataflow_sdmx::Theme<'_>) -> Vec<u8> {
    let scheme = pb::StoredReference {
        agency_id: theme.agency_id.to_owned(),
        id: theme.scheme_id.to_owned(),
        version: theme.version.to_owned(),
    };
    let path = theme.path.iter();
    let path = path.map(|part| pb::StoredCategory { id: part.id.to_owned(), names: texts(part.names) });
    pb::StoredTheme { scheme: Some(scheme), path: path.collect() }.encode_to_vec()
}

pub(super) fn read_theme(bytes: &[u8]) -> Result<Theme, Unreadable> {
    let pb::StoredTheme { scheme, path } = pb::StoredTheme::decode(bytes)?;
    let path = path.into_iter().map(|part| (part.id, read_texts(part.names))).collect();
    Ok(Theme { scheme: read_reference(scheme), path })
}

/// Encodes a data structure.
pub(super) fn structure(structure: &DataStructure) -> Vec<u8> {
    let dimension = |dimension: &Dimension| pb::StoredDimension {
        id: dimension.id.clone(),
        role: ROLES.iter().find(|(role, _)| *role == dimension.role).map_or(0, |(_, number)| *number),
        codelist: Some(reference(&dimension.codelist)),
    };
    let dimensions = structure.dimensions.iter().map(dimension).collect();
    pb::StoredStructure { identity: Some(reference(&structure.identity)), dimensions }.encode_to_vec()
}

pub(super) fn read_structure(bytes: &[u8]) -> Result<Structure, Unreadable> {
    let pb::StoredStructure { identity, dimensions } = pb::StoredStructure::decode(bytes)?;
    let dimension = |stored: pb::StoredDimension| Dimension {
        id: stored.id,
        role: ROLES.iter().find(|(_, number)| *number == stored.role).map_or(Role::Other, |(role, _)| *role),
        codelist: read_reference(stored.codelist),
    };
    Ok(Structure {
        identity: read_reference(identity),
        dimensions: dimensions.into_iter().map(dimension).collect(),
    })
}

/// Encodes the number of codes of a code list.
pub(super) fn codelist(identity: &Reference, codes: u64) -> Vec<u8> {
    pb::StoredCodelist { identity: Some(reference(identity)), codes }.encode_to_vec()
}

pub(super) fn read_codelist(bytes: &[u8]) -> Result<(Reference, u64), Unreadable> {
    let pb::StoredCodelist { identity, codes } = pb::StoredCodelist::decode(bytes)?;
    Ok((read_reference(identity), codes))
}

/// Encodes what a constraint states of its dataflows as a whole.
pub(super) fn constraint(constraint: &Constraint) -> Vec<u8> {
    let references = |references: &[Reference]| {
        let mut sorted: Vec<_> = references.iter().map(reference).collect();
        sorted.sort_by(|one, other| {
            (&one.agency_id, &one.id, &one.version).cmp(&(&other.agency_id, &other.id, &other.version))
        });
        sorted
    };
    let count = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
    let stored = pb::StoredConstraint {
        identity: Some(reference(&constraint.identity)),
        is_actual: constraint.is_actual,
        dataflows: references(&constraint.dataflows),
        structures: references(&constraint.data_structures),
        observations: count(constraint.observation_count),
        series: count(constraint.series_count),
    };
    stored.encode_to_vec()
}
