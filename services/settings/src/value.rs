//! The value of a setting, with its sources.

use super::source::Source;

/// The value from the highest source that defines a setting. Without `Debug`, because it may be a secret.
#[derive(Clone)]
pub struct Value {
    /// Several for a list.
    pub(super) values: Vec<String>,
    pub(super) source: Source,
    /// Whether any part of it is a secret.
    pub(super) secret: bool,
    /// The sources of its other parts, a password last.
    pub(super) with: Vec<Source>,
    /// Lower sources that define it too, highest first.
    pub(super) over: Vec<Source>,
}

// === impl Value ===

impl Value {
    /// The value from one source.
    pub(super) fn new(values: Vec<String>, source: Source) -> Self {
        Self { values, secret: source.is_secret(), source, with: Vec::new(), over: Vec::new() }
    }

    /// The value as on the command line.
    pub fn text(&self) -> String {
        self.values.join(",")
    }

    /// `text`, with the same source.
    #[must_use]
    pub fn with_text(&self, text: String) -> Self {
        Self { values: vec![text], ..self.clone() }
    }

    /// Records that other values are parts of this one.
    #[must_use]
    pub fn composed_of<'a>(self, parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let with = parts.into_iter().map(|part| part.source.clone()).collect();
        Self { with, ..self }
    }

    /// Replaces the value by `text`, which contains `secret`.
    pub fn add_secret(&mut self, text: String, secret: Self) {
        self.values = vec![text];
        self.secret = true;
        self.with.push(secret.source);
    }

    /// Whether clap parses it as `false`.
    pub fn is_false(&self) -> bool {
        is_false(&self.text())
    }
}

/// Whether clap parses a text as `false`.
pub(super) fn is_false(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "" | "false" | "f" | "0" | "no" | "n" | "off")
}
