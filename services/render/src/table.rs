//! The analysis as a table for people: a headline, the share of each category, its best matches, and the diagnostics.
//!
//! Plain columns without frames, so that `grep` and `awk` work on piped output, in which nothing is cut; a terminal gets
//! colors and bars in addition, and no line is wider than it. Styles are bold, dimmed, and the two hues that are legible
//! on dark and on light backgrounds.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::Style;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::dataflow::DecidedBy;

use self::columns::{Layout, Row};
use self::identity::Identity;
use self::page::{Page, Palette};
use super::text::printable;
use super::{Heading, Options};

mod columns;
mod diagnostics;
mod fit;
mod identity;
mod page;

/// The fewest columns that lines are fitted to: a narrower terminal wraps them.
const LEAST_WIDTH: u16 = 20;
/// The bar of the most frequent category, in columns, where the terminal has room for it.
const LONGEST_BAR: usize = 32;
/// A shorter one shows nothing.
const SHORTEST_BAR: usize = 4;

/// Writes the whole table.
pub(super) fn write(analysis: &pb::Analysis, options: &Options, out: &mut impl Write) -> io::Result<()> {
    let page = Page {
        width: options.terminal.map(|width| width.max(LEAST_WIDTH).into()),
        palette: if options.color { Palette::ANSI } else { Palette::PLAIN },
    };
    let headings = by_heading(&analysis.dataflows);

    headline(analysis, page, out)?;
    shares(&headings, page, out)?;
    coverage(analysis, page, out)?;
    best_matches(&analysis.dataflows, &headings, options, page, out)?;
    diagnostics::write(analysis, page, out)
}

/// The dataflows under each heading in document order. All eight are included.
type ByHeading<'a> = BTreeMap<Heading, Vec<&'a pb::Dataflow>>;

fn by_heading(dataflows: &[pb::Dataflow]) -> ByHeading<'_> {
    let mut headings: ByHeading<'_> = Heading::ALL.map(|heading| (heading, Vec::new())).into();
    for flow in dataflows {
        headings.entry(Heading::of(flow)).or_default().push(flow);
    }
    headings
}

fn headline(analysis: &pb::Analysis, page: Page, out: &mut impl Write) -> io::Result<()> {
    let Palette { title, warning, dimmed, .. } = page.palette;
    let provider = if analysis.provider.is_empty() { "unnamed provider" } else { &analysis.provider };
    let noun = if analysis.total == 1 { "dataflow" } else { "dataflows" };
    let found = format!("{}: {} {noun}", printable(provider), analysis.total);
    let mut rules = format!(", rule set {}", printable(&analysis.ruleset));
    match analysis.rules_revision {
        0 => rules += " as built in",
        revision => rules += &format!(" at revision {revision}"),
    }
    if analysis.overlay_revision > 0 {
        rules += &format!(" with the tenant's changes at {}", analysis.overlay_revision);
    }
    if analysis.cached {
        rules += ", served from the cache";
    }
    page.lead((title, &found), (Style::new(), &rules), 0, out)?;
    if !analysis.analysis.is_empty() {
        let name = printable(&analysis.analysis);
        page.line(dimmed, &format!("analysis {name} (same documents, rules and limits: same name)"), out)?;
    }
    for degradation in analysis.degraded() {
        let missing = match degradation {
            pb::analysis::Degradation::CacheUnavailable => "cache unavailable: this result is not stored",
            pb::analysis::Degradation::BuiltInRules => "config service unavailable: built-in rules are used",
            pb::analysis::Degradation::SharedRules => {
                "the tenant's own rules unavailable: shared rules are used"
            }
            pb::analysis::Degradation::BuiltInThemes => {
                "config service unavailable: the built-in mapping of themes is used"
            }
            pb::analysis::Degradation::SharedThemes => {
                "the tenant's own themes unavailable: the shared ones are used"
            }
            pb::analysis::Degradation::Unspecified => continue,
        };
        page.line(warning, &format!("degraded: {missing}"), out)?;
    }
    Ok(())
}

