//! Interprets start tags: the attributes of a dataflow, and those of a reference to its data structure.

use std::borrow::Cow;

use crate::dataflow::{Dataflow, ExternalReference, StructureReference};
use crate::diagnostic::Reason;
use crate::error::{Fault, Position};
use crate::facts::Facts;
use crate::namespace::{Namespace, Version};
use crate::urn::{self, DATAFLOW_CLASSES, Urn};
use crate::xml::{RawValue, Start};

/// A dataflow with only its attributes; irregularities of the attributes are added to `issues`.
pub(super) fn dataflow(
    start: &Start<'_>,
    issues: &mut Vec<(Reason, String)>,
) -> Result<Box<Dataflow>, Fault> {
    let mut flow = empty();
    let mut external = ExternalReference::default();
    // In SDMX 2.0 `uri` is where the definition of a stub is; later it is a page about the dataflow.
    let in_2_0 = matches!(start.namespace, Namespace::Sdmx(Some(Version::V2_0), _));
    let mut is_external = None;
    let mut urn = Cow::Borrowed("");
    for (name, value) in start.attributes() {
        match name {
            "id" => flow.id = trimmed(value)?,
            "agencyID" => flow.agency_id = trimmed(value)?,
            "version" => flow.version = trimmed(value)?,
            "urn" => urn = value.resolve()?,
            "isFinal" => flow.is_final = boolean(name, value, issues)?,
            "isExternalReference" => is_external = boolean(name, value, issues)?,
            "uri" if in_2_0 => external.structure_url = non_empty(value)?,
            "structureURL" => external.structure_url = non_empty(value)?,
            "serviceURL" => external.service_url = non_empty(value)?,
            _ => {}
        }
    }
    flow.external = (is_external == Some(true)).then_some(external);
    complete_identity(&mut flow, urn.trim_ascii(), issues);
    Ok(flow)
}

/// A dataflow of which nothing is known yet.
pub(super) fn empty() -> Box<Dataflow> {
    Box::new(Dataflow {
        id: String::new(),
        agency_id: String::new(),
        version: String::new(),
        names: Vec::new(),
        descriptions: Vec::new(),
        structure: None,
        is_final: None,
        external: None,
        facts: Facts::default(),
        annotations: Vec::new(),
        legacy: None,
        position: Position::START,
    })
}

/// Takes missing parts of a dataflow's identity from its URN, and reports a URN of something else.
pub(super) fn complete_identity(flow: &mut Dataflow, urn: &str, issues: &mut Vec<(Reason, String)>) {
    // Nearly all are.
    if urn::is_of_dataflow(urn, &flow.agency_id, &flow.id, &flow.version) {
        return;
    }
    let Some(Urn { class, agency_id, id, version, .. }) = Urn::parse(urn) else {
        if !urn.is_empty() {
            issues.push((Reason::InvalidUrn, format!("{urn:?} is not an SDMX URN")));
        }
        return;
    };
    if !DATAFLOW_CLASSES.contains(&class) {
        let problem = format!("{urn:?} names a {class}; expected a Dataflow, and used the attributes");
        return issues.push((Reason::ContradictoryUrn, problem));
    }
    let mut differs = false;
    let parts = [(&mut flow.id, id), (&mut flow.agency_id, agency_id), (&mut flow.version, version)];
    for (attribute, part) in parts {
        if attribute.is_empty() {
            attribute.push_str(part);
        }
        differs |= attribute != part && !part.is_empty();
    }
    if differs {
        let problem = format!("{urn:?} differs from the attributes, which were used");
        issues.push((Reason::ContradictoryUrn, problem));
    }
}

/// The `Ref` element of SDMX 2.1; missing parts are empty.
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

fn non_empty(value: RawValue<'_>) -> Result<Option<String>, Fault> {
    trimmed(value).map(|value| Some(value).filter(|value| !value.is_empty()))
}

/// A boolean of XML Schema; any other value is reported and ignored.
fn boolean(
    name: &str,
    value: RawValue<'_>,
    issues: &mut Vec<(Reason, String)>,
) -> Result<Option<bool>, Fault> {
    Ok(boolean_of(name, &value.resolve()?, issues))
}

/// The same of a value as text.
pub(super) fn boolean_of(name: &str, value: &str, issues: &mut Vec<(Reason, String)>) -> Option<bool> {
    match value.trim_ascii() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        other => {
            issues.push((Reason::InvalidBoolean, format!("{name} is {other:?}; expected true or false")));
            None
        }
    }
}
