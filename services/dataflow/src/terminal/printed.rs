//! A writer that removes what controls a terminal.

use std::io::{self, Write};

use dataflow_render::text::controls_terminal;

/// The most bytes that are held back to see a character or an escape sequence as a whole.
const MAX_HELD: usize = 16;

/// The control sequences that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controls {
    /// None.
    None,
    /// Those that set color and weight, as tables have them.
    Colors,
}

/// Writes text, in which U+FFFD takes the place of control characters other than line breaks and tabs.
pub(super) struct Printed<W: Write> {
    inner: W,
    /// None writes everything as it is.
    allowed: Option<Controls>,
    /// The beginning of a character or an escape sequence.
    held: Vec<u8>,
}

// === impl Printed ===

impl<W: Write> Printed<W> {
    pub(super) fn new(inner: W, allowed: Option<Controls>) -> Self {
        Self { inner, allowed, held: Vec::new() }
    }

    /// Writes the held bytes, as far as they are complete, or all of them at the end.
    fn write_held(&mut self, allowed: Controls, is_end: bool) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        let mut shown = String::with_capacity(held.len());
        let mut length = 0;
        for chunk in held.utf8_chunks() {
            let is_last = length + chunk.valid().len() + chunk.invalid().len() == held.len();
            let may_continue = is_last && !is_end;
            let filtered =
                filter(chunk.valid(), allowed, may_continue && chunk.invalid().is_empty(), &mut shown);
            length += filtered;
            if filtered < chunk.valid().len() {
                break;
            }
            if chunk.invalid().is_empty() {
                continue;
            }
            let is_begun =
                std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
            if may_continue && is_begun {
                break;
            }
            shown.push(char::REPLACEMENT_CHARACTER);
            length += chunk.invalid().len();
        }
        self.held = held[length..].to_vec();
        self.inner.write_all(shown.as_bytes())
    }
}

impl<W: Write> Write for Printed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(allowed) = self.allowed else { return self.inner.write(bytes) };
        self.held.extend_from_slice(bytes);
        self.write_held(allowed, false)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Drop for Printed<W> {
    fn drop(&mut self) {
        if let Some(allowed) = self.allowed {
            // An error of a stream that ends here has no reader.
            let _ = self.write_held(allowed, true);
        }
    }
}

/// Appends to `shown` what is shown of a text, and returns how many bytes of it that are: fewer than all if it ends in
/// an escape sequence that may continue.
fn filter(text: &str, allowed: Controls, may_continue: bool, shown: &mut String) -> usize {
    let mut rest = text;
    while let Some(index) = rest.find(|each| controls_terminal(each) && !matches!(each, '\n' | '\t')) {
        shown.push_str(&rest[..index]);
        rest = &rest[index..];
        let color = if allowed == Controls::Colors { color(rest) } else { Color::Other };
        let length = match color {
            Color::Whole(length) => {
                shown.push_str(&rest[..length]);
                length
            }
            Color::Begun if may_continue && rest.len() <= MAX_HELD => return text.len() - rest.len(),
            Color::Begun | Color::Other => {
                shown.push(char::REPLACEMENT_CHARACTER);
                rest.chars().next().map_or(0, char::len_utf8)
            }
        };
        rest = &rest[length..];
    }
    shown.push_str(rest);
    text.len()
}

/// Whether a text begins with a sequence that sets color or weight: `ESC [ 1 ; 3 2 m`.
enum Color {
    /// Of this length.
    Whole(usize),
    /// It ends within the sequence.
    Begun,
    Other,
}

fn color(text: &str) -> Color {
    let Some(after) = text.strip_prefix('\x1b') else { return Color::Other };
    let Some(parameters) = after.strip_prefix('[') else {
        return if after.is_empty() { Color::Begun } else { Color::Other };
    };
    let last = parameters.trim_start_matches(|each: char| each.is_ascii_digit() || each == ';');
    match last.chars().next() {
        Some('m') => Color::Whole(text.len() - last.len() + 1),
        Some(_) => Color::Other,
        None => Color::Begun,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written of these bytes, in pieces of this size.
    fn written(bytes: &[u8], allowed: Option<Controls>, size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut printed = Printed::new(&mut out, allowed);
        bytes.chunks(size).for_each(|piece| printed.write_all(piece).unwrap());
        drop(printed);
        out
    }

    #[test]
    fn control_characters_are_replaced_however_they_are_split() {
        let cases: [(&[u8], &str, &str); 9] = [
            (b"plain\n\ttext", "plain\n\ttext", "plain\n\ttext"),
            ("\u{e8} \u{65e5}\u{1f600}".as_bytes(), "\u{e8} \u{65e5}\u{1f600}", "\u{e8} \u{65e5}\u{1f600}"),
            (b"\x1b[31mred\x1b[0m", "\u{fffd}[31mred\u{fffd}[0m", "\x1b[31mred\x1b[0m"),
            (b"\x1b[2J", "\u{fffd}[2J", "\u{fffd}[2J"),
            (b"\x1b]0;title\x07", "\u{fffd}]0;title\u{fffd}", "\u{fffd}]0;title\u{fffd}"),
            (b"\x1b", "\u{fffd}", "\u{fffd}"),
            (b"\x1b[1;", "\u{fffd}[1;", "\u{fffd}[1;"),
            (
                "a\u{9b}0m\u{202e}b\r".as_bytes(),
                "a\u{fffd}0m\u{fffd}b\u{fffd}",
                "a\u{fffd}0m\u{fffd}b\u{fffd}",
            ),
            (b"\xff\xe6\x97", "\u{fffd}\u{fffd}", "\u{fffd}\u{fffd}"),
        ];
        for (bytes, plain, colored) in cases {
            for size in 1..=8 {
                let check = |allowed, expected: &str| {
                    let found = String::from_utf8(written(bytes, Some(allowed), size)).unwrap();
                    assert_eq!(found, expected, "{bytes:?} in pieces of {size}, {allowed:?}");
                };
                check(Controls::None, plain);
                check(Controls::Colors, colored);
                assert_eq!(written(bytes, None, size), bytes, "elsewhere than on a terminal");
            }
        }
    }

    #[test]
    fn an_endless_sequence_is_not_held_back() {
        let endless = [&b"\x1b["[..], &[b'1'; 100]].concat();
        let mut out = Vec::new();
        let mut printed = Printed::new(&mut out, Some(Controls::Colors));
        printed.write_all(&endless).unwrap();
        assert!(printed.held.is_empty());
    }
}
