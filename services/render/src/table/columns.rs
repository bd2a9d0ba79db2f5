//! Rows of dataflows in columns that fit the output.
//!
//! In a file or a pipe nothing is cut. On a terminal names are shortened before reasons, then columns are dropped. An
//! identifier is always complete: one that is too wide for its column has a line of its own.

use std::borrow::Cow;

use console::{Alignment, measure_text_width, pad_str};
use dataflow_proto::analysis::v1 as pb;

use super::fit::{cut, isolated};
use super::identity::Identity;
use crate::profile;
use crate::text::{self, printable};

/// The columns, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Id,
    Agency,
    Version,
    Name,
    Observations,
    Updated,
    Score,
    Confidence,
    By,
    Why,
}

const COLUMNS: [Column; 10] = [
    Column::Id,
    Column::Agency,
    Column::Version,
    Column::Name,
    Column::Observations,
    Column::Updated,
    Column::Score,
    Column::Confidence,
    Column::By,
    Column::Why,
];

/// A cell whose value is not known.
const UNKNOWN: Cow<'static, str> = Cow::Borrowed("-");

/// The cells of one dataflow, by column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row<'a>([Cow<'a, str>; COLUMNS.len()]);

// === impl Row ===

impl<'a> Row<'a> {
    /// The column headings.
    pub(super) const HEADER: Row<'static> = Row([
        Cow::Borrowed("ID"),
        Cow::Borrowed("AGENCY"),
        Cow::Borrowed("VERSION"),
        Cow::Borrowed("NAME"),
        Cow::Borrowed("OBS"),
        Cow::Borrowed("UPDATED"),
        Cow::Borrowed("SCORE"),
        Cow::Borrowed("CONF"),
        Cow::Borrowed("BY"),
        Cow::Borrowed("WHY"),
    ]);

    /// The dataflow, with its name in the language and the strongest evidence for what decided.
    pub(super) fn new(flow: &'a pb::Dataflow, lang: &str) -> Self {
        Self([
            printable(&flow.id),
            printable(&flow.agency_id),
            printable(&flow.version),
            one_line(text::name(flow, lang)),
            profile::observations(flow).map_or(UNKNOWN, Cow::Owned),
            profile::updated(flow).map_or(UNKNOWN, Cow::Owned),
            flow.score.to_string().into(),
            format!("{:.2}", flow.confidence).into(),
            text::decided_by(flow).into(),
            one_line(text::reason(flow, lang)),
        ])
    }

    fn cell(&self, column: Column) -> &str {
        &self.0[column as usize]
    }
}

/// The text with single spaces: two are the gap between columns.
fn one_line(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains("  ") { text.split_whitespace().collect::<Vec<_>>().join(" ").into() } else { text }
}

/// The spaces before a row, and between two columns.
const INDENT: usize = 2;
const GAP: usize = 2;

/// The width that names are padded to in a pipe. A longer name shifts the rest of its row, instead of widening all
/// others.
const ALIGNED_NAME: usize = 60;
/// The most columns of a terminal that are aligned to an agency or a version.
const LONGEST_LABEL: usize = 16;

/// What a terminal gets: the first of these for which there is room.
const NARROWINGS: [Narrowing; 8] = [
    Narrowing { dropped: 0, name: 40, why: 40 },
    Narrowing { dropped: 1, name: 40, why: 40 },
    Narrowing { dropped: 2, name: 24, why: 40 },
    Narrowing { dropped: 3, name: 24, why: 40 },
    Narrowing { dropped: 4, name: 24, why: 40 },
    Narrowing { dropped: 4, name: 16, why: 20 },
    Narrowing { dropped: 5, name: 12, why: 0 },
    Narrowing { dropped: 6, name: 8, why: 0 },
];

/// The columns that are dropped where there is no room, in this order.
const DROPPED: [Column; 6] =
    [Column::Updated, Column::Observations, Column::Score, Column::By, Column::Why, Column::Confidence];

/// How many columns are dropped, and the fewest columns of the terminal for names, and for nine of ten reasons, that need
/// more.
struct Narrowing {
    dropped: usize,
    name: usize,
    why: usize,
}

/// The columns that are shown, with their widths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    columns: Vec<(Column, usize)>,
    /// Whether cells are cut to their widths.
    is_narrow: bool,
}

// === impl Layout ===

