//! What commands print of a reply: one analysis as a table for people, or as JSON, NDJSON or CSV for programs; and plain
//! columns or JSON of any other.
//!
//! It stands apart from the commands because it needs nothing but the reply: the same bytes come out whichever mesh
//! answered. Names come from documents that strangers wrote, so no format lets a control character through.

pub(crate) mod grid;
pub(crate) mod text;

mod csv;
mod json;
mod table;

use std::env;
use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal, Write};

use dataflow_proto::analysis::v1 as pb;
use prost::Message;

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
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
pub(crate) struct Options {
    /// The language tag (BCP 47) that table and CSV prefer for names.
    pub(crate) lang: String,
    /// The terminal's width in columns; `None` when the output is a file or a pipe.
    pub(crate) terminal: Option<u16>,
    /// Whether the table may use ANSI colours.
    pub(crate) colour: bool,
    /// How many dataflows of each category the table lists.
    pub(crate) top: usize,
}

impl Options {
    /// How many dataflows of each category the table lists when nobody says.
    pub(crate) const TOP: usize = 5;

    /// For a file or a pipe.
    pub(crate) fn plain(lang: impl Into<String>) -> Self {
        Self { lang: lang.into(), terminal: None, colour: false, top: Self::TOP }
    }

    /// For standard output, whatever it is connected to, obeying `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE`.
    pub(crate) fn stdout(lang: impl Into<String>) -> Self {
        let attached = io::stdout().is_terminal();
        let terminal = attached.then(|| console::Term::stdout().size().1);
        let colour = wants_colour(attached, |name| env::var_os(name));
        Self { terminal, colour, ..Self::plain(lang) }
    }
}

/// Whether to colour, by the conventions of no-color.org and bixense.com/clicolors; `NO_COLOR` outranks the others.
fn wants_colour(terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    let forced = set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    let refused =
        set("CLICOLOR").is_some_and(|value| value == "0") || set("TERM").is_some_and(|value| value == "dumb");
    forced || (terminal && !refused)
}

/// Writes the analysis. Beyond the analysis itself it holds no more than one dataflow at a time; a failure of `out`
/// keeps its kind, so that a closed pipe can be told from a full disk.
pub(crate) fn render(
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
pub(crate) fn message(name: &str, message: &impl Message, out: &mut impl Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    json::write_message(name, message, &mut out)?;
    out.flush()
}

#[cfg(test)]
mod tests;
