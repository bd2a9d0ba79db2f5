//! Rows of dataflows in columns that fit a width, in terminal columns: `人` takes two, a combining accent none.

use std::borrow::Cow;

use console::{Alignment, measure_text_width, pad_str, truncate_str};
use dataflow_proto::analysis::v1 as pb;

use crate::text::{self, printable};

/// The cells of one dataflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row<'a> {
    id: Cow<'a, str>,
    name: Cow<'a, str>,
    score: Cow<'a, str>,
    confidence: Cow<'a, str>,
    by: &'static str,
    why: Cow<'a, str>,
}

impl<'a> Row<'a> {
    /// The column headings.
    pub(super) const HEADER: Row<'static> = Row {
        id: Cow::Borrowed("ID"),
        name: Cow::Borrowed("NAME"),
        score: Cow::Borrowed("SCORE"),
        confidence: Cow::Borrowed("CONF"),
        by: "BY",
        why: Cow::Borrowed("WHY"),
    };

    /// The dataflow, with its name in the language and the evidence that decided.
    pub(super) fn new(flow: &'a pb::Dataflow, lang: &str) -> Self {
        Self {
            id: printable(&flow.id),
            name: text::name(flow, lang),
            score: flow.score.to_string().into(),
            confidence: format!("{:.2}", flow.confidence).into(),
            by: text::decided_by(flow),
            why: text::decisive(flow).map_or(Cow::Borrowed("-"), |evidence| text::why(evidence, lang).into()),
        }
    }
}

/// The width of each column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    id: usize,
    name: usize,
    score: usize,
    by: usize,
    why: usize,
}

/// The indent, five gaps of two columns, and the confidence.
const FIXED: usize = 2 + 5 * 2 + 4;

impl Columns {
    /// The widths that fit the rows, reduced to `width` (at least 50) in total: at most two fifths for identifiers,
    /// three tenths for evidence, the rest for names; unused width of one column is available to the others.
    pub(super) fn fit<'a>(rows: impl Iterator<Item = &'a Row<'a>>, width: usize) -> Self {
        let mut preferred = Self { id: 0, name: 0, score: 0, by: 0, why: 0 };
        for row in [&Row::HEADER].into_iter().chain(rows) {
            preferred.id = preferred.id.max(measure_text_width(&row.id));
            preferred.name = preferred.name.max(measure_text_width(&row.name));
            preferred.score = preferred.score.max(measure_text_width(&row.score));
            preferred.by = preferred.by.max(row.by.len());
            preferred.why = preferred.why.max(measure_text_width(&row.why));
        }
        let available = width.saturating_sub(FIXED + preferred.score + preferred.by);
        let (id, why) = (preferred.id.min(available * 2 / 5), preferred.why.min(available * 3 / 10));
        let name = preferred.name.min(available - id - why);
        let id = preferred.id.min(available - name - why);
        let why = preferred.why.min(available - id - name);
        Self { id, name, why, ..preferred }
    }

    /// One line without its line end. Truncated cells end in `…`.
    pub(super) fn line(&self, row: &Row<'_>) -> String {
        let left = |text, width| pad_str(text, width, Alignment::Left, Some("…"));
        let right = |text, width| pad_str(text, width, Alignment::Right, Some("…"));
        format!(
            "  {}  {}  {}  {}  {:by$}  {}",
            left(&row.id, self.id),
            left(&row.name, self.name),
            right(&row.score, self.score),
            right(&row.confidence, 4),
            row.by,
            truncate_str(&row.why, self.why, "…"),
            by = self.by,
        )
    }
}
