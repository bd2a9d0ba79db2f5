//! What a catalogue has instead of dataflows: an empty result alone would look as if the provider had none.

use std::io::Read;

use super::StructureReader;
use crate::diagnostic::Reason;

// === impl StructureReader ===

impl<R: Read> StructureReader<R> {
    /// Counts a key family, whose start tag was read last.
    pub(super) fn count_key_family(&mut self) {
        if self.key_families == 0 {
            self.first_key_family = self.xml.position();
        }
        self.key_families += 1;
    }

    /// Reports a catalogue without dataflows. Further documents need none.
    pub(super) fn report_absence(&mut self) {
        let (families, references, position) = (self.key_families, self.references, self.root_position);
        if self.has_definitions || position.document > 0 {
            return;
        }
        if families > 0 {
            return self.diagnostics.add(Reason::KeyFamiliesOnly, self.first_key_family, || {
                format!(
                    "no dataflows, but {families} key families, which servers older than SDMX 2.1 list instead"
                )
            });
        }
        self.diagnostics.add(Reason::NoDataflows, position, || {
            let referred = match references {
                0 => String::new(),
                _ => format!(", and has {references} references to some"),
            };
            format!("the message defines no dataflows{referred}; request the dataflows of the provider")
        });
    }
}
