//! Quotations of a document in errors.

/// Characters of a document that a message quotes.
const EXCERPT_CHARS: usize = 80;

/// The start of a text, on one line.
pub(super) fn excerpt(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(EXCERPT_CHARS) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words,
    }
}
