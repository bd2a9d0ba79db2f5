//! Reads data structures, code lists and constraints. Their members may be in any order, so that an identity may follow
//! the content: it is added at the end, and its memory with it. They wait in [`Structures`](crate::structures::Structures), within the limits there.

use std::io::Read;

use super::Message;
use super::kind::StructureKind;
use crate::diagnostic::Reason;
use crate::error::ParseError;
use crate::json::Value;
use crate::reader::StructureReader;

mod codelist;
mod constraint;
mod data_structure;
mod identity;
mod parts;

use parts::Parts;

// === impl StructureReader ===

impl<R: Read> StructureReader<R> {
    /// Reads the next structure, and keeps it if structures are collected.
    pub(super) fn read_structure_in_json(&mut self, kind: StructureKind) -> Result<(), ParseError> {
        let Self { json, structures, limits, diagnostics, .. } = self;
        let Some(Message { json, evidence, .. }) = json else { return Ok(()) };
        let Some(structures) = structures else { return json.skip() };
        self.has_artefacts = true;
        let value = json.value()?;
        let position = json.position();
        let name = match kind {
            StructureKind::DataStructure => "a data structure",
            StructureKind::Codelist => "a code list",
            _ => "a constraint",
        };
        if value != Value::Object {
            json.skip_content(value)?;
            let reason = match kind {
                StructureKind::DataStructure => Reason::InvalidDataStructure,
                _ => Reason::InvalidMember,
            };
            diagnostics.add(reason, position, || {
                format!("{name} is {} and was skipped; expected an object", super::text::shown(value))
            });
            return Ok(());
        }
        let version = evidence.default_version();
        let mut parts = Parts { json, diagnostics, position, name };
        let is_kept = match kind {
            StructureKind::DataStructure => data_structure::read(&mut parts, version, structures, limits)?,
            StructureKind::Codelist => codelist::read(&mut parts, version, structures, limits)?,
            _ => {
                let builder = constraint::read(&mut parts, kind, structures, limits)?;
                self.references += builder.dataflows();
                builder.finish(true, diagnostics)
            }
        };
        if !is_kept {
            structures.cut(position, limits, diagnostics);
        }
        Ok(())
    }
}
