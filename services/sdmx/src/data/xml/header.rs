//! The header of a data message: its identity, and the structures of its data sets.

use std::io::Read;

use super::Message;
use crate::data::{NamedStructure, NamedStructureKind, Tally};
use crate::error::{Fault, ParseError};
use crate::xml::{Event, Start, Xml};

/// Longer than any identifier, time or URN in a header.
const TEXT_BYTES: usize = 1 << 10;

/// What a text in the header is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Id,
    Prepared,
    Test,
    /// The id of a key family in SDMX 2.0, and its agency.
    KeyFamily,
    KeyFamilyAgency,
    /// A URN, in `Structure` of SDMX 3 or in an element `URN`.
    Urn,
    Other,
}

/// Reads up to the end of the header whose start tag was read last.
pub(super) fn read<R: Read>(
    xml: &mut Xml<R>,
    message: &mut Message,
    tally: &mut Tally,
) -> Result<(), ParseError> {
    let depth = xml.depth();
    let (mut field, mut text) = (Field::Other, String::new());
    let [mut family, mut agency] = [String::new(), String::new()];
    // The kind of the reference that is open.
    let mut kind = None;
    while xml.depth() >= depth {
        match xml.next_tag()? {
            Event::Start(start) => {
                text.clear();
                field = match (start.depth - depth, start.local_name()) {
                    (1, "ID") => Field::Id,
                    (1, "Prepared") => Field::Prepared,
                    (1, "Test") => Field::Test,
                    (1, "KeyFamilyRef") => Field::KeyFamily,
                    (1, "KeyFamilyAgency") => Field::KeyFamilyAgency,
                    (2, "Structure" | "StructureUsage" | "ProvisionAgreement" | "ProvisionAgrement")
                    | (3, "URN") => Field::Urn,
                    _ => Field::Other,
                };
                let taken = take(&start, depth, &mut kind, message, tally);
                taken.map_err(|fault| xml.error(fault))?;
            }
            Event::Text(piece) if field != Field::Other && text.len() + piece.len() <= TEXT_BYTES => {
                text.push_str(piece);
            }
            Event::Character(character) if field != Field::Other && text.len() < TEXT_BYTES => {
                text.push(character)
            }
            Event::End => {
                let value = text.trim_ascii();
                match field {
                    Field::Id => value.clone_into(&mut tally.header.id),
                    Field::Prepared => value.clone_into(&mut tally.header.prepared),
                    Field::Test => tally.header.test = boolean(value),
                    Field::KeyFamily => value.clone_into(&mut family),
                    Field::KeyFamilyAgency => value.clone_into(&mut agency),
                    Field::Urn if tally.structure.is_none() => {
                        tally.structure = NamedStructure::of_urn(value)
                    }
                    Field::Urn | Field::Other => {}
                }
                field = Field::Other;
            }
            _ => {}
        }
    }
    if tally.structure.is_none() && !family.is_empty() {
        tally.structure = Some(NamedStructure::new(NamedStructureKind::DataStructure, &agency, &family, ""));
    }
    Ok(())
}

/// Takes what a start tag tells: the dimension at the observations, or a reference to a structure.
fn take(
    start: &Start<'_>,
    depth: usize,
    kind: &mut Option<NamedStructureKind>,
    message: &mut Message,
    tally: &mut Tally,
) -> Result<(), Fault> {
    match (start.depth - depth, start.local_name()) {
        (1, "Structure") => {
            let dimension = start.attribute("dimensionAtObservation")?;
            message.has_time_at_observations &= dimension.is_none_or(|id| id.trim_ascii() == "TIME_PERIOD");
        }
        (2, "Structure") => *kind = Some(NamedStructureKind::DataStructure),
        (2, "StructureUsage") => *kind = Some(NamedStructureKind::Dataflow),
        (2, "ProvisionAgreement" | "ProvisionAgrement") => {
            *kind = Some(NamedStructureKind::ProvisionAgreement)
        }
        (2, _) => *kind = None,
        (3, "Ref") if tally.structure.is_none() => {
            let Some(kind) = *kind else { return Ok(()) };
            let class =
                start.attribute("class")?.and_then(|class| NamedStructureKind::of_class(class.trim_ascii()));
            let [agency, id, version] = ["agencyID", "id", "version"].map(|name| start.attribute(name));
            let [agency, id, version] = [agency?, id?, version?].map(Option::unwrap_or_default);
            if !id.trim_ascii().is_empty() {
                let kind = class.unwrap_or(kind);
                let [agency, id, version] = [&agency, &id, &version].map(|part| part.trim_ascii());
                tally.structure = Some(NamedStructure::new(kind, agency, id, version));
            }
        }
        _ => {}
    }
    Ok(())
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}
