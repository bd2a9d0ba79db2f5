//! The path of a field in a message, as errors name it: it grows from the inside as an error leaves the messages.

use std::fmt;

/// The most characters of a step: a caller may send a name of a megabyte.
const MAX_STEP: usize = 100;

/// From the innermost field to the outermost. It is displayed as `values[2].label`, and empty for the whole message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldPath(Vec<String>);

// === impl FieldPath ===

impl FieldPath {
    pub(crate) fn push_name(&mut self, name: &str) {
        self.0.push(name.chars().take(MAX_STEP).collect());
    }

    pub(crate) fn push_index(&mut self, index: usize) {
        self.0.push(format!("[{index}]"));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (step, name) in self.0.iter().rev().enumerate() {
            if step > 0 && !name.starts_with('[') {
                f.write_str(".")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}
