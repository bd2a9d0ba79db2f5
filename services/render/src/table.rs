//! The analysis as a table for people: a headline, the share of each category, its best matches, and the diagnostics.
//!
//! Plain columns without frames, so that `grep` and `awk` work on piped output; a terminal gets colors and bars in
//! addition. Styles are bold, dimmed, and the two hues that are legible on dark and on light backgrounds.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::dataflow::DecidedBy;
use dataflow_proto::r#type::v1::Category;

use self::columns::{Columns, Row};
use super::Options;
use super::text::printable;

mod columns;
mod diagnostics;

/// Width of the table without a terminal, in columns.
const PLAIN_WIDTH: u16 = 100;
/// Minimum width: narrower rows are illegible, so the terminal may wrap.
const LEAST_WIDTH: u16 = 50;
/// Length of the bar of the most frequent category, in columns.
const BAR: usize = 32;

/// Writes the whole table.
pub(super) fn write(analysis: &pb::Analysis, options: &Options, out: &mut impl Write) -> io::Result<()> {
    let width = usize::from(options.terminal.unwrap_or(PLAIN_WIDTH).max(LEAST_WIDTH));
    let palette = if options.color { Palette::ANSI } else { Palette::PLAIN };
    let categories = by_category(&analysis.dataflows);

    headline(analysis, palette, out)?;
    shares(&categories, options, palette, out)?;
    coverage(analysis, palette, out)?;
    best_matches(&categories, options, width, palette, out)?;
    diagnostics::write(analysis, width, palette, out)
}

/// The styles of all parts; a plain style writes nothing.
#[derive(Debug, Clone, Copy)]
struct Palette {
    title: Style,
    bar: Style,
    warning: Style,
    dimmed: Style,
}

impl Palette {
    const PLAIN: Self =
        Self { title: Style::new(), bar: Style::new(), warning: Style::new(), dimmed: Style::new() };
    const ANSI: Self = Self {
        title: Style::new().bold(),
        bar: AnsiColor::Green.on_default(),
        warning: AnsiColor::Magenta.on_default(),
        dimmed: Style::new().dimmed(),
    };
}

/// The dataflows of each category in document order, with the categories in the order of the contract. All seven are
/// included; dataflows of a category that is unknown to this release are under `CATEGORY_UNSPECIFIED`.
type ByCategory<'a> = BTreeMap<Category, Vec<&'a pb::Dataflow>>;

fn by_category(dataflows: &[pb::Dataflow]) -> ByCategory<'_> {
    use Category::{Economy, Education, Health, Labour, Other, Population, Territory};

    let known = [Population, Economy, Labour, Territory, Education, Health, Other];
    let mut categories: ByCategory<'_> = known.map(|category| (category, Vec::new())).into();
    for flow in dataflows {
        categories.entry(flow.category()).or_default().push(flow);
    }
    categories
}

fn headline(analysis: &pb::Analysis, palette: Palette, out: &mut impl Write) -> io::Result<()> {
    let Palette { title, warning, dimmed, .. } = palette;
    let provider = if analysis.provider.is_empty() { "unnamed provider" } else { &analysis.provider };
    let noun = if analysis.total == 1 { "dataflow" } else { "dataflows" };
    write!(out, "{title}{}: {} {noun}{title:#}", printable(provider), analysis.total)?;
    match analysis.rules_revision {
        0 => write!(out, ", rule set {} as built in", printable(&analysis.ruleset))?,
        revision => write!(out, ", rule set {} at revision {revision}", printable(&analysis.ruleset))?,
    }
    if analysis.overlay_revision > 0 {
        write!(out, " with the tenant's changes at {}", analysis.overlay_revision)?;
    }
    writeln!(out, "{}", if analysis.cached { ", served from the cache" } else { "" })?;
    writeln!(out, "{dimmed}{}{dimmed:#}", printable(&analysis.analysis))?;
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
        writeln!(out, "{warning}degraded: {missing}{warning:#}")?;
    }
    Ok(())
}

fn shares(
    categories: &ByCategory<'_>,
    options: &Options,
    palette: Palette,
    out: &mut impl Write,
) -> io::Result<()> {
    let Palette { bar, dimmed, .. } = palette;
    let total: usize = categories.values().map(Vec::len).sum();
    let most = categories.values().map(Vec::len).max().unwrap_or(0);
    if total == 0 {
        return Ok(());
    }
    writeln!(out)?;
    for (category, flows) in categories {
        let count = flows.len();
        let share = 100.0 * count as f64 / total as f64;
        let style = if count == 0 { dimmed } else { Style::new() };
        write!(out, "{style}{:<11} {count:>6} {share:>5.1}%{style:#}", category.as_str_name())?;
        if options.terminal.is_some() && count > 0 {
            write!(out, "  {bar}{}{bar:#}", blocks(count, most))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// What decided the categories, and how many of them.
fn coverage(analysis: &pb::Analysis, palette: Palette, out: &mut impl Write) -> io::Result<()> {
    let counted = [DecidedBy::Theme, DecidedBy::Rules, DecidedBy::Family, DecidedBy::Nothing];
    let counted = counted.map(|by| by.as_str_name());
    let count = |by: &str| analysis.coverage.get(by).copied().unwrap_or_default();
    let total: i32 = counted.iter().map(|by| count(by)).sum();
    if total == 0 {
        return Ok(());
    }
    let shown = counted.iter().filter(|by| count(by) > 0).map(|by| {
        let share = 100.0 * f64::from(count(by)) / f64::from(total);
        format!("{} {} ({share:.1}%)", by.to_ascii_lowercase(), count(by))
    });
    let Palette { dimmed, .. } = palette;
    writeln!(out, "{dimmed}decided by {}{dimmed:#}", shown.collect::<Vec<_>>().join(", "))
}

/// A bar of `BAR` columns if `count` equals `most` (which is not 0), in steps of an eighth of a column.
fn blocks(count: usize, most: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (count * BAR * 8).div_ceil(most);
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

fn best_matches(
    categories: &ByCategory<'_>,
    options: &Options,
    width: usize,
    palette: Palette,
    out: &mut impl Write,
) -> io::Result<()> {
    let sections: Vec<(Category, usize, Vec<Row<'_>>)> = categories
        .iter()
        .filter(|(_, flows)| !flows.is_empty() && options.top > 0)
        .map(|(&category, flows)| (category, flows.len(), best(flows, options)))
        .collect();
    let columns = Columns::fit(sections.iter().flat_map(|(_, _, rows)| rows), width);
    let Palette { title, dimmed, .. } = palette;
    if !sections.is_empty() {
        writeln!(out, "\n{dimmed}{}{dimmed:#}", columns.line(&Row::HEADER))?;
    }
    for (category, count, rows) in sections {
        writeln!(
            out,
            "{title}{}{title:#} {dimmed}{} of {count}{dimmed:#}",
            category.as_str_name(),
            rows.len()
        )?;
        for row in rows {
            writeln!(out, "{}", columns.line(&row))?;
        }
    }
    Ok(())
}

/// The dataflows with the highest scores, equal ones in document order.
fn best<'a>(flows: &[&'a pb::Dataflow], options: &Options) -> Vec<Row<'a>> {
    let mut flows = flows.to_vec();
    flows.sort_by_key(|flow| std::cmp::Reverse(flow.score));
    flows.into_iter().take(options.top).map(|flow| Row::new(flow, &options.lang)).collect()
}

#[cfg(test)]
mod tests;
