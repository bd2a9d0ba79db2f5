//! The difference of two snapshots relative to parsing one, and the bytes that a snapshot takes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use dataflow_catalogue::catalogues::now;
use dataflow_catalogue::diff::{self, Diff, Side};
use dataflow_catalogue::stored::Unreadable;
use dataflow_catalogue::stored::packed::{self, Packed};
use dataflow_catalogue::stored::packing::{PackedCatalogue, Packer};
use dataflow_rules::themes::{CompiledMapping, Mapping};
use dataflow_rules::{Compiled, built_in};
use dataflow_sdmx::{Dataflow, Limits, Resolved, StructureReader, Structures};
use dataflow_uploads::budget::Budget;

use super::parse::timed;
use crate::categories::categories;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Catalogues, as for `dataflow analyze`.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Number of rounds, of which the report gives the best.
    #[arg(long, default_value_t = 11, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
}

/// Of so many dataflows of the copy one is renamed, one removed, and one has another annotation.
const RENAMED: usize = 100;
const REMOVED: usize = 200;
const ANNOTATED: usize = 50;

/// Measures every file.
pub(super) fn measure(args: &Args) -> anyhow::Result<String> {
    let mut report = format!(
        "CPU time of one thread in ms, best of {} rounds. The difference is that of a catalogue and a changed copy, read \
         from the store's chunks,\nwithout categories; the ratio that of the difference and parsing (at most 0.50). The \
         categories are those of one snapshot, computed once\nfor each revision of the rules. `stored` is the size of a \
         snapshot (less than 4 MB for 8,000 dataflows)\n{:>8} {:>9} {:>8} {:>8} {:>6} {:>10} {:>9} {:>8}  catalogue\n",
        args.rounds, "MB", "dataflows", "parse", "diff", "ratio", "categories", "stored", "changes"
    );
    for file in &args.files {
        let document = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        report += &line(file, &document, args.rounds)?;
    }
    Ok(report)
}

/// Alternates parsing and comparing, so that a change of the machine's speed affects both.
fn line(file: &Path, document: &[u8], rounds: u16) -> anyhow::Result<String> {
    let dataflows = read(document, true)?;
    let (base, head) = (pack(&dataflows), pack(&changed(&dataflows)));
    let rules = Compiled::new(&built_in::rulesets()[0])?;
    let mapping = CompiledMapping::new(&Mapping::built_in());
    let [mut parse, mut compare, mut categorize] = [Duration::MAX; 3];
    let mut changes = 0;
    for _ in 0..rounds {
        let (took, read) = timed(|| read(document, false))?;
        anyhow::ensure!(read?.len() == dataflows.len(), "two readings differ");
        parse = parse.min(took);
        let (took, diff) = timed(|| difference(&base, &head))?;
        changes = diff?.changes.len();
        compare = compare.min(took);
        let content = unpack(&base)?;
        let (took, found) = timed(|| categories(&content, &rules, &mapping, &mut Budget::unlimited()))?;
        anyhow::ensure!(found.is_some_and(|found| found.len() == dataflows.len()), "no categories");
        categorize = categorize.min(took);
    }
    let milliseconds = |took: Duration| took.as_secs_f64() * 1e3;
    let stored = base.stored_bytes() as f64 / 1e6;
    Ok(format!(
        "{:8.2} {:9} {:8.1} {:8.1} {:6.2} {:10.1} {stored:6.2} MB {changes:8}  {}\n",
        document.len() as f64 / 1e6,
        dataflows.len(),
        milliseconds(parse),
        milliseconds(compare),
        compare.as_secs_f64() / parse.as_secs_f64(),
        milliseconds(categorize),
        file.file_name().unwrap_or_default().display(),
    ))
}

fn read(document: &[u8], annotations: bool) -> anyhow::Result<Vec<Dataflow>> {
    let limits = Limits { document_bytes: u64::MAX, ..Limits::default() };
    let reader = StructureReader::new(document, limits).without_legacy();
    let mut reader = if annotations { reader.with_annotations() } else { reader };
    let mut dataflows = Vec::new();
    while let Some(dataflow) = reader.next_dataflow()? {
        dataflows.push(*dataflow);
    }
    Ok(dataflows)
}

/// A copy with some changes.
fn changed(dataflows: &[Dataflow]) -> Vec<Dataflow> {
    let mut copy = Vec::new();
    for (index, dataflow) in dataflows.iter().enumerate().filter(|(index, _)| index % REMOVED != 1) {
        let mut dataflow = dataflow.clone();
        if index % RENAMED == 2
            && let Some((_, name)) = dataflow.names.first_mut()
        {
            name.push_str(" (new)");
        }
        if index % ANNOTATED == 3
            && let Some(annotation) = dataflow.annotations.first_mut()
        {
            annotation.title.push_str(" (new)");
        }
        copy.push(dataflow);
    }
    copy
}

fn pack(dataflows: &[Dataflow]) -> PackedCatalogue {
    let mut packer = Packer::default();
    dataflows.iter().for_each(|dataflow| _ = packer.add(dataflow));
    packer.finish(&Resolved::default(), &Structures::default())
}

fn unpack(packed: &PackedCatalogue) -> Result<Packed, Unreadable> {
    Packed::read(packed::decompress(&packed.chunks, packed.content_bytes)?)
}

fn difference(base: &PackedCatalogue, head: &PackedCatalogue) -> Result<Diff, Unreadable> {
    let (base, head) = (unpack(base)?, unpack(head)?);
    let side = |content| Side { content, categories: None };
    diff::compare(side(&base), side(&head), now())
}
