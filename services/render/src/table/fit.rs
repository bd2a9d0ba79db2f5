//! Fits texts into columns of a terminal: `人` takes two, a combining accent none.

use std::borrow::Cow;

use console::measure_text_width;

/// A left-to-right mark: invisible, and directs what follows.
const LEFT_TO_RIGHT: char = '\u{200e}';

/// The text in at most `width` columns. A text that is cut ends in `…`, and keeps the accents of its last letter.
pub(super) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if measure_text_width(text) <= width {
        return Cow::Borrowed(text);
    }
    let Some(width) = width.checked_sub(1) else { return Cow::Borrowed("") };
    let fitting = &text[..split(text, width)];
    Cow::Owned(format!("{}…", fitting.trim_end()))
}

/// Breaks a text at spaces into lines of at most `width` columns, of which all but the first begin with `indent` spaces.
/// A word that is wider than a line is broken too.
pub(super) fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        let mut rest = word;
        let is_indented = |lines: &[String]| lines.len() > 1 && used == indent;
        if used + measure_text_width(rest.trim_end_matches(' ')) > width && used > 0 && !is_indented(&lines) {
            lines.push(" ".repeat(indent));
            used = indent;
        }
        while used + measure_text_width(rest.trim_end_matches(' ')) > width {
            // At least one character, so that this ends.
            let first = rest.chars().next().map_or(0, char::len_utf8);
            let end = split(rest, width.saturating_sub(used)).max(first);
            lines.last_mut().expect("there is a first line").push_str(&rest[..end]);
            rest = &rest[end..];
            if rest.is_empty() {
                break;
            }
            lines.push(" ".repeat(indent));
            used = indent;
        }
        lines.last_mut().expect("there is a first line").push_str(rest);
        used += measure_text_width(rest);
    }
    lines.iter_mut().for_each(|line| line.truncate(line.trim_end_matches(' ').len()));
    lines
}

/// The end of the longest beginning that takes at most `width` columns, with the marks that combine with its last letter.
fn split(text: &str, width: usize) -> usize {
    let (mut sum, mut buffer) = (0, [0; 4]);
    let ends = text.char_indices().map_while(|(index, character)| {
        sum += measure_text_width(character.encode_utf8(&mut buffer));
        (sum <= width).then_some(index + character.len_utf8())
    });
    let ends: Vec<_> = ends.collect();
    // A sequence, such as an emoji with its variation selector, may be wider than the sum of its characters.
    let fitting = ends.partition_point(|&end| measure_text_width(&text[..end]) <= width);
    fitting.checked_sub(1).map_or(0, |last| ends[last])
}

/// The text between marks of direction if it is written from right to left: otherwise a terminal that reorders texts
/// would take the columns beside it for a part of it.
pub(super) fn isolated(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.chars().any(is_right_to_left) {
        return text;
    }
    format!("{LEFT_TO_RIGHT}{text}{LEFT_TO_RIGHT}").into()
}

/// Whether the character is in a block of right-to-left scripts: Hebrew, Arabic, Syriac and others.
fn is_right_to_left(character: char) -> bool {
    let blocks = ['\u{590}'..='\u{8ff}', '\u{fb1d}'..='\u{fdff}', '\u{fe70}'..='\u{feff}'];
    let further = ['\u{10800}'..='\u{10fff}', '\u{1e800}'..='\u{1efff}'];
    blocks.iter().chain(&further).any(|block| block.contains(&character)) || character == '\u{200f}'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cut_text_keeps_whole_letters() {
        let check = |text: &str, width, expected: &str| assert_eq!(cut(text, width), expected, "{text:?}");
        check("Nati vivi", 9, "Nati vivi");
        check("Nati vivi", 8, "Nati vi…");
        check("Nati vivi", 6, "Nati…");
        check("人口と世帯", 10, "人口と世帯");
        check("人口と世帯", 9, "人口と世…");
        check("人口と世帯", 8, "人口と…");
        check("cafe\u{301} noir", 5, "cafe\u{301}…");
        check("\u{2601}\u{fe0f}\u{2601}\u{fe0f}\u{2601}\u{fe0f}", 5, "\u{2601}\u{fe0f}\u{2601}\u{fe0f}…");
        check("abc", 1, "…");
        check("abc", 0, "");
        check("", 0, "");
    }

    #[test]
    fn lines_break_at_spaces_and_within_words_only_if_these_are_too_wide() {
        let check = |text: &str, width, indent, expected: &[&str]| {
            assert_eq!(wrap(text, width, indent), expected, "{text:?} in {width}");
        };
        check("one two three", 13, 0, &["one two three"]);
        check("one two three", 12, 2, &["one two", "  three"]);
        check("one two three", 7, 0, &["one two", "three"]);
        check("  byte 1: found", 9, 4, &["  byte 1:", "    found"]);
        check("abcdefghij", 4, 1, &["abcd", " efg", " hij"]);
        check("x abcdefghij y", 6, 2, &["x", "  abcd", "  efgh", "  ij y"]);
        check("人口と世帯", 5, 0, &["人口", "と世", "帯"]);
        check("", 5, 0, &[""]);
    }

    #[test]
    fn texts_from_right_to_left_are_isolated() {
        assert_eq!(isolated("السكان".into()), "\u{200e}السكان\u{200e}");
        assert_eq!(isolated("Population".into()), "Population");
        assert_eq!(measure_text_width("\u{200e}"), 0);
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_its_width(text in "(a|人|\u{301}|\u{2601}\u{fe0f}|\u{1f469}\u{200d}\u{1f469}| |\\PC){0,40}", width in 4_usize..30) {
            prop_assert!(measure_text_width(&cut(&text, width)) <= width);
            let lines = wrap(&text, width, width / 4);
            for line in &lines {
                prop_assert!(measure_text_width(line) <= width, "{:?}", lines);
            }
            let joined = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(joined(&lines.concat()), joined(&text), "nothing is lost");
        }
    }
}
