//! Counts data messages in SDMX-ML, in all formats by one pass: the names of their parts differ where their meaning does.

use std::io::Read;

use super::{DataCounts, DataFormat, NamedStructure, Tally};
use crate::error::{Fault, ParseError};
use crate::excerpt::excerpt;
use crate::footer;
use crate::limits::Limits;
use crate::namespace::{Namespace, Schema, Version};
use crate::sniff::{self, Root};
use crate::xml::{Event, Start, Xml};

mod data_set;
mod header;

/// What a message tells before its data.
#[derive(Debug, Clone)]
struct Message {
    /// `None` in a group of messages, until its first data set tells.
    format: Option<DataFormat>,
    /// `None` without namespaces.
    version: Option<Version>,
    /// The structure that a namespace names.
    named: Option<NamedStructure>,
    /// A dimension at the observations that is not named is time.
    has_time_at_observations: bool,
}

/// Counts the message.
pub(super) fn count<R: Read>(mut xml: Xml<R>, limits: &Limits) -> Result<DataCounts, ParseError> {
    let mut message = root(&mut xml)?;
    let mut tally = Tally::new(limits);
    loop {
        let start = match xml.next_tag()? {
            Event::Start(start) => start,
            Event::Eof => break,
            Event::End | Event::Text(_) | Event::Character(_) | Event::Ignored => continue,
        };
        match start.local_name() {
            "Header" if start.depth == 2 => header::read(&mut xml, &mut message, &mut tally)?,
            "Footer" if start.depth == 2 => footer::read(&mut xml, &mut tally.diagnostics)?,
            "DataSet" if start.depth == 2 => {
                message.look_at(&start);
                let taken = data_set::add_period(&start, &mut tally);
                taken.map_err(|fault| xml.error(fault))?;
                data_set::read(&mut xml, &message, &mut tally)?;
            }
            _ => {}
        }
    }
    tally.structure = tally.structure.or(message.named);
    // A group of messages without data sets has none of either.
    let format = message.format.unwrap_or(DataFormat::Generic);
    let version = message.version.map(|version| match version {
        Version::V2_0 => "2.0",
        Version::V2_1 => "2.1",
        Version::V3_0 => "3.0",
        Version::V3_1 => "3.1",
    });
    let names_vary = matches!(message.version, Some(Version::V3_0 | Version::V3_1));
    Ok(tally.counts(format, version, names_vary))
}

/// Reads up to the start of the root, and rejects documents that are not data messages.
fn root<R: Read>(xml: &mut Xml<R>) -> Result<Message, ParseError> {
    let start = loop {
        if let Event::Start(start) = xml.next()? {
            break start;
        }
    };
    let name = start.local_name();
    let is_message = matches!(start.namespace, Namespace::None | Namespace::Sdmx(_, Schema::Message));
    let format = match name {
        "GenericData" | "GenericTimeSeriesData" => Some(DataFormat::Generic),
        "StructureSpecificData" | "StructureSpecificTimeSeriesData" => Some(DataFormat::StructureSpecific),
        "CompactData" => Some(DataFormat::Compact),
        "CrossSectionalData" => Some(DataFormat::CrossSectional),
        _ => None,
    };
    let version = match start.namespace {
        Namespace::Sdmx(version, _) => version,
        _ => None,
    };
    if is_message && (format.is_some() || name == "MessageGroup") {
        if start.namespace != Namespace::None && version.is_none() {
            let version = sniff::version_in(start.as_written()).unwrap_or_default();
            return Err(xml.error(Fault::UnsupportedVersion { version }));
        }
        let named = NamedStructure::of_tag(start.as_written());
        return Ok(Message { format, version, named, has_time_at_observations: true });
    }
    let shown = excerpt(name);
    let is_of_sdmx = matches!(start.namespace, Namespace::Sdmx(..));
    let found = match sniff::classify_root(start.namespace, name) {
        Root::Failure(what) => {
            let position = xml.position();
            let found = format!("{what}: {:?}", xml.error_text());
            return Err(ParseError { fault: Fault::NotData { found }, position });
        }
        Root::Structure => format!("a structure message (<{shown}>)"),
        // Utility data, metadata, queries.
        Root::Other(_) if is_of_sdmx => format!("an SDMX message of another kind (<{shown}>)"),
        Root::Other(what) => format!("{what} (<{shown}>)"),
        Root::Unknown => format!("XML without an SDMX namespace (<{shown}>)"),
    };
    Err(xml.error(Fault::NotData { found }))
}

// === impl Message ===

impl Message {
    /// Takes what a data set tells by its start tag.
    fn look_at(&mut self, data_set: &Start<'_>) {
        if self.format.is_none() {
            let is_generic = matches!(data_set.namespace, Namespace::Sdmx(..) | Namespace::None);
            self.format = Some(if is_generic { DataFormat::Generic } else { DataFormat::Compact });
        }
        if self.named.is_none() {
            self.named = NamedStructure::of_tag(data_set.as_written());
        }
    }
}
