//! Labels from names that callers choose, in a bounded number.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The label of the names for which there is no room.
pub(super) const OTHER: &str = "other";

/// The names that have a label of their own: some from the start, and the first others.
#[derive(Debug)]
pub(super) struct Labels {
    names: Mutex<BTreeSet<String>>,
    most: usize,
}

// === impl Labels ===

impl Labels {
    /// With these names from the start, and room for so many others.
    pub(super) fn new(known: &[&str], others: usize) -> Self {
        let names: BTreeSet<_> = known.iter().map(|name| (*name).to_owned()).collect();
        Self { most: names.len() + others, names: Mutex::new(names) }
    }

    /// The label of a name.
    pub(super) fn of(&self, name: &str) -> String {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if !names.contains(name) {
            if names.len() == self.most {
                return OTHER.to_owned();
            }
            names.insert(name.to_owned());
        }
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_names_have_a_label_and_known_ones_always() {
        let labels = Labels::new(&["IT1", "ECB"], 2);
        for name in ["a", "b"] {
            assert_eq!(labels.of(name), name);
        }
        for number in 0..100_000 {
            assert_eq!(labels.of(&format!("odd {number}")), OTHER);
        }
        for name in ["IT1", "a", "b", "ECB"] {
            assert_eq!(labels.of(name), name);
        }
        assert_eq!(labels.names.lock().unwrap().len(), 4);
    }
}
