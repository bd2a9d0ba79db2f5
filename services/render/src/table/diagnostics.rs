//! The diagnostics of the document: counts by reason, and the first ones with their positions.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::Style;
use dataflow_proto::analysis::v1 as pb;

use super::page::{Page, Palette};
use crate::text::printable;

/// Number of diagnostics that are listed with their positions.
const LISTED: usize = 10;

/// Writes the counts by reason, most frequent first, then the first diagnostics; nothing if there are none.
pub(super) fn write(analysis: &pb::Analysis, page: Page, out: &mut impl Write) -> io::Result<()> {
    let Palette { title, warning, dimmed, .. } = page.palette;
    let diagnostics = &analysis.diagnostics;
    let omitted = analysis.diagnostics_omitted;
    if diagnostics.is_empty() && omitted == 0 {
        return Ok(());
    }
    let total = format!("Diagnostics: {}", diagnostics.len() as i64 + i64::from(omitted));
    let note =
        if omitted == 0 { String::new() } else { format!(", {omitted} of them omitted by the service") };
    writeln!(out)?;
    page.lead((title, &total), (Style::new(), &note), 0, out)?;
    for (reason, count) in by_reason(diagnostics) {
        let text = format!("{count:>6}  {}", printable(reason));
        page.lead((Style::new(), ""), (Style::new(), &text), 8, out)?;
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
        page.lead((dimmed, &place), (style, &printable(&diagnostic.message)), 4, out)?;
    }
    match diagnostics.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => page.line(Style::new(), &format!("  and {more} more, listed by --format json"), out),
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
