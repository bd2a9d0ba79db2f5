//! Renders responses: an analysis as a table for people, or as JSON, NDJSON or CSV for programs; any other message as
//! plain columns or JSON.
//!
//! It depends on nothing but the response, so that the command line and exports write the same bytes. Names come from
//! untrusted documents: no format passes a control character through.

pub mod grid;
pub mod text;

mod csv;
mod heading;
mod json;
mod profile;
mod table;

use std::io::{self, BufWriter, Write};

use dataflow_proto::analysis::v1 as pb;
use prost::Message;

pub use self::heading::Heading;

/// The output format of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Counts, the dataflows of each category with the highest scores, and diagnostics; for people
    #[default]
    Table,
    /// The whole response as one JSON document, the same as REST returns
    Json,
    /// One dataflow per line, each a JSON document
    Ndjson,
    /// One dataflow per row, with a header; a text that a spreadsheet would execute as a formula gets a leading
    /// apostrophe
    Csv,
}

/// The reader's preferences and the capabilities of the output device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The preferred language of names in table and CSV, as a language tag (BCP 47).
    pub lang: String,
    /// The terminal's width in columns; `None` if the output is a file or a pipe.
    pub terminal: Option<u16>,
    /// Whether the table may use ANSI colors.
    pub color: bool,
    /// Number of dataflows that the table lists under each heading; `None` lists all.
    pub top: Option<usize>,
    /// The headings whose dataflows the table lists; all if it is empty.
    pub headings: Vec<Heading>,
    /// Whether CSV begins with a byte order mark.
    pub bom: bool,
}

impl Options {
    /// Default number of dataflows that the table lists under each heading.
    pub const TOP: usize = 5;

    /// Options for a file or a pipe.
    pub fn plain(lang: impl Into<String>) -> Self {
        Self {
            lang: lang.into(),
            terminal: None,
            color: false,
            top: Some(Self::TOP),
            headings: Vec::new(),
            bom: false,
        }
    }
}

/// Writes the analysis. Besides the analysis itself, at most one dataflow is in memory at a time. Errors of `out` keep
/// their kind, so that callers can distinguish a closed pipe from a full disk.
pub fn render(
    analysis: pb::Analysis,
    format: Format,
    options: &Options,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    match format {
        Format::Table => table::write(&analysis, options, &mut out)?,
        Format::Json => json::write_document(analysis, &mut out)?,
        Format::Ndjson => json::write_lines(&analysis.dataflows, &mut out)?,
        Format::Csv => csv::write(&analysis.dataflows, options, &mut out)?,
    }
    out.flush()
}

/// Writes any message of the contract, by its full name, as one JSON document, the same as REST returns.
pub fn message(name: &str, message: &impl Message, out: &mut impl Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    json::write_message(name, message, &mut out)?;
    out.flush()
}

#[cfg(test)]
mod tests;
