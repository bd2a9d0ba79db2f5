//! CSV: one row per dataflow, for spreadsheets and BI tools. `docs/output.md` describes the columns; a test compares them.
//!
//! Spreadsheets execute a cell that starts like a formula, and names come from untrusted documents: such a text gets a
//! leading apostrophe, which Excel, LibreOffice and Google Sheets interpret as "this is text". JSON keeps the name
//! unchanged.
//!
//! A cell with several values is a JSON array, as JSON and NDJSON have it, so that a program can split it whatever is in
//! it. Each language of the catalogue also has a column with the names in it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use dataflow_proto::analysis::v1 as pb;

use super::Options;
use super::json::{self, FieldWriter};
use super::profile;
use super::text::{self, printable};

/// The columns of every catalogue. Columns of names in each language follow.
const HEADER: [&str; 26] = [
    "id",
    "agency_id",
    "version",
    "name",
    "category",
    "score",
    "confidence",
    "flags",
    "last_update",
    "observation_count",
    "structure",
    "evidence",
    "decided_by",
    "reference",
    "description",
    "observation_method",
    "observations_low",
    "observations_likely",
    "observations_high",
    "csv_bytes",
    "frequencies",
    "first_period",
    "last_period",
    "update_due",
    "overdue",
    "quality_flags",
];

/// The writers of cells with several values.
struct Writers<'s> {
    dataflow: FieldWriter<'s>,
    contents: FieldWriter<'s>,
}

/// The most languages that have a column: the rows of a catalogue whose names have one tag each would grow with its
/// square.
const MAX_LANGUAGES: usize = 24;

/// Begins a file that Excel is to read as UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Writes a header and one row per dataflow, in document order. Times are RFC 3339 in UTC; unknown values are empty.
pub(super) fn write(dataflows: &[pb::Dataflow], options: &Options, out: &mut impl Write) -> io::Result<()> {
    if options.bom {
        out.write_all(BYTE_ORDER_MARK.as_bytes())?;
    }
    let languages = languages(dataflows);
    let schema = json::schema();
    let mut writers = Writers {
        dataflow: FieldWriter::new(&schema, "dataflow.analysis.v1.Dataflow"),
        contents: FieldWriter::new(&schema, "dataflow.analysis.v1.Contents"),
    };
    let mut rows = ::csv::Writer::from_writer(out);
    let of_languages = languages.iter().map(|tag| format!("name_{}", printable(tag)));
    let header = HEADER.iter().map(|&name| Cow::Borrowed(name)).chain(of_languages.map(Cow::Owned));
    rows.write_record(header.map(|cell| cell.into_owned())).map_err(into_io)?;
    for flow in dataflows {
        let cells = row(flow, &options.lang, &mut writers)?;
        let names = languages.iter().map(|tag| name_in(flow, tag));
        for cell in cells.into_iter().chain(names) {
            rows.write_field(cell.as_bytes()).map_err(into_io)?;
        }
        rows.write_record(None::<&[u8]>).map_err(into_io)?;
    }
    rows.flush()
}

/// The conversion of the crate csv hides the kind of an I/O error.
fn into_io(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

/// The tags of names in lower case, in order; the most frequent ones if there are more than have a column.
fn languages(dataflows: &[pb::Dataflow]) -> Vec<String> {
    let mut counts = BTreeMap::<String, usize>::new();
    for tag in dataflows.iter().flat_map(|flow| flow.names.keys()) {
        *counts.entry(tag.to_ascii_lowercase()).or_default() += 1;
    }
    let mut tags: Vec<_> = counts.into_iter().collect();
    tags.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    tags.truncate(MAX_LANGUAGES);
    let mut tags: Vec<_> = tags.into_iter().map(|(tag, _)| tag).collect();
    tags.sort();
    tags
}

fn name_in<'a>(flow: &'a pb::Dataflow, tag: &str) -> Cow<'a, str> {
    let name = flow.names.iter().find(|(known, name)| known.eq_ignore_ascii_case(tag) && !name.is_empty());
    name.map_or(Cow::Borrowed(""), |(_, name)| guarded(printable(name.trim())))
}

fn row<'a>(
    flow: &'a pb::Dataflow,
    lang: &str,
    writers: &mut Writers<'_>,
) -> io::Result<[Cow<'a, str>; HEADER.len()]> {
    let [flags, evidence, quality] = writers.dataflow.fields(flow, ["flags", "evidence", "quality_flags"])?;
    let unknown = pb::Contents::default();
    let contents = flow.contents.as_ref().unwrap_or(&unknown);
    let [frequencies] = writers.contents.fields(contents, ["frequencies"])?;
    let [method, low, likely, high, bytes] = profile::size(flow.size.as_ref());
    let [due, overdue] = profile::freshness(flow.freshness.as_ref());
    let description = text::in_language(&flow.descriptions, lang).map_or("", |(_, text)| text);
    Ok([
        guarded(printable(&flow.id)),
        guarded(printable(&flow.agency_id)),
        guarded(printable(&flow.version)),
        guarded(text::name(flow, lang)),
        flow.category().as_str_name().into(),
        flow.score.to_string().into(),
        flow.confidence.to_string().into(),
        flags.into(),
        flow.last_update.map_or_else(String::new, |time| time.to_string()).into(),
        flow.observation_count.map_or_else(String::new, |count| count.to_string()).into(),
        guarded(flow.structure.as_ref().map_or_else(String::new, structure).into()),
        evidence.into(),
        match flow.decided_by() {
            pb::dataflow::DecidedBy::Unspecified => "".into(),
            decided_by => decided_by.as_str_name().into(),
        },
        guarded(reference(&flow.agency_id, &flow.id, &flow.version).into()),
        guarded(printable(description.trim())),
        method.into(),
        low.into(),
        likely.into(),
        high.into(),
        bytes.into(),
        frequencies.into(),
        guarded(printable(&contents.first_period).into_owned().into()),
        guarded(printable(&contents.last_period).into_owned().into()),
        due.into(),
        overdue.into(),
        quality.into(),
    ])
}

/// The text, escaped so that it cannot start a formula, also after spaces, which some spreadsheets skip. Full-width signs
/// count too: Excel treats them like the ASCII ones.
fn guarded(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.trim_start().chars().next() {
        Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') => format!("'{text}").into(),
        _ => text,
    }
}

fn structure(structure: &pb::StructureReference) -> String {
    reference(&structure.agency_id, &structure.id, &structure.version)
}

/// `AGENCY:ID(VERSION)`, as in SDMX URNs.
fn reference(agency_id: &str, id: &str, version: &str) -> String {
    printable(&format!("{agency_id}:{id}({version})")).into_owned()
}

#[cfg(test)]
mod tests;
