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
        let mut rest = &held[..];
        while let Some(text) = next(rest, allowed, is_end || rest.len() > MAX_HELD) {
            shown.push_str(text.shown);
            rest = &rest[text.length..];
        }
        self.held = rest.to_vec();
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

/// What a piece of the input is shown as.
struct Piece<'a> {
    shown: &'a str,
    length: usize,
}

/// The next piece of `bytes`; none if there is none, or if it may be incomplete and `is_end` is false.
fn next(bytes: &[u8], allowed: Controls, is_end: bool) -> Option<Piece<'_>> {
    let replaced = |length| Some(Piece { shown: "\u{fffd}", length });
    if *bytes.first()? == b'\x1b' && allowed == Controls::Colors {
        let parameters = bytes.get(2..).unwrap_or_default().iter();
        let end = 2 + parameters.take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
        return match (bytes.get(1), bytes.get(end)) {
            (Some(b'['), Some(b'm')) => {
                let shown = std::str::from_utf8(&bytes[..=end]).ok()?;
                Some(Piece { shown, length: end + 1 })
            }
            (Some(b'[') | None, None) if !is_end => None,
            _ => replaced(1),
        };
    }
    // As many harmless characters as there are.
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?,
        Err(error) => {
            return match error.error_len() {
                Some(length) => replaced(length),
                None if is_end => replaced(bytes.len()),
                None => None,
            };
        }
    };
    let is_control = |character| controls_terminal(character) && !matches!(character, '\n' | '\t');
    match valid.char_indices().find(|(_, character)| is_control(*character)) {
        Some((0, character)) => replaced(character.len_utf8()),
        Some((index, _)) => Some(Piece { shown: &valid[..index], length: index }),
        None => Some(Piece { shown: valid, length: valid.len() }),
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
