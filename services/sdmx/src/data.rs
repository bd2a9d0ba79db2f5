//! Counts what a data message has, and keeps nothing of it.
//!
//! Memory does not depend on the message: there is no set of series keys. So what cannot be told apart without one is
//! counted by what the message states, or by what follows what, as [`DataCounts::series`] says.

use std::fmt;
use std::io::Read;

use super::dataflow::StructureReference;
use super::diagnostic::Diagnostics;
use super::error::{Fault, ParseError};
use super::input::Input;
use super::limits::Limits;
use super::xml::Xml;

mod csv;
mod json;
mod named;
mod periods;
mod value;
mod xml;

use periods::Periods;

/// What a data message has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataCounts {
    /// How it is written.
    pub format: DataFormat,
    /// The version of the standard, or of its format in JSON and CSV; `None` if the message does not tell.
    pub version: Option<&'static str>,
    /// Its header.
    pub header: DataHeader,
    /// The structure that it names, or the first of several.
    pub structure: Option<NamedStructure>,
    /// Data sets. In CSV, rows of one structure and action that follow each other.
    pub data_sets: u64,
    /// Groups of series that have attributes in common.
    pub groups: u64,
    /// Series that the message states. Each observation outside of a series is one of its own, since a set of their keys
    /// would grow with the message. In CSV, rows that follow each other and have the same series key, or the same fields
    /// before their period.
    pub series: u64,
    /// Observations, with a value or without.
    pub observations: u64,
    /// Observations without a value: it is absent, empty, not a number, or stated to be missing. `None` if the message
    /// may have its values under another name than `OBS_VALUE`, which only the data structure tells.
    pub without_value: Option<u64>,
    /// The first period, as written; the first of several that start on the same day and at the same time.
    pub first_period: Option<String>,
    /// The period that starts last, as written.
    pub last_period: Option<String>,
    /// What its footer, or `errors` in SDMX-JSON, states: it may be incomplete.
    pub diagnostics: Diagnostics,
}

/// How a data message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataFormat {
    /// SDMX-ML for any structure.
    Generic,
    /// SDMX-ML with the dimensions as attributes, since 2.1.
    StructureSpecific,
    /// The same in SDMX 2.0.
    Compact,
    /// SDMX-ML 2.0 by periods.
    CrossSectional,
    /// SDMX-JSON.
    Json,
    /// SDMX-CSV.
    Csv,
}

impl fmt::Display for DataFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Generic => "Generic",
            Self::StructureSpecific => "StructureSpecific",
            Self::Compact => "Compact",
            Self::CrossSectional => "CrossSectional",
            Self::Json => "SDMX-JSON",
            Self::Csv => "SDMX-CSV",
        })
    }
}

/// The header of a data message; CSV has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataHeader {
    /// The identifier of the message.
    pub id: String,
    /// The creation time, as written.
    pub prepared: String,
    /// Whether it is a test.
    pub test: Option<bool>,
}

/// The structure that a data message names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedStructure {
    /// What it is.
    pub kind: NamedStructureKind,
    /// Its identity; a part that the message does not state is empty.
    pub reference: StructureReference,
}

/// What describes the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NamedStructureKind {
    /// A data structure, or key family.
    DataStructure,
    /// A dataflow.
    Dataflow,
    /// A provision agreement.
    ProvisionAgreement,
}

/// Counts a data message: SDMX-ML Generic and StructureSpecific 2.1 to 3.1, Generic, Compact and CrossSectional 2.0,
/// SDMX-JSON 1.0 and 2.0, SDMX-CSV 1.0 and 2.0; plain or compressed by gzip. The first bytes decide which it is.
///
/// # Errors
///
/// A document that is none of these, not well-formed, truncated, or above a limit.
pub fn count_data<R: Read>(read: R, limits: &Limits) -> Result<DataCounts, ParseError> {
    let mut input = Input::new(read, limits);
    let counts = match input.first_byte() {
        Some(b'{' | b'[') => json::count(input, limits),
        // Errors and documents that are blank are those of XML.
        Some(b'<') | None => xml::count(Xml::of(input, limits), limits),
        Some(_) => csv::count(input),
    };
    counts.map_err(|error| ParseError { fault: as_data(error.fault), ..error })
}

/// The readers of XML and JSON know only that a document is not SDMX.
fn as_data(fault: Fault) -> Fault {
    match fault {
        Fault::NotXml { found } | Fault::NotStructure { found } => Fault::NotData { found },
        other => other,
    }
}

/// What has been counted so far.
#[derive(Debug, Default)]
struct Tally {
    header: DataHeader,
    structure: Option<NamedStructure>,
    data_sets: u64,
    groups: u64,
    series: u64,
    observations: u64,
    without_value: u64,
    /// An observation has `OBS_VALUE`, or a place for its value that needs no name.
    has_values: bool,
    periods: Periods,
    diagnostics: Diagnostics,
}

// === impl Tally ===

impl Tally {
    /// Of a message whose irregularities are reported.
    fn new(limits: &Limits) -> Self {
        Self { diagnostics: Diagnostics::new(limits.diagnostics), ..Self::default() }
    }

    /// Counts an observation that is in a series, or is one of its own.
    #[inline]
    fn observation(&mut self, has_value: bool, in_series: bool) {
        self.observations += 1;
        self.without_value += u64::from(!has_value);
        self.series += u64::from(!in_series);
    }

    /// The result. Since SDMX 3.0 a measure has any name, so that a message without `OBS_VALUE` may have values.
    fn counts(self, format: DataFormat, version: Option<&'static str>, names_vary: bool) -> DataCounts {
        let is_known = self.has_values || self.observations == 0 || !names_vary;
        let (first_period, last_period) = self.periods.ends();
        DataCounts {
            format,
            version,
            header: self.header,
            structure: self.structure,
            data_sets: self.data_sets,
            groups: self.groups,
            series: self.series,
            observations: self.observations,
            without_value: is_known.then_some(self.without_value),
            first_period,
            last_period,
            diagnostics: self.diagnostics,
        }
    }
}