fn shares(headings: &ByHeading<'_>, page: Page, out: &mut impl Write) -> io::Result<()> {
    let Palette { bar, dimmed, .. } = page.palette;
    let total: usize = headings.values().map(Vec::len).sum();
    let most = headings.values().map(Vec::len).max().unwrap_or(0);
    if total == 0 {
        return Ok(());
    }
    writeln!(out)?;
    for (heading, flows) in headings {
        let count = flows.len();
        let share = 100.0 * count as f64 / total as f64;
        let figures = format!("{:<11} {count:>6} {share:>5.1}%", heading.name());
        let room = page.width.map(|width| width.saturating_sub(figures.len() + 2).min(LONGEST_BAR));
        match room {
            _ if count == 0 => page.line(dimmed, &figures, out)?,
            Some(longest) if longest >= SHORTEST_BAR => {
                writeln!(out, "{figures}  {bar}{}{bar:#}", blocks(count, most, longest))?;
            }
            _ => page.line(Style::new(), &figures, out)?,
        }
    }
    Ok(())
}

/// What decided the categories, and how many of them.
fn coverage(analysis: &pb::Analysis, page: Page, out: &mut impl Write) -> io::Result<()> {
    let counted = [DecidedBy::Theme, DecidedBy::Rules, DecidedBy::Family, DecidedBy::Nothing];
    let counted = counted.map(|by| by.as_str_name());
    let count = |by: &str| analysis.coverage.get(by).copied().unwrap_or_default();
    let total: i64 = counted.iter().map(|by| i64::from(count(by))).sum();
    if total == 0 {
        return Ok(());
    }
    let shown = counted.iter().filter(|by| count(by) > 0).map(|by| {
        let share = 100.0 * f64::from(count(by)) / total as f64;
        format!("{} {} ({share:.1}%)", by.to_ascii_lowercase(), count(by))
    });
    let text = format!("decided by {}", shown.collect::<Vec<_>>().join(", "));
    page.line(page.palette.dimmed, &text, out)
}

/// A bar of `longest` columns if `count` equals `most` (which is not 0), in steps of an eighth of a column.
fn blocks(count: usize, most: usize, longest: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (count * longest * 8).div_ceil(most);
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

fn best_matches(
    dataflows: &[pb::Dataflow],
    headings: &ByHeading<'_>,
    options: &Options,
    page: Page,
    out: &mut impl Write,
) -> io::Result<()> {
    let is_chosen = |heading| options.headings.is_empty() || options.headings.contains(heading);
    let chosen = headings.iter().filter(|(heading, flows)| is_chosen(heading) && !flows.is_empty());
    let sections: Vec<_> =
        chosen.map(|(heading, flows)| (heading, flows.len(), best(flows, options))).collect();
    let listed: usize = sections.iter().map(|(_, _, flows)| flows.len()).sum();
    let Palette { title, dimmed, .. } = page.palette;
    if listed > 0 {
        let shown = || sections.iter().flat_map(|(_, _, flows)| flows.iter().copied());
        let rows: Vec<_> = shown().map(|flow| Row::new(flow, &options.lang)).collect();
        let layout = Layout::fit(rows.iter(), Identity::of(dataflows, shown()), page.width);
        writeln!(out, "\n{dimmed}{}{dimmed:#}", layout.row(&Row::HEADER))?;
        let mut rows = rows.iter();
        for (heading, count, flows) in &sections {
            let number = format!(" {} of {count}", flows.len());
            page.lead((title, heading.name()), (dimmed, &number), 0, out)?;
            for row in rows.by_ref().take(flows.len()) {
                writeln!(out, "{}", layout.row(row))?;
            }
        }
    }
    if sections.iter().any(|(_, count, flows)| flows.len() < *count) {
        let more =
            "more: --top N lists N under each heading, --all every dataflow, --category NAME one heading";
        page.line(dimmed, more, out)?;
    }
    Ok(())
}

/// The dataflows with the highest scores, equal ones in document order.
fn best<'a>(flows: &[&'a pb::Dataflow], options: &Options) -> Vec<&'a pb::Dataflow> {
    let mut flows = flows.to_vec();
    flows.sort_by_key(|flow| std::cmp::Reverse(flow.score));
    flows.truncate(options.top.unwrap_or(usize::MAX));
    flows
}

#[cfg(test)]
mod tests;
