//! The diagnostics of the document: counts by reason, and the first ones with their positions.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::Style;
use console::truncate_str;
use dataflow_proto::analysis::v1 as pb;

use super::Palette;
use crate::text::printable;

/// Number of diagnostics that are listed with their positions.
const LISTED: usize = 10;

/// Writes the counts by reason, most frequent first, then the first diagnostics, in `width` columns (at least 50);
/// nothing if there are none.
pub(super) fn write(
    analysis: &pb::Analysis,
    width: usize,
    palette: Palette,
    out: &mut impl Write,
) -> io::Result<()> {
    let Palette { title, warning, dimmed, .. } = palette;
    let diagnostics = &analysis.diagnostics;
    let omitted = analysis.diagnostics_omitted;
    if diagnostics.is_empty() && omitted == 0 {
        return Ok(());
    }
    write!(out, "\n{title}Diagnostics: {}{title:#}", diagnostics.len() as i64 + i64::from(omitted))?;
    match omitted {
        0 => writeln!(out)?,
        omitted => writeln!(out, ", {omitted} of them omitted by the service")?,
    }
    for (reason, count) in by_reason(diagnostics) {
        writeln!(out, "{count:>6}  {}", truncate_str(&printable(reason), width - 8, "…"))?;
    }
    let listed = &diagnostics[..diagnostics.len().min(LISTED)];
    let digits = |number: i64| number.to_string().len();
    let offset_width = listed.iter().map(|diagnostic| digits(diagnostic.offset)).max().unwrap_or(0);
    let line_width = listed.iter().map(|diagnostic| digits(diagnostic.line.into())).max().unwrap_or(0);
    for diagnostic in listed {
        let style = match diagnostic.severity() {
            pb::diagnostic::Severity::Warning => warning,
            _ => Style::new(),
        };
        let (offset, line) = (diagnostic.offset, diagnostic.line);
        let document = match diagnostic.document {
            0 => String::new(),
            document => format!("further document {document}, "),
        };
        let place = format!("  {document}byte {offset:>offset_width$}, line {line:>line_width$}: ");
        let fact = printable(&diagnostic.message);
        let fact = truncate_str(&fact, width.saturating_sub(place.len()), "…");
        writeln!(out, "{dimmed}{place}{dimmed:#}{style}{fact}{style:#}")?;
    }
    match diagnostics.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more, listed by the format json"),
    }
}

fn by_reason(diagnostics: &[pb::Diagnostic]) -> Vec<(&str, usize)> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for diagnostic in diagnostics {
        *counts.entry(&diagnostic.reason).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(_, count)| Reverse(count));
    counts
}
