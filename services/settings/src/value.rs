//! The value that a setting has, with what is known of where it comes from.

use super::source::Source;

/// The value of the highest source that defines a setting. Without `Debug`, since it may be a secret.
#[derive(Clone)]
pub struct Value {
    /// Several for a list.
    pub(super) values: Vec<String>,
    pub(super) source: Source,
    /// Whether any part of it is a secret.
    pub(super) secret: bool,
    /// Where its other parts come from, a password last.
    pub(super) with: Vec<Source>,
    /// Lower sources that define it too, highest first.
    pub(super) over: Vec<Source>,
}

// === impl Value ===

impl Value {
    /// What one source says.
    pub(super) fn new(values: Vec<String>, source: Source) -> Self {
        Self { values, secret: source.is_secret(), source, with: Vec::new(), over: Vec::new() }
    }

    /// As it would be typed.
    pub fn text(&self) -> String {
        self.values.join(",")
    }

    /// `text` from the same source.
    #[must_use]
    pub fn with_text(&self, text: String) -> Self {
        Self { values: vec![text], ..self.clone() }
    }

    /// Notes that other values are a part of this one.
    #[must_use]
    pub fn composed_of<'a>(self, parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let with = parts.into_iter().map(|part| part.source.clone()).collect();
        Self { with, ..self }
    }

    /// Puts `text` in place of the value, which holds `secret` from now on.
    pub fn add_secret(&mut self, text: String, secret: Self) {
        self.values = vec![text];
        self.secret = true;
        self.with.push(secret.source);
    }

    /// Whether it is what clap takes for `false`.
    pub fn is_false(&self) -> bool {
        is_false(&self.text())
    }
}

/// Whether a text is what clap takes for `false`.
pub(super) fn is_false(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "" | "false" | "f" | "0" | "no" | "n" | "off")
}
