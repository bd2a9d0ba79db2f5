//! What is known of the members of an object that is being read: a member occurs once, and of a oneof one member does.

use crate::json::JsonProblem;
use crate::preset::PresetMessage;
use crate::schema::{MessageId, Schema};

/// The members of one object.
pub(super) struct Members<'a> {
    schema: &'a Schema,
    pub(super) id: MessageId,
    pub(super) preset: Option<&'a PresetMessage>,
    /// The fields of the preset that went into the messages of the JSON.
    pub(super) merged: Vec<usize>,
    /// The fields that occurred, a bit each: those of the first 64, and the others.
    first: u64,
    others: Vec<u64>,
    /// The members of oneofs that are set.
    of_oneofs: Vec<usize>,
}

// === impl Members ===

impl<'a> Members<'a> {
    pub(super) fn new(schema: &'a Schema, id: MessageId, preset: Option<&'a PresetMessage>) -> Self {
        Self { schema, id, preset, merged: Vec::new(), first: 0, others: Vec::new(), of_oneofs: Vec::new() }
    }

    /// A member occurs, be it `null`.
    pub(super) fn add(&mut self, index: usize) -> Result<(), JsonProblem> {
        let (word, bit) = (index / 64, 1 << (index % 64));
        let seen = match word.checked_sub(1) {
            None => &mut self.first,
            Some(word) => {
                self.others.resize(self.others.len().max(word + 1), 0);
                &mut self.others[word]
            }
        };
        if *seen & bit != 0 {
            return Err(JsonProblem::Duplicate);
        }
        *seen |= bit;
        Ok(())
    }

    /// A member is set.
    pub(super) fn set(&mut self, index: usize) -> Result<(), JsonProblem> {
        let message = &self.schema[self.id];
        let Some(oneof) = message.fields()[index].oneof else { return Ok(()) };
        let set = self.of_oneofs.iter().map(|index| &message.fields()[*index]);
        let preset = self.preset.and_then(|preset| preset.other_member(self.schema, index));
        if let Some(other) = set.chain(preset).find(|other| other.oneof == Some(oneof)) {
            let (oneof, other) = (message.oneofs[usize::from(oneof)].to_string(), other.name().to_owned());
            return Err(JsonProblem::Oneof { oneof, other });
        }
        self.of_oneofs.push(index);
        Ok(())
    }

    /// Writes the preset fields that are not written yet.
    pub(super) fn finish(self, out: &mut Vec<u8>) {
        if let Some(preset) = self.preset {
            preset.write_except(self.schema, &self.merged, out);
        }
    }
}
