//! The end of a dataflow: what it does not state, and what is irregular.

use super::DataflowBuilder;
use crate::dataflow::Dataflow;
use crate::diagnostic::{Diagnostics, Reason};
use crate::reader::languages;
use crate::reader::legacy::Legacy;

// === impl DataflowBuilder ===

impl DataflowBuilder {
    /// Sets defaults, and reports the irregularities.
    pub(in crate::reader) fn finish(
        mut self,
        legacy: &mut Legacy,
        diagnostics: &mut Diagnostics,
    ) -> Option<Box<Dataflow>> {
        let flow = &mut self.flow;
        languages::keep_one_each(flow, &mut self.issues);
        let default_version = |version: &mut String| {
            if version.is_empty() {
                version.push_str(self.default_version);
            }
        };
        default_version(&mut flow.version);
        if let Some(structure) = &mut flow.structure {
            default_version(&mut structure.version);
            if structure.id.is_empty() {
                flow.structure = None;
                self.issues
                    .push((Reason::InvalidStructureReference, "the data structure has no id".to_owned()));
            }
        }
        let (facts, invalid) = self.facts.finish(flow.external.is_some());
        flow.facts = facts;
        self.issues.extend(invalid.map(|what| (Reason::InvalidAnnotation, what)));
        flow.legacy = legacy.take(&flow.id);
        let position = flow.position;
        if flow.id.is_empty() {
            let name = flow.names.first().map_or("", |(_, text)| text);
            diagnostics.add(Reason::DataflowWithoutId, position, || {
                format!("dataflow {name:?} has no id and was skipped; expected an id attribute or a URN")
            });
            return None;
        }
        let id = &flow.id;
        if self.truncated {
            let message = "larger than the limit for one dataflow; the excess was dropped".to_owned();
            self.issues.push((Reason::DataflowCutShort, message));
        }
        for (reason, message) in self.issues {
            diagnostics.add(reason, position, || format!("dataflow {id}: {message}"));
        }
        if flow.names.is_empty() {
            diagnostics.add(Reason::DataflowWithoutName, position, || format!("dataflow {id} has no name"));
        }
        Some(self.flow)
    }
}
