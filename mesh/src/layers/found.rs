//! The value that holds, of those that the layers give.

use std::collections::BTreeMap;

use super::entries::Entry;
use super::problem::Problem;
use super::source::Source;

/// The value of the highest layer that has one. Without `Debug`, since it may be a secret.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) values: Vec<String>,
    pub(super) source: Source,
    /// Whether any part of it is a secret.
    pub(super) secret: bool,
    /// Where its other parts come from, a password last.
    pub(super) with: Vec<Source>,
    /// Where lower layers say something too, highest first.
    pub(super) over: Vec<Source>,
}

/// For each key the value of the highest layer that has one. An empty value is none: that is how templates say nothing.
pub(super) fn merge(mut entries: Vec<Entry>, problems: &mut Vec<Problem>) -> BTreeMap<String, Found> {
    entries.sort_by_key(|entry| entry.source.rank());
    let mut found = BTreeMap::<String, Found>::new();
    for Entry { key, mut values, source, .. } in entries {
        values.retain(|value| !value.is_empty());
        if values.is_empty() {
            continue;
        }
        match found.get_mut(&key) {
            None => {
                let secret = source.is_secret();
                found.insert(key, Found { values, source, secret, with: Vec::new(), over: Vec::new() });
            }
            Some(higher) if higher.source.rank() < source.rank() => higher.over.push(source),
            Some(same) if same.values == values => {}
            Some(same) => {
                problems.push(Problem::Contradiction {
                    name: key,
                    places: Box::new([same.source.clone(), source]),
                });
            }
        }
    }
    found
}

// === impl Found ===

impl Found {
    /// As it would be typed.
    pub(super) fn text(&self) -> String {
        self.values.join(",")
    }

    /// The same place saying `text` instead.
    pub(super) fn saying(&self, text: String) -> Self {
        Self { values: vec![text], ..self.clone() }
    }

    /// Whether it says no.
    pub(super) fn is_false(&self) -> bool {
        says_no(&self.text())
    }
}

/// Whether a text is what clap takes for no.
pub(super) fn says_no(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "" | "false" | "f" | "0" | "no" | "n" | "off")
}
