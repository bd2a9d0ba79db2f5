//! Reads a constraint: what it is attached to, its numbers, and the sizes of its regions.

use std::io::Read;

use super::identity::Identity;
use super::parts::{Had, Parts};
use crate::annotations::count;
use crate::dataflow::Annotation;
use crate::error::ParseError;
use crate::facts::Periods;
use crate::limits::Limits;
use crate::period::Period;
use crate::reader::constraint::{Attaching, ConstraintBuilder};
use crate::reader::json::kind::StructureKind;
use crate::reader::reference;
use crate::reference::Reference;
use crate::structures::{Constraint, Structures};

mod region;

const MEMBERS: [&str; 14] = [
    "id",
    "agencyID",
    "version",
    "urn",
    "links",
    "annotations",
    "role",
    "type",
    "constraintAttachment",
    "cubeRegions",
    "cubeRegion",
    "referencePeriod",
    "obsCount",
    "seriesCount",
];

/// What a constraint may be attached to; in constraints of availability one artefact in place of a list.
const ATTACHMENTS: [&str; 16] = [
    "dataflows",
    "dataflow",
    "dataStructures",
    "dataStructure",
    "provisionAgreements",
    "provisionAgreement",
    "dataProvider",
    "dataSets",
    "metadataflows",
    "metadataStructures",
    "metadataSets",
    "metadataProvider",
    "metadataProvisionAgreements",
    "queryableDataSources",
    "simpleDataSources",
    "simpleDataSource",
];

/// Reads the members of the constraint.
pub(super) fn read<'a, R: Read>(
    parts: &mut Parts<'_, R>,
    kind: StructureKind,
    structures: &'a mut Structures,
    limits: &'a Limits,
) -> Result<ConstraintBuilder<'a>, ParseError> {
    let mut builder = ConstraintBuilder::new(Constraint::default(), parts.position, structures, limits);
    let (mut had, mut identity) = (Had::default(), Identity::default());
    let (mut role, mut counts) = (String::new(), [None; 2]);
    while let Some(member) = parts.member(&MEMBERS, &mut had)? {
        match member {
            "annotations" => parts.objects(member, |parts| annotation(parts, &mut builder))?,
            // Of the two each version of the format has one.
            "role" | "type" => {
                let stated = parts.kept(member)?;
                role = if role.is_empty() { stated } else { role };
            }
            "constraintAttachment" => attachment(parts, &mut builder)?,
            "cubeRegions" | "cubeRegion" => {
                parts.objects(member, |parts| region::read(parts, &mut builder))?
            }
            "referencePeriod" => builder.constraint.periods = reference_period(parts)?,
            "obsCount" => counts[0] = count(&parts.kept(member)?),
            "seriesCount" => counts[1] = count(&parts.kept(member)?),
            _ => identity.read(member, parts)?,
        }
    }
    // Annotations take precedence, as in SDMX-ML.
    let Constraint { is_actual, observation_count, series_count, .. } = &mut builder.constraint;
    *observation_count = observation_count.or(counts[0]);
    *series_count = series_count.or(counts[1]);
    *is_actual = match kind {
        StructureKind::AvailabilityConstraint => true,
        StructureKind::ContentConstraint => !role.eq_ignore_ascii_case("Allowed"),
        _ => role.eq_ignore_ascii_case("Actual"),
    };
    builder.identify(identity.finish(""));
    Ok(builder)
}

/// Reads an annotation, which may state a number.
fn annotation<R: Read>(
    parts: &mut Parts<'_, R>,
    builder: &mut ConstraintBuilder<'_>,
) -> Result<(), ParseError> {
    let (mut had, mut annotation) = (Had::default(), Annotation::default());
    while let Some(member) = parts.member(&["id", "type", "title", "value", "text"], &mut had)? {
        let text = parts.kept(member)?;
        match member {
            "id" => annotation.id = text,
            "type" => annotation.kind = text,
            "title" => annotation.title = text,
            "value" => annotation.value = text,
            _ => annotation.texts.push((String::new(), text)),
        }
    }
    builder.add_annotation(&annotation);
    Ok(())
}

/// Reads what the constraint is attached to: URNs, or objects that are not read.
fn attachment<R: Read>(
    parts: &mut Parts<'_, R>,
    builder: &mut ConstraintBuilder<'_>,
) -> Result<(), ParseError> {
    if !parts.object("constraintAttachment")? {
        return Ok(());
    }
    let mut had = Had::default();
    while let Some(member) = parts.member(&ATTACHMENTS, &mut had)? {
        let kind = match member {
            "dataflows" | "dataflow" => Attaching::Dataflow,
            "dataStructures" | "dataStructure" => Attaching::DataStructure,
            _ => {
                if parts.has_content()? {
                    builder.begin_attachment(Attaching::Other);
                }
                continue;
            }
        };
        parts.texts(member, |urn| {
            builder.begin_attachment(kind);
            let mut artefact = Reference::default();
            reference::complete(&mut artefact, urn);
            builder.attach(kind, artefact);
        })?;
    }
    Ok(())
}

fn reference_period<R: Read>(parts: &mut Parts<'_, R>) -> Result<Periods, ParseError> {
    let mut periods = Periods::default();
    if parts.object("referencePeriod")? {
        let mut had = Had::default();
        while let Some(member) = parts.member(&["startTime", "endTime"], &mut had)? {
            let end = if member == "startTime" { &mut periods.first } else { &mut periods.last };
            *end = Period::parse(&parts.kept(member)?);
        }
    }
    Ok(periods)
}
