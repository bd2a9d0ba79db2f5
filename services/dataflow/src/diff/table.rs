//! A difference as a table.

use std::io::{self, Write};

use dataflow_proto::catalogue::v1 as pb;
use dataflow_render::Options;
use dataflow_render::grid::Grid;

/// Writes the numbers of changes, then the changes.
pub(super) fn write(diff: &pb::Diff, options: &Options, out: &mut Vec<u8>) -> io::Result<()> {
    // In the order of the kinds; the map has them in that of their names.
    let kinds = (1..).map_while(|kind| pb::change::Kind::try_from(kind).ok());
    let counts = kinds.filter_map(|kind| {
        let count = diff.counts.get(kind.as_str_name()).copied().unwrap_or_default();
        (count > 0).then(|| format!("{count} {}", words(kind)))
    });
    let mut counts: Vec<_> = counts.collect();
    if diff.other_changes > 0 {
        counts.push(format!("{} changed otherwise", diff.other_changes));
    }
    let counts = if counts.is_empty() { "no differences".to_owned() } else { counts.join(", ") };
    writeln!(out, "{counts}")?;
    if !diff.not_compared.is_empty() {
        let kinds: Vec<_> = diff.not_compared().map(words).collect();
        writeln!(out, "not compared, since one side does not state it: {}", kinds.join(", "))?;
    }
    if diff.suspicious {
        writeln!(out, "suspicious: the later snapshot was much smaller than the one before it")?;
    }
    if diff.changes.is_empty() {
        return Ok(());
    }
    let mut grid = Grid::new(["CHANGE", "DATAFLOW", "NAME", "DETAILS"]);
    for change in &diff.changes {
        let name = change.names.get("en").or_else(|| change.names.values().next());
        grid.push([
            words(change.kind()),
            format!("{}:{}({})", change.agency_id, change.id, change.version),
            name.cloned().unwrap_or_default(),
            details(change),
        ]);
    }
    grid.write(options, out)
}

/// The name of a kind in words.
fn words(kind: pb::change::Kind) -> String {
    kind.as_str_name().to_lowercase().replace('_', " ")
}

fn details(change: &pb::Change) -> String {
    if !change.successor.is_empty() {
        let reasons = change.reasons().map(|reason| reason.as_str_name().to_lowercase().replace('_', " "));
        return format!("by {} ({})", change.successor, reasons.collect::<Vec<_>>().join(", "));
    }
    let field =
        |field: &pb::change::Field| format!("{}: {:?} -> {:?}", field.field, field.before, field.after);
    change.fields.iter().map(field).collect::<Vec<_>>().join("; ")
}
