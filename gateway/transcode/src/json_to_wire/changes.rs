//! The members of an object as changes: their paths make the mask of an update that has none.

use super::Reader;
use crate::json::{JsonProblem, JsonToWireError, Result};
use crate::schema::{Field, MessageId};

/// The paths of all changes have at most this many bytes more than the JSON.
const MAX_CHANGES: usize = 64 * 1024;

/// The paths of the members of an object, and of the objects in it.
#[derive(Default)]
pub(super) struct Changes {
    paths: Vec<String>,
    /// Of all paths.
    bytes: usize,
    /// The path of the object that is being read, with a dot.
    prefix: String,
    /// How many objects are being read within each other; 0 outside of the changed one.
    depth: usize,
}

// === impl Changes ===

impl Changes {
    pub(super) fn into_paths(self) -> Vec<String> {
        self.paths
    }
}

impl Reader<'_, '_> {
    /// A field is changed as a whole. The paths of deep members are much longer than the members, so they have a limit.
    pub(super) fn change(&mut self, field: &Field) -> Result<()> {
        let most = self.json.len() + MAX_CHANGES;
        if let Some(changes) = &mut self.changes
            && changes.depth > 0
        {
            let path = format!("{}{}", changes.prefix, field.name());
            changes.bytes += path.len();
            if changes.bytes > most {
                let problem = JsonProblem::TooLarge { limit: most };
                return Err(JsonToWireError::new(problem, self.json.at()));
            }
            changes.paths.push(path);
        }
        Ok(())
    }

    /// A message is changed: as a whole if it is empty or of a well-known type, else the fields that it has.
    pub(super) fn open_changes(&mut self, field: &Field, id: MessageId) -> Result<bool> {
        let is_whole = {
            let mut ahead = self.json.clone();
            !self.schema[id].is_plain() || (ahead.take(b'{') && ahead.peek() == b'}')
        };
        match &mut self.changes {
            Some(changes) if changes.depth > 0 && is_whole => self.change(field).map(|()| false),
            Some(changes) => {
                if changes.depth > 0 {
                    changes.prefix.push_str(field.name());
                    changes.prefix.push('.');
                }
                changes.depth += 1;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    pub(super) fn close_changes(&mut self, field: &Field) {
        if let Some(changes) = &mut self.changes {
            changes.depth -= 1;
            if changes.depth > 0 {
                changes.prefix.truncate(changes.prefix.len() - field.name().len() - 1);
            }
        }
    }
}
