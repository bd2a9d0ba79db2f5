//! What start tags say: the attributes of a dataflow, and those of a reference to its data structure.

use crate::sdmx::annotations::Facts;
use crate::sdmx::dataflow::{Dataflow, ExternalReference, LegacyFields, StructureReference};
use crate::sdmx::diagnostic::Reason;
use crate::sdmx::error::{Fault, Position};
use crate::sdmx::xml::{RawValue, Start};

/// A dataflow with its attributes and nothing else; what is odd about them goes to `odd`.
pub(super) fn dataflow(start: &Start<'_>, odd: &mut Vec<(Reason, String)>) -> Result<Dataflow, Fault> {
    let mut flow = Dataflow {
        id: String::new(),
        agency_id: String::new(),
        version: String::new(),
        urn: None,
        names: Vec::new(),
        descriptions: Vec::new(),
        structure: None,
        is_final: None,
        external: None,
        valid_from: None,
        valid_to: None,
        facts: Facts::default(),
        annotations: Vec::new(),
        legacy: LegacyFields::default(),
        position: Position::START,
    };
    let mut external = ExternalReference::default();
    let mut is_external = None;
    for (name, value) in start.attributes() {
        match name {
            "id" => flow.id = trimmed(value)?,
            "agencyID" => flow.agency_id = trimmed(value)?,
            "version" => flow.version = trimmed(value)?,
            "urn" => flow.urn = some(value)?,
            "isFinal" => flow.is_final = boolean(name, value, odd)?,
            "isExternalReference" => is_external = boolean(name, value, odd)?,
            "structureURL" => external.structure_url = some(value)?,
            "serviceURL" => external.service_url = some(value)?,
            "validFrom" => flow.valid_from = some(value)?,
            "validTo" => flow.valid_to = some(value)?,
            _ => {}
        }
    }
    flow.external = (is_external == Some(true)).then_some(external);
    Ok(flow)
}

/// The `Ref` of SDMX 2.1; parts are empty when absent.
pub(super) fn reference(start: &Start<'_>) -> Result<StructureReference, Fault> {
    let mut structure = StructureReference::default();
    for (name, value) in start.attributes() {
        match name {
            "id" => structure.id = trimmed(value)?,
            "agencyID" => structure.agency_id = trimmed(value)?,
            "version" => structure.version = trimmed(value)?,
            _ => {}
        }
    }
    Ok(structure)
}

fn trimmed(value: RawValue<'_>) -> Result<String, Fault> {
    value.resolve().map(|value| value.trim_ascii().to_owned())
}

fn some(value: RawValue<'_>) -> Result<Option<String>, Fault> {
    trimmed(value).map(|value| Some(value).filter(|value| !value.is_empty()))
}

/// A flag of XML Schema; anything else is told and left out.
fn boolean(name: &str, value: RawValue<'_>, odd: &mut Vec<(Reason, String)>) -> Result<Option<bool>, Fault> {
    let value = value.resolve()?;
    Ok(match value.trim_ascii() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        other => {
            odd.push((Reason::InvalidBoolean, format!("{name} is {other:?}; expected true or false")));
            None
        }
    })
}
