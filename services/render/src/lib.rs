//! Renders replies: one analysis as a table for people, or as JSON, NDJSON or CSV for programs; any other message as
//! plain columns or JSON.
//!
//! It needs nothing but the reply, so that the command line and exports write the same bytes. Names come from documents of
//! unknown origin: no format lets a control character through.

pub mod grid;
pub mod text;

mod csv;
mod json;
mod table;

use std::io::{self, BufWriter, Write};

use dataflow_proto::analysis::v1 as pb;
use prost::Message;

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Counts, the surest dataflows of each category, and what was odd about the document; for people
    #[default]
    Table,
    /// The whole reply as one JSON document, as REST shows it
    Json,
    /// One dataflow a line, each a JSON document
    Ndjson,
    /// One dataflow a row, with a header; text that a spreadsheet would run as a formula gets a leading apostrophe
    Csv,
}

/// What the reader wants and what the device can show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The language tag (BCP 47) that table and CSV prefer for names.
    pub lang: String,
    /// The terminal's width in columns; `None` when the output is a file or a pipe.
    pub terminal: Option<u16>,
    /// Whether the table may use ANSI colours.
    pub colour: bool,
    /// How many dataflows of each category the table lists.
    pub top: usize,
}

impl Options {
    /// How many dataflows of each category the table lists when nobody says.
    pub const TOP: usize = 5;

    /// For a file or a pipe.
    pub fn plain(lang: impl Into<String>) -> Self {
        Self { lang: lang.into(), terminal: None, colour: false, top: Self::TOP }
    }
}

/// Writes the analysis. Beyond the analysis itself it holds no more than one dataflow at a time; a failure of `out`
/// keeps its kind, so that a closed pipe can be told from a full disk.
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
        Format::Csv => csv::write(&analysis.dataflows, &options.lang, &mut out)?,
    }
    out.flush()
}

/// Writes any message of the contract, named in full, as one JSON document, as REST shows it.
pub fn message(name: &str, message: &impl Message, out: &mut impl Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    json::write_message(name, message, &mut out)?;
    out.flush()
}

#[cfg(test)]
mod tests;