impl Layout {
    /// The layout for the rows, in `width` columns of a terminal, or in as many as it takes.
    pub(super) fn fit<'a>(
        rows: impl Iterator<Item = &'a Row<'a>>,
        identity: Identity,
        width: Option<usize>,
    ) -> Self {
        // A longer id has a line of its own.
        let longest_id = width.map_or(usize::MAX, |width| width * 2 / 5);
        let mut needed = COLUMNS.map(|column| measure_text_width(Row::HEADER.cell(column)));
        let (mut reasons, mut is_known) = (Vec::new(), [false; COLUMNS.len()]);
        for row in rows {
            reasons.push(measure_text_width(row.cell(Column::Why)));
            for column in COLUMNS {
                let cell = measure_text_width(row.cell(column));
                is_known[column as usize] |= row.cell(column) != UNKNOWN;
                if column != Column::Id || cell <= longest_id {
                    needed[column as usize] = cell.max(needed[column as usize]);
                }
            }
        }
        let needed = |column: Column| needed[column as usize];
        let is_used = |column: &Column| match column {
            Column::Agency => identity.by_agency,
            Column::Version => identity.by_version,
            // Most catalogues tell neither.
            Column::Observations | Column::Updated => is_known[*column as usize],
            _ => true,
        };
        let used: Vec<_> = COLUMNS.into_iter().filter(is_used).collect();
        let Some(width) = width else {
            let aligned = |column| match column {
                Column::Name => needed(column).min(ALIGNED_NAME),
                column => needed(column),
            };
            let columns = used.into_iter().map(|column| (column, aligned(column))).collect();
            return Self { columns, is_narrow: false };
        };
        let wanted = |column| match column {
            Column::Agency | Column::Version => needed(column).min(LONGEST_LABEL),
            column => needed(column),
        };
        // A few long reasons do not take the room of all names.
        reasons.sort_unstable();
        let usual_why = reasons.get(reasons.len() * 9 / 10).copied().unwrap_or(0);
        let narrowed =
            NARROWINGS.iter().find_map(|narrowing| narrowing.layout(&used, &wanted, usual_why, width));
        let columns = narrowed.unwrap_or_else(|| {
            let id = wanted(Column::Id);
            vec![(Column::Id, id), (Column::Name, width.saturating_sub(INDENT + id + GAP))]
        });
        Self { columns, is_narrow: true }
    }

    /// A row without its last line end.
    pub(super) fn row(&self, row: &Row<'_>) -> String {
        let mut text = String::new();
        for &(column, width) in &self.columns {
            let cell = row.cell(column);
            match column {
                Column::Id => {
                    text += &" ".repeat(INDENT);
                    text += &pad_str(cell, width, Alignment::Left, None);
                    if self.is_narrow && measure_text_width(cell) > width {
                        text.push('\n');
                        text += &" ".repeat(INDENT + width);
                    }
                }
                _ => {
                    let cell = if self.is_narrow { isolated(cut(cell, width)) } else { cell.into() };
                    let alignment = match column {
                        Column::Observations | Column::Score | Column::Confidence => Alignment::Right,
                        _ => Alignment::Left,
                    };
                    text += &" ".repeat(GAP);
                    text += &pad_str(&cell, width, alignment, None);
                }
            }
        }
        text.truncate(text.trim_end().len());
        text
    }
}

// === impl Narrowing ===

impl Narrowing {
    /// The widths of the columns, if there is room for them. Names are shortened before reasons.
    fn layout(
        &self,
        used: &[Column],
        wanted: &impl Fn(Column) -> usize,
        usual_why: usize,
        width: usize,
    ) -> Option<Vec<(Column, usize)>> {
        let dropped = &DROPPED[..self.dropped];
        let shown = || used.iter().copied().filter(|column| !dropped.contains(column));
        let fixed = shown().map(|column| match column {
            Column::Id => INDENT + wanted(column),
            Column::Name | Column::Why => GAP,
            column => GAP + wanted(column),
        });
        let free = width.checked_sub(fixed.sum())?;
        let why = if dropped.contains(&Column::Why) { 0 } else { wanted(Column::Why) };
        let least_name = wanted(Column::Name).min(self.name);
        let why = why.min(free.checked_sub(least_name)?);
        if why < usual_why.min(self.why) {
            return None;
        }
        let name = wanted(Column::Name).min(free - why);
        let columns = shown().map(|column| match column {
            Column::Name => (column, name),
            Column::Why => (column, why),
            column => (column, wanted(column)),
        });
        Some(columns.collect())
    }
}
