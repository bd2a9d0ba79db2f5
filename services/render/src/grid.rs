//! Rows of any kind in plain columns, without frames, so that `grep` and `awk` work on them. Each column is as wide as
//! its content, in terminal columns. Only the last one is truncated, and only on a terminal.

use std::io::{self, Write};

use anstyle::Style;
use console::{Alignment, measure_text_width, pad_str, truncate_str};

use super::Options;
use super::text::printable;

/// A table with these column names; a name that starts with `>` is a right-aligned column.
pub struct Grid<const N: usize> {
    names: [&'static str; N],
    rows: Vec<[String; N]>,
}

// === impl Grid ===

impl<const N: usize> Grid<N> {
    /// A table without rows.
    pub fn new(names: [&'static str; N]) -> Self {
        Self { names, rows: Vec::new() }
    }

    /// Adds a row; an empty text is shown as `-`.
    pub fn push(&mut self, row: [String; N]) {
        let shown =
            |text: String| if text.is_empty() { "-".to_owned() } else { printable(&text).into_owned() };
        self.rows.push(row.map(shown));
    }

    /// Writes the header and the rows; nothing if there are no rows.
    pub fn write(&self, options: &Options, out: &mut impl Write) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let names = self.names.map(|name| name.trim_start_matches('>').to_owned());
        let mut widths = names.each_ref().map(|name| measure_text_width(name));
        for row in &self.rows {
            for (width, text) in widths.iter_mut().zip(row) {
                *width = measure_text_width(text).max(*width);
            }
        }
        let dimmed = if options.color { Style::new().dimmed() } else { Style::new() };
        writeln!(out, "{dimmed}{}{dimmed:#}", self.line(&names, &widths, options))?;
        self.rows.iter().try_for_each(|row| writeln!(out, "{}", self.line(row, &widths, options)))
    }

    /// One line without its line end.
    fn line(&self, row: &[String; N], widths: &[usize; N], options: &Options) -> String {
        let mut line = String::new();
        for ((text, &width), name) in row.iter().zip(widths).zip(self.names) {
            let side = if name.starts_with('>') { Alignment::Right } else { Alignment::Left };
            line += &pad_str(text, width, side, None);
            line += "  ";
        }
        let line = line.trim_end();
        match options.terminal {
            Some(width) => truncate_str(line, width.into(), "…").into_owned(),
            None => line.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(rows: &[[&str; 3]], options: &Options) -> String {
        let mut grid = Grid::new(["RULE", ">POINTS", "KEYWORDS"]);
        rows.iter().for_each(|row| grid.push(row.map(str::to_owned)));
        let mut out = Vec::new();
        grid.write(options, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_as_wide_as_their_content() {
        let rows = [["人口", "5", "popolazione"], ["b", "1000", ""]];
        let expected = "RULE  POINTS  KEYWORDS\n人口       5  popolazione\nb       1000  -\n";
        assert_eq!(written(&rows, &Options::plain("en")), expected);
        assert_eq!(written(&[], &Options::plain("en")), "");
    }

    #[test]
    fn lines_fit_the_terminal_and_have_no_control_characters() {
        let options = Options { terminal: Some(20), ..Options::plain("en") };
        assert_eq!(
            written(&[["a", "5", "popolazione"]], &options),
            "RULE  POINTS  KEYWO…\na          5  popol…\n"
        );
        let hostile = written(&[["\u{1b}[2J", "5", "a\nb"]], &options);
        assert!(!hostile.contains('\u{1b}') && hostile.lines().count() == 2, "{hostile:?}");
    }
}
