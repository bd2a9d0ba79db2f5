//! Lines of text on a page: wrapped to a terminal's width, and styled.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::fit::wrap;

/// The styles of all parts; a plain style writes nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    pub(super) title: Style,
    pub(super) bar: Style,
    pub(super) warning: Style,
    pub(super) dimmed: Style,
}

impl Palette {
    pub(super) const PLAIN: Self =
        Self { title: Style::new(), bar: Style::new(), warning: Style::new(), dimmed: Style::new() };
    pub(super) const ANSI: Self = Self {
        title: Style::new().bold(),
        bar: AnsiColor::Green.on_default(),
        warning: AnsiColor::Magenta.on_default(),
        dimmed: Style::new().dimmed(),
    };
}

/// What is written on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    /// The columns of the terminal; `None` if lines may have any length.
    pub(super) width: Option<usize>,
    pub(super) palette: Palette,
}

// === impl Page ===

impl Page {
    /// Writes a sentence on as many lines as it takes.
    pub(super) fn line(&self, style: Style, text: &str, out: &mut impl Write) -> io::Result<()> {
        self.lead((Style::new(), ""), (style, text), 0, out)
    }

    /// Writes a sentence whose beginning has a style of its own. All lines but the first are indented.
    pub(super) fn lead(
        &self,
        (lead_style, lead): (Style, &str),
        (style, text): (Style, &str),
        indent: usize,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let whole = format!("{lead}{text}");
        let lines = self.width.map_or_else(|| vec![whole.clone()], |width| wrap(&whole, width, indent));
        for (number, line) in lines.iter().enumerate() {
            let (lead, rest) = match line.strip_prefix(lead) {
                Some(rest) if number == 0 => (lead, rest),
                _ => ("", line.as_str()),
            };
            writeln!(out, "{}{}", styled(lead_style, lead), styled(style, rest))?;
        }
        Ok(())
    }
}

/// The text in a style; an empty text has none.
fn styled(style: Style, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{style}{text}{style:#}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_wrapped_and_keep_their_styles() {
        let check = |width, indent, expected: &str| {
            let page = Page { width, palette: Palette::ANSI };
            let (title, dimmed) = (page.palette.title, page.palette.dimmed);
            let mut out = Vec::new();
            page.lead((title, "IT1: 3 dataflows"), (dimmed, ", rule set default"), indent, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap().replace('\u{1b}', "^"), expected);
        };
        let whole = "^[1mIT1: 3 dataflows^[0m^[2m, rule set default^[0m\n";
        check(None, 0, whole);
        check(Some(34), 2, whole);
        check(Some(33), 2, "^[1mIT1: 3 dataflows^[0m^[2m, rule set^[0m\n^[2m  default^[0m\n");
        // A beginning that does not fit on one line is styled like the rest.
        check(Some(12), 0, "^[2mIT1: 3^[0m\n^[2mdataflows,^[0m\n^[2mrule set^[0m\n^[2mdefault^[0m\n");
    }
}
